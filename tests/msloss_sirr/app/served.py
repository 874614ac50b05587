"""The web page in a process of its own, and a photograph to give it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms
from skimage import data

import msloss_sirr


class Served(NamedTuple):
    """A page that is served."""

    address: str
    files: Path
    """Folder in which all of its temporary files are."""


@contextmanager
def served(files: Path, *words: object, end: signal.Signals = signal.SIGINT) -> Iterator[Served]:
    """Serve a page for the time of a block; at its end nothing may be left, and nothing may have been said.

    Args:
        files: an empty folder.
        *words: more of the command line.
        end: by which the process is to end.
    """
    command = [sys.executable, "-m", "msloss_sirr", "app", "--port", "0", "--device", "cpu", *map(str, words)]
    package = str(Path(msloss_sirr.__file__).parents[1])
    environment = {**os.environ, "TMPDIR": str(files), "PYTHONPATH": package}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("the page is at http://127.0.0.1:"), (line, process.communicate(timeout=60))
            yield Served(line.split()[4], files)
            process.send_signal(end)
            out, err = process.communicate(timeout=60)
            assert (process.returncode, out, err) == (128 + end, "", ""), (process.returncode, out, err)
            assert list(files.iterdir()) == []
        finally:
            process.kill()


def glass_photo(path: Path, side: int = 1800) -> Path:
    """Write a photograph with another one reflected in it, with EXIF data and a profile; return its path."""
    scene, mirrored = Image.fromarray(data.astronaut()), Image.fromarray(data.coffee()).resize((512, 512))
    mixed = (np.asarray(scene) * 0.75 + np.asarray(mirrored) * 0.35).clip(0, 255).astype(np.uint8)
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "A camera", 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(mixed).resize((side, side * 3 // 4)).save(path, quality=92, exif=exif, icc_profile=profile)
    return path
