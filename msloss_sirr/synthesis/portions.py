"""In what portions the images of a batch are made."""

from torch import Tensor


def portions(images: Tensor) -> list[slice]:
    """Return the portions of a batch ``(N, ...)`` that are made one after another.

    On a processor each is one image, all of which then stays in the processor's cache from the first operation to the
    last. On other devices all images are one portion: there it is the number of operations that takes time.
    """
    if images.device.type == "cpu":
        return [slice(number, number + 1) for number in range(len(images))]
    return [slice(len(images))] if len(images) else []
