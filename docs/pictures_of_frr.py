"""Save what the package fast-reflection-removal makes of photographs, and tell what that takes.

python docs/pictures_of_frr.py frr val=real/val/ambient composites-clip=peers/composites/composites-clip/ambient

In an environment of its own: version 1.1 does not run with numpy 2 (``pip install fast-reflection-removal==1.1
'numpy<2' pillow``). The first folder is written to, as ``msloss-sirr peers --outputs`` takes it; the others are named
by their sets. Seconds are from pixels to pixels, of all pictures, the first of which is done once before.
"""

import resource
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from frr import FastReflectionRemoval  # type: ignore[import-not-found, unused-ignore]
from PIL import Image

THRESHOLD = 0.033


def main(out: Path, *sets: str) -> None:
    """Save the pictures, and print seconds and the greatest resident memory."""
    method = FastReflectionRemoval(h=THRESHOLD)
    seconds: list[float] = []
    of_all_cores: list[float] = []
    for name, folder in (each.split("=", 1) for each in sets):
        (out / name).mkdir(parents=True, exist_ok=True)
        for path in sorted(Path(folder).iterdir()):
            pixels = np.asarray(Image.open(path).convert("RGB")) / 255
            if not seconds:
                method.remove_reflection(pixels)
            begin, begin_cpu = time.perf_counter(), time.process_time()
            made = method.remove_reflection(pixels)
            seconds.append(time.perf_counter() - begin)
            of_all_cores.append(time.process_time() - begin_cpu)
            Image.fromarray(np.rint(made * 255).clip(0, 255).astype(np.uint8)).save(out / name / f"{path.stem}.png")
    quartiles = ", ".join(f"{each:.3f}" for each in statistics.quantiles(seconds, n=4))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    cpu = statistics.median(of_all_cores)
    told = f"{len(seconds)} pictures; seconds (quartiles) {quartiles}; of all cores {cpu:.3f}; peak {peak:.0f} MiB"
    print(told)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
