"""Which photographs are to be done, and where to."""

import glob
import mimetypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from msloss_sirr.errors import InputError, in_words
from msloss_sirr.images.listing import PHOTO_SUFFIXES, find_images, is_image_name
from msloss_sirr.photo.config import RemoveConfig


class Job(NamedTuple):
    """A photograph and the files that come of it."""

    source: Path
    transmission: Path
    reflection: Path | None = None
    compare: Path | None = None

    @property
    def targets(self) -> list[Path]:
        """Return what is to be written."""
        return [path for path in (self.transmission, self.reflection, self.compare) if path is not None]


class Plan(NamedTuple):
    """All that is to be done."""

    jobs: list[Job]
    done: list[Job]
    """Those whose results are there already, and are to be left out."""
    failures: list[str]
    """What cannot be done, a line each."""


def plan(config: RemoveConfig, number: int = 0, count: int = 1) -> Plan:
    """Return what is to be done, before anything is.

    Args:
        config: what the tool is asked to do.
        number: of this process, from 0.
        count: of processes, which share the photographs, whatever results the others have written meanwhile.

    Raises:
        InputError: if there is nothing at all.
    """
    found = Plan([], [], [])
    taken: dict[str, Path] = {}
    sources: dict[Path, Path] = {}
    for given in config.inputs:
        try:
            found_here = _found(given, recursive=config.recursive)
            sources.update(each for each in found_here if not _is_result(each[0], given, config.out))
        except (InputError, OSError) as error:
            if number == 0:
                found.failures.append(in_words(error, named=True))
    if not sources and not found.failures and number == 0:
        raise InputError("no photographs given; name files or folders")
    single = _single(config, len(sources))
    for index, (source, name) in enumerate(sources.items()):
        job = _job(config, source, config.out if single else None if config.out is None else config.out / name)
        mine = index % count == number
        try:
            problem = _unfit(job, taken) or (_occupied(job, config) if mine else "")
        except OSError as error:  # a name that is too long, say
            problem = in_words(error, named=True)
        if not mine:
            continue
        if problem:
            found.failures.append(problem)
        elif config.skip_existing and all(target.exists() for target in job.targets):
            found.done.append(job)
        else:
            found.jobs.append(job)
    return found


def _found(given: Path, *, recursive: bool) -> Iterator[tuple[Path, Path]]:
    """Yield photographs, each with its name below the folder that was given."""
    if given.is_dir():
        yield from (
            _below(given) if recursive else ((path, Path(path.name)) for path in find_images(given, PHOTO_SUFFIXES))
        )
    elif given.exists() or given.is_symlink() or not glob.has_magic(str(given)):
        yield given, Path(given.name)
    else:
        matched = sorted(glob.glob(str(given), recursive=True))  # noqa: PTH207  # of pathlib's, none may be absolute
        if not matched:
            raise InputError(f"{given} matches no file")
        for path in map(Path, matched):
            if path.is_dir() or is_image_name(path, PHOTO_SUFFIXES):
                yield from _found(path, recursive=recursive)


def _below(given: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the photographs of a folder and of those in it; hidden ones are left out, and links to folders."""
    nothing = True
    for folder, below, files in os.walk(given):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for path in sorted(Path(folder) / name for name in files):
            if is_image_name(path, PHOTO_SUFFIXES):
                nothing = False
                yield path, path.relative_to(given)
    if nothing:
        raise InputError(f"{given} holds no images, and no folder in it does; give another")


def _is_result(source: Path, given: Path, out: Path | None) -> bool:
    """Return whether a photograph lies in the folder of results, below what was given: it was written there before."""
    if out is None or not out.is_dir():
        return False
    magic = next((index for index, part in enumerate(given.parts) if glob.has_magic(part)), None)
    named = given if given.is_dir() else given.parent if magic is None or given.exists() else Path(*given.parts[:magic])
    return _within(source.parent, out) and not _within(named, out)


def _within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _single(config: RemoveConfig, count: int) -> bool:
    """Return whether the output is named as a file.

    Raises:
        InputError: if it is a file that cannot be, or one for several photographs.
    """
    out = config.out
    if out is None or out.is_dir():
        return False
    named = out.suffix.lower() in PHOTO_SUFFIXES
    if not named and not out.exists() and (mimetypes.guess_type(out.name)[0] or "").startswith("image/"):
        kinds = ", ".join(sorted(PHOTO_SUFFIXES))
        raise InputError(f"{out} is named as an image of a kind that is not written; end it in one of {kinds}")
    if named and count > 1:
        raise InputError(f"{out} is named as one file, but there are {count} photographs; give a folder")
    if out.exists() and not named:
        raise InputError(f"{out} is a file; give a folder")
    return named


def _job(config: RemoveConfig, source: Path, target: Path | None) -> Job:
    target = source if target is None else target
    beside = (target.with_stem(f"{target.stem}-{what}") for what in ("reflection", "compare"))
    reflection, compare = (path if wanted else None for path, wanted in zip(beside, _more(config), strict=True))
    return Job(source, target, reflection, compare)


def _more(config: RemoveConfig) -> tuple[bool, bool]:
    return config.reflection, config.compare


def _unfit(job: Job, taken: dict[str, Path]) -> str:
    """Return why a photograph cannot be done, or nothing; its files are taken then."""
    source = job.source
    if not source.exists():
        return f"{source} does not exist"
    if source.suffix.lower() not in PHOTO_SUFFIXES:
        return f"{source} is not named as an image; {', '.join(sorted(PHOTO_SUFFIXES))} can be read and written"
    names = {os.path.normcase(path.parent.resolve() / path.name): path for path in job.targets}
    for name, path in names.items():
        if name in taken:
            return f"{source} and {taken[name]} would both be written to {path}; rename one"
    taken.update(dict.fromkeys(names, source))
    return ""


def _occupied(job: Job, config: RemoveConfig) -> str:
    """Return which file is there already that may not be replaced, or nothing."""
    if config.in_place and job.source.is_symlink():
        return f"{job.source} is a link; name the photograph that it leads to"
    for path in job.targets:
        if not path.exists() or (config.in_place and path == job.source):
            continue
        if path.samefile(job.source):
            return f"{path} is the photograph itself; give another --out, or --in-place to replace it"
        if not (config.overwrite or config.skip_existing):
            return f"{path} exists already; give --overwrite to replace it, or --skip-existing to leave it"
    return ""
