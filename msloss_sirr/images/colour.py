"""The colours that pixels are meant in, by their file's profile, and what they are in sRGB."""

from io import BytesIO
from typing import cast

from PIL import Image, ImageCms


def profile_of(image: Image.Image, *, grey: bool) -> bytes | None:
    """Return an image's colour profile, if it has one for pixels of its kind."""
    profile = image.info.get("icc_profile")
    fits = isinstance(profile, bytes) and len(profile) >= 128 and profile[16:20] == (b"GRAY" if grey else b"RGB ")
    return profile if fits else None


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, str]:
    """Return an RGB image in sRGB, and what was done: ``"as it was"``, ``"converted"``, or ``"profile unreadable"``.

    An image without a profile, or with one that cannot be read, is taken for sRGB, as browsers do.

    Args:
        image: of mode RGB.
        profile: the ICC profile that its pixels are meant in.
    """
    if not profile:
        return image, "as it was"
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        description = ImageCms.getProfileDescription(source).lower()
        if "srgb" in description and "linear" not in description:
            return image, "as it was"
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image, "profile unreadable"
    return cast(Image.Image, converted), "converted"
