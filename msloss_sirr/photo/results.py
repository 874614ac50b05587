"""From the pixels of a photograph's results to its files, or to the line that says why there are none."""

import shutil
from dataclasses import replace

import torch

from msloss_sirr.errors import InputError
from msloss_sirr.files import whole_file
from msloss_sirr.photo.jobs import Job
from msloss_sirr.photo.removal import Removal
from msloss_sirr.photo_files.icc import Colours
from msloss_sirr.photo_files.photo import Photo
from msloss_sirr.photo_files.writing import write_photo

_OF_MEMORY = ("allocate memory", "enough memory", "bad_alloc", "bad allocation")
"""Words of what PyTorch and onnxruntime raise where a processor's memory is used up; it has no type of its own."""


def colours_of(photo: Photo) -> Colours | None:
    """Return the colours that a photograph is to be converted from; ``None`` is sRGB, and what is taken for it."""
    colours = None if photo.icc_profile is None else Colours(photo.icc_profile)
    return None if colours is None or colours.reading in ("sRGB", "unreadable") else colours


def write_removal(job: Job, photo: Photo, removal: Removal) -> None:
    """Write all files of a photograph, that of the transmission last: once it is there, nothing is missing.

    A photograph that was not changed is copied as it is, if its format stays.

    Args:
        job: which files; there is a reflection only if the removal has one.
        photo: what ``job.source`` holds.
        removal: what became of it.

    Raises:
        InputError: if a file cannot be of the kind that its name asks for.
        OSError: if it cannot be written.
    """
    job.transmission.parent.mkdir(parents=True, exist_ok=True)
    plain = replace(photo, alpha=None, exif=b"", xmp=b"")
    if job.reflection is not None and removal.reflection is not None:
        write_photo(job.reflection, plain, removal.reflection)
    if job.compare is not None:
        both = torch.cat([photo.pixels, removal.transmission], dim=2)
        write_photo(job.compare, replace(plain, pixels=both), both)
    if removal.changed:
        write_photo(job.transmission, photo, removal.transmission)
    elif job.transmission.suffix.lower() != job.source.suffix.lower():
        write_photo(job.transmission, photo, photo.pixels)
    elif not (job.transmission.exists() and job.transmission.samefile(job.source)):
        with whole_file(job.transmission) as partial:
            shutil.copyfile(job.source, partial)


def is_of_a_photograph(error: Exception) -> bool:
    """Return whether an error says that a photograph cannot be done: of its file, the results', or memory."""
    known = isinstance(error, InputError | ValueError | OSError | MemoryError | torch.OutOfMemoryError)
    return known or any(words in str(error) for words in _OF_MEMORY)


def line_of(error: Exception, job: Job) -> str:
    """Return in one line why a photograph cannot be done; ``error`` is of it."""
    if isinstance(error, InputError):
        told = str(error)
        return told if str(job.source) in told else f"{job.source}: {told}"
    if isinstance(error, ValueError):
        return f"{job.source}: {error}"
    if isinstance(error, OSError):
        return f"{error.filename or job.transmission}: {error.strerror or error}"
    return f"{job.source}: memory is used up; give a smaller --max-memory, --work-size or --tile"
