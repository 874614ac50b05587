"""Folders of photos and pairs: what fits is matched, what does not is named."""

from pathlib import Path

import pytest
import torch

from msloss_sirr.data.folders import Cache, Images, photo_folder
from msloss_sirr.data.sources import open_pairs
from msloss_sirr.errors import InputError
from msloss_sirr.images.listing import find_images

from ..conftest import save, smooth


def test_pairs_are_matched_by_name(pairs: Path) -> None:
    (pairs / "ambient" / "2.png").rename(pairs / "ambient" / "2.bmp")
    found = open_pairs(pairs)
    assert len(found) == 4
    for index in range(4):
        ambient, transmission, depth = found[index]
        assert depth is None
        torch.testing.assert_close(transmission / 255, smooth(10 + index) * 0.8, atol=1 / 255, rtol=0)
        assert ambient.shape == transmission.shape == (3, 40, 56)


def test_photos_are_kept_as_far_as_the_cache_goes(photos: Path) -> None:
    paths = find_images(photos)
    images = Images(paths, cache=Cache(3 * 40 * 56))
    first, second = images[0], images[2]  # of one size
    assert images[0] is first
    assert images[2] is not second
    assert torch.equal(images[2], second)


def check(folder: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        open_pairs(folder)
    assert "\n" not in str(caught.value)


def test_bad_folders_are_named(pairs: Path, tmp_path: Path) -> None:
    check(tmp_path / "none", "none does not exist; give a folder that holds ambient/ and transmission/")
    with pytest.raises(InputError, match="is a file, not a folder"):
        photo_folder(pairs / "ambient" / "0.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty holds no images"):
        photo_folder(tmp_path / "empty")
    check(tmp_path / "empty", "empty holds no pairs; give a folder that holds ambient/ and transmission/")
    save(pairs / "ambient" / "extra.png", smooth(0))
    check(pairs, r"has items that are not whole: extra \(ambient only\)")
    save(pairs / "transmission" / "extra.png", smooth(0, 41))
    check(pairs, "extra.png is 56x40 but its transmission is 56x41")
    save(pairs / "transmission" / "extra.bmp", smooth(0))
    check(pairs, "have the same name; keep one of them")
    (pairs / "transmission" / "extra.bmp").unlink()
    (pairs / "transmission" / "extra.png").write_text("text")
    check(pairs, "cannot read .*extra.png: it is no image file")
