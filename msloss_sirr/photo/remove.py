"""Reflections taken off photographs, file by file."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from msloss import refine
from msloss_sirr.data.folders import depth_images
from msloss_sirr.depth.source import DepthSource, guidance, stored_depth
from msloss_sirr.devices import find_device
from msloss_sirr.errors import InputError
from msloss_sirr.images.listing import PHOTO_SUFFIXES, find_images
from msloss_sirr.images.photo import Photo, read_photo
from msloss_sirr.images.photo_writing import write_photo
from msloss_sirr.images.reading import to_bytes, to_float
from msloss_sirr.layers import Layers
from msloss_sirr.models.ensemble import FlipEnsemble
from msloss_sirr.models.remover import Remover
from msloss_sirr.photo.config import RemoveConfig
from msloss_sirr.photo.loading import load_on
from msloss_sirr.targets import check_writable


class Job(NamedTuple):
    """A photograph and where its layers go."""

    source: Path
    transmission: Path
    reflection: Path | None


def remove_files(config: RemoveConfig, done: Callable[[Job], None] | None = None) -> None:
    """Take the reflections off photographs, one after the other; each result is written whole or not at all.

    A photograph that cannot be read is left out, and named when all others are done.

    Args:
        config: what to do.
        done: called after each photograph.

    Raises:
        InputError: if an input, the checkpoint or the device cannot be used, or a result would replace a file.
    """
    if config.steps < 1:
        raise InputError(f"steps is {config.steps}; give 1 or more")
    jobs = plan(config)
    if config.out.exists() and not config.out.is_dir():
        raise InputError(f"{config.out} is a file; give a folder")
    check_writable(config.out)
    device = find_device(config.device)
    remover, source = load_on(device, config.checkpoint, config.depth, flip=config.flip)
    config.out.mkdir(parents=True, exist_ok=True)
    left_out: list[str] = []
    for job in jobs:
        try:
            photo = read_photo(job.source)
            stored = depth_images(job.source.parent / "depth", [job.source])[0] if source is stored_depth else None
            layers = remove(remover, photo.pixels.to(device), steps=config.steps, source=source, stored=stored)
            write_photo(job.transmission, photo, layers.transmission)
            if job.reflection is not None:
                write_photo(job.reflection, Photo(photo.pixels, icc_profile=photo.icc_profile), layers.reflection)
        except (InputError, ValueError) as error:  # of the file, or of the remover after some steps
            left_out.append(str(error) if isinstance(error, InputError) else f"{job.source}: {error}")
            continue
        if done is not None:
            done(job)
    if left_out:
        more = f"; and {len(left_out) - 3} more" if len(left_out) > 3 else ""
        raise InputError(f"{len(left_out)} of {len(jobs)} photographs left out: {'; '.join(left_out[:3])}{more}")


def remove(
    remover: Remover | FlipEnsemble,
    pixels: Tensor,
    *,
    steps: int = 1,
    source: DepthSource | None = None,
    stored: Tensor | None = None,
) -> Layers:
    """Return the layers of one photograph, ``(3, H, W)`` uint8 RGB each, as the photograph itself.

    With several steps, the reflection is all that they took off: I - T where that is positive.

    Args:
        remover: on the device of the photograph.
        pixels: the photograph, ``(3, H, W)`` uint8 RGB.
        steps: how many times the remover is applied to its own output.
        source: where depth comes from, if the remover is guided by it.
        stored: a depth image of the photograph, ``(1, H, W)``, for a source that uses one.

    Raises:
        ValueError: if the photograph is of another shape or type, or the estimate of a step goes astray.
    """
    if pixels.dim() != 3 or pixels.shape[0] != 3 or pixels.dtype != torch.uint8:
        raise ValueError(f"the photograph is {tuple(pixels.shape)} of {pixels.dtype}; give (3, H, W) of torch.uint8")
    ambient = to_float(pixels)
    guide = guidance(remover, source, ambient[None], None if stored is None else stored[None].to(pixels.device))
    estimate: Layers = refine(remover, ambient[None], *guide, steps=steps, feedback="transmission")
    transmission = estimate.transmission[0]
    if not transmission.isfinite().all():
        raise ValueError("the remover's estimate holds NaN or infinity; give another checkpoint, or fewer steps")
    reflection = estimate.reflection[0] if steps == 1 else ambient - transmission
    return Layers(to_bytes(transmission), to_bytes(reflection))


def plan(config: RemoveConfig) -> list[Job]:
    """Return what is to be done, before anything is.

    Raises:
        InputError: if an input is missing, two would be written to one file, or a file is there already.
    """
    named = [
        path for given in config.inputs for path in (find_images(given, PHOTO_SUFFIXES) if given.is_dir() else [given])
    ]
    sources = list(dict.fromkeys(named))
    if not sources:
        raise InputError("no photographs given; name files or folders")
    jobs: dict[Path, Job] = {}
    for source in sources:
        if not source.exists():
            raise InputError(f"{source} does not exist")
        if source.suffix.lower() not in PHOTO_SUFFIXES:
            raise InputError(f"{source} is not named as an image; {', '.join(sorted(PHOTO_SUFFIXES))} can be written")
        target = config.out / source.name
        aside = target.with_stem(f"{target.stem}-reflection") if config.reflection else None
        for path in (target, aside):
            if path is None:
                continue
            if path in jobs:
                raise InputError(f"{source} and {jobs[path].source} would both be written to {path}; rename one")
            if path.exists() and (path.samefile(source) or not config.overwrite):
                remedy = "give another --out" if path.samefile(source) else "give --overwrite to replace it"
                raise InputError(f"{path} exists already; {remedy}")
            jobs[path] = Job(source, target, aside)
    return list(dict.fromkeys(jobs.values()))
