"""Which image files a folder holds."""

from pathlib import Path

from msloss_sirr.errors import InputError

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
PHOTO_SUFFIXES = SUFFIXES | {".avif", ".heic", ".heif"}
"""Of photographs, whose files are read and written with all that they hold."""


def find_images(folder: Path, suffixes: frozenset[str] = SUFFIXES) -> list[Path]:
    """Return the image files directly in ``folder``, by name; hidden files are left out.

    What has the name of an image and is none is not: links that lead nowhere, folders, pipes. Reading it says so.

    Args:
        folder: where to look.
        suffixes: by which images are told, in small letters.

    Raises:
        InputError: if there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise InputError(f"{folder} {what}; give a folder of images")
    found = sorted(path for path in folder.iterdir() if is_image_name(path, suffixes))
    if not found:
        raise InputError(f"{folder} holds no images; files ending in {', '.join(sorted(suffixes))} are looked for")
    return found


def is_image_name(path: Path, suffixes: frozenset[str] = SUFFIXES) -> bool:
    """Return whether a path looks like an image by its name."""
    return path.suffix.lower() in suffixes and not path.name.startswith(".")
