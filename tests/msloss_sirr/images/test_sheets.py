"""Pictures side by side."""

import torch
from torchvision.utils import make_grid

from msloss_sirr.images.reading import to_bytes
from msloss_sirr.images.sheet import fitted, sheet, strip, titled

from ..conftest import smooth


def test_panels_of_one_size_are_laid_out_as_torchvision_does() -> None:
    panels = [to_bytes(smooth(seed)) for seed in range(6)]
    grid = make_grid(torch.stack(panels), nrow=3, padding=2, pad_value=255)
    assert torch.equal(sheet([panels[:3], panels[3:]]), grid)


def test_panels_of_any_size_are_shown_whole() -> None:
    tall, wide, small = (torch.zeros(3, *size, dtype=torch.uint8) for size in ((30, 10), (10, 30), (5, 5)))
    page = sheet([[tall, small], [wide]], margin=3)
    assert page.shape == (3, 30 + 10 + 3 * 3, 30 + 5 + 3 * 3)
    assert (page == 0).sum() == 3 * (300 + 300 + 25)
    assert (page[:, 3:33, 3:13] == 0).all()
    assert (page[:, 3:8, 36:41] == 0).all()


def test_text_too_long_is_cut_and_dotted() -> None:
    whole, cut = strip("a name", 200), strip("a name that is much longer than the strip is wide", 200)
    assert whole.shape == cut.shape == (3, 20, 200)
    assert (whole[:, :, 100:] == 255).all()
    assert (cut < 128).any()
    assert (cut[:, :, 196:] == 255).all()
    assert strip("x", 3).shape == (3, 20, 3)
    assert titled(torch.zeros(3, 8, 50, dtype=torch.uint8), "one", "two").shape == (3, 48, 50)


def test_large_pictures_are_reduced_and_small_ones_left() -> None:
    assert fitted(smooth(1, 400, 300), 100).shape == (3, 100, 75)
    assert torch.equal(fitted(smooth(1), 100), to_bytes(smooth(1)))
    assert fitted(smooth(1, 1000, 1), 10).shape == (3, 10, 1)
