"""What may be learned besides taking off reflections: to undo another degradation, in the same domain."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from msloss_sirr.synthesis.chance import Change
from msloss_sirr.synthesis.degradations import darkness, defocus, in_turn, motion, noise, one_of, rain, small
from msloss_sirr.synthesis.glass import compressed

_FAINT = partial(noise, sigma=(2.0, 2.0))
"""The noise behind the blur of IRCNN, without which blur could be undone to the last digit."""


class Task(NamedTuple):
    """A degradation, as a network is trained to undo it and tested on it."""

    does: str
    """What happens to a photograph, in a line."""
    trained: Change
    """What training images suffer, of random strength."""
    tested: Mapping[str, Change]
    """What test images suffer, of fixed strengths, by their names."""


TASKS: Mapping[str, Task] = {
    "denoising": Task(
        "white Gaussian noise, sigma 0 to 50 of 255 levels",
        noise,
        {f"{sigma}": partial(noise, sigma=(sigma, sigma)) for sigma in (15, 25, 50)},
    ),
    "deblurring": Task(
        "blur by a Gaussian, sigma 0 to 3 pixels, or along a line of 1 to 15 pixels in any direction, and noise of "
        "sigma 2 of 255 levels",
        in_turn(one_of(defocus, motion), _FAINT),
        {
            "gaussian-1.6": in_turn(partial(defocus, sigma=(1.6, 1.6)), _FAINT),
            "motion-11": in_turn(partial(motion, length=(11.0, 11.0)), _FAINT),
        },
    ),
    "jpeg": Task(
        "compression as a JPEG file of quality 10 to 40",
        partial(compressed, lowest=10, highest=40),
        {f"{quality}": partial(compressed, lowest=quality, highest=quality) for quality in (10, 20, 40)},
    ),
    "low-light": Task(
        "1 to 4 stops less light, and the noise of a sensor",
        darkness,
        {f"{stops}-stops": partial(darkness, stops=(stops, stops)) for stops in (2, 4)},
    ),
    "rain": Task(
        "bright streaks added, of up to 0.02 drops for each pixel",
        rain,
        {
            "light": partial(rain, drops=(0.004, 0.004), brightness=(0.4, 0.4)),
            "heavy": partial(rain, drops=(0.016, 0.016), brightness=(0.4, 0.4)),
        },
    ),
    "super-resolution": Task(
        "bicubic reduction by 2, 3 or 4, and enlargement to the size as it was",
        small,
        {f"x{factor}": partial(small, factors=(factor,)) for factor in (2, 3, 4)},
    ),
}
"""All of them, by the names in `TaskName`."""
