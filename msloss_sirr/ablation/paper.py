"""What the paper has printed, number by number; nothing of ours is taken from here.

Source: A. Elnenaey and M. Torki, "Utilizing Multi-Step Loss for Single Image Reflection Removal", tables 1 to 5.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

METRICS = ("psnr", "ssim", "lpips")


class PaperSet(NamedTuple):
    """A set that the paper evaluates on."""

    title: str
    source: str
    """Its name in the catalogue, as in ``sir2/wild``."""
    images: int


class PaperTable(NamedTuple):
    """A table as it is printed."""

    number: int
    caption: str
    printed: Mapping[tuple[str, str, str], float]
    """By arm, title of the set, and metric: ``psnr`` in dB, ``ssim`` or ``lpips``."""
    remarks: tuple[str, ...] = ()
    """What is odd about it."""

    @property
    def sets(self) -> list[str]:
        """The titles of its sets, in their order."""
        return list(dict.fromkeys(title for _, title, _ in self.printed))

    @property
    def arms(self) -> list[str]:
        """The names of its arms, in their order."""
        return list(dict.fromkeys(arm for arm, _, _ in self.printed))


SETS = {
    each.title: each
    for each in (
        PaperSet("real-world (50)", "flash/real/test", 50),
        PaperSet("nature (20)", "nature/test", 20),
        PaperSet("wild (101)", "sir2/wild", 101),
        PaperSet("postcard (199)", "sir2/postcard", 199),
        PaperSet("object (200)", "sir2/object", 200),
    )
}
"""The sets of the paper, by what it calls them."""
_REAL, _NATURE, _WILD, _POSTCARD, _OBJECT = SETS

_OTHERS = (
    "Kim",
    "Wei et al.",
    "CeilNet",
    "Zhang et al.",
    "BDN",
    "RmNet",
    "ERRNet",
    "IBCLN",
    "Dong et al.",
    "VIRR",
    "ours",
)
_NO = None
_TABLE_1: Mapping[tuple[str, str], tuple[float | None, ...]] = {
    (_REAL, "psnr"): (21.67, 23.89, _NO, 23.76, 21.41, _NO, _NO, 24.31, _NO, _NO, 25.18),
    (_REAL, "ssim"): (0.821, 0.864, _NO, 0.873, 0.802, _NO, _NO, 0.890, _NO, _NO, 0.904),
    (_REAL, "lpips"): (0.298, 0.238, _NO, 0.242, 0.410, _NO, _NO, 0.224, _NO, _NO, 0.126),
    (_NATURE, "psnr"): (_NO, _NO, 19.33, 19.56, 18.92, 19.36, 21.78, 23.57, 23.45, 23.73, 24.39),
    (_NATURE, "ssim"): (_NO, _NO, 0.745, 0.736, 0.737, 0.725, 0.756, 0.783, 0.808, 0.813, 0.906),
    (_NATURE, "lpips"): (*(_NO,) * 10, 0.082),
    (_WILD, "psnr"): (_NO, _NO, 22.14, 21.52, 22.34, 21.98, 24.16, 24.71, 25.73, 26.31, 25.80),
    (_WILD, "ssim"): (_NO, _NO, 0.819, 0.829, 0.821, 0.821, 0.847, 0.886, 0.902, 0.915, 0.941),
    (_WILD, "lpips"): (*(_NO,) * 10, 0.075),
    (_POSTCARD, "psnr"): (_NO, _NO, 20.08, 16.81, 20.71, 19.71, 21.99, 23.39, 23.73, 24.25, 23.65),
    (_POSTCARD, "ssim"): (_NO, _NO, 0.810, 0.797, 0.857, 0.808, 0.874, 0.875, 0.903, 0.914, 0.931),
    (_POSTCARD, "lpips"): (*(_NO,) * 10, 0.099),
    (_OBJECT, "psnr"): (_NO, _NO, 22.81, 22.68, 23.03, 20.33, 24.85, 24.87, 24.36, 25.45, 25.76),
    (_OBJECT, "ssim"): (_NO, _NO, 0.801, 0.874, 0.853, 0.793, 0.889, 0.893, 0.898, 0.904, 0.943),
    (_OBJECT, "lpips"): (*(_NO,) * 10, 0.053),
}


def _first() -> Iterator[tuple[tuple[str, str, str], float]]:
    for (title, metric), row in _TABLE_1.items():
        for arm, value in zip(_OTHERS, row, strict=True):
            if value is not None:
                yield (arm, title, metric), value


def _on_real(rows: Mapping[str, tuple[float, ...]]) -> dict[tuple[str, str, str], float]:
    return {
        (arm, _REAL, metric): value for arm, row in rows.items() for metric, value in zip(METRICS, row, strict=False)
    }


TABLES = {
    "1": PaperTable(1, "Quantitative comparison on five sets", dict(_first())),
    "2": PaperTable(
        2,
        "Depth maps and ranged depth maps",
        _on_real({"depth": (24.93, 0.908, 0.118), "ranged depth": (25.18, 0.909, 0.126)}),
        (
            "the table names no set; its PSNR of 25.18 dB is that of real-world (50) in table 1",
            "its SSIM of ranged depth (0.909) is not that of table 1 (0.904)",
            "it has no row without depth",
        ),
    ),
    "3": PaperTable(
        3,
        "With and without the RefGAN data set",
        {
            ("without RefGAN", _WILD, "psnr"): 25.39,
            ("with RefGAN", _WILD, "psnr"): 25.80,
            ("without RefGAN", _POSTCARD, "psnr"): 22.57,
            ("with RefGAN", _POSTCARD, "psnr"): 23.65,
            ("without RefGAN", _OBJECT, "psnr"): 24.70,
            ("with RefGAN", _OBJECT, "psnr"): 25.76,
        },
    ),
    "4": PaperTable(
        4,
        "Numbers of ranges k, 20 epochs each",
        _on_real(
            {
                "k=2": (24.95,),
                "k=3": (24.93,),
                "k=4": (25.06,),
                "k=5": (24.92,),
                "k=6": (24.78,),
                "k=7": (25.01,),
            }
        ),
    ),
    "5": PaperTable(
        5,
        "Multi-step losses",
        _on_real(
            {
                "1-step": (24.52, 0.904, 0.133),
                "2-step": (24.71, 0.904, 0.123),
                "3x1-step": (23.70, 0.901, 0.132),
                "3-step": (24.85, 0.906, 0.120),
                "2->3": (25.18, 0.909, 0.118),
            }
        ),
        (
            'the text says "a simple UNet" from I to T',
            'its last row is called "ours"; its PSNR and SSIM are those of ranged depth in table 2',
            "the LPIPS of that row is that of depth in table 2",
        ),
    ),
}
"""The tables of the paper, by number."""
