"""Sets that are listed in a CSV file."""

import csv
from collections.abc import Mapping
from pathlib import Path

from msloss_sirr.catalogue.description import LAYERS, Description
from msloss_sirr.catalogue.items import Item, Listing
from msloss_sirr.errors import InputError
from msloss_sirr.images.listing import SUFFIXES


def read_csv(description: Description, path: Path) -> Listing:
    """Return the items of a CSV file; see the set ``csv``.

    Raises:
        InputError: if it is none, or a line of it is no item.
    """
    if not path.is_file():
        raise InputError(f"{path} {'is no file' if path.exists() else 'does not exist'}; give a CSV file")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no CSV file: {error}") from error
    items: dict[tuple[str, str, str], Item] = {}
    for number, row in rows:
        try:
            item = _item_of_row(description, path.parent, row)
        except InputError as error:
            raise InputError(f"{path}, line {number}: {error}") from error
        if (item.subset, item.split, item.name) in items:
            raise InputError(
                f"{path}, line {number}: a second item called {item.name}; tell them apart by a column name"
            )
        items[item.subset, item.split, item.name] = item
    if not items:
        raise InputError(f"{path} lists nothing; give a line for each pair")
    return Listing(description, path.parent, list(items.values()))


def _item_of_row(description: Description, folder: Path, row: Mapping[str, str | None]) -> Item:
    if any("\0" in value for value in row.values() if isinstance(value, str)):
        raise InputError("a name holds a NUL, which no file's can")
    files = {layer: folder / value for layer in LAYERS if (value := row.get(layer))}
    alone = "photo" in files and "ambient" not in files
    missing = [layer for layer in description.required if layer not in files and not alone]
    if missing:
        raise InputError(f"no {missing[0]}; name columns ambient and transmission, and give each line both")
    for layer, image in files.items():
        if image.suffix.lower() not in SUFFIXES:
            raise InputError(f"the {layer} {image} is not named as an image")
    split = row.get("split") or ""
    if split and split not in description.splits:
        raise InputError(description.choices(split))
    name, subset = (
        word.replace("/", "-").replace("\\", "-")
        for word in (row.get("name") or next(iter(files.values())).stem, row.get("subset") or "")
    )
    for what, word in (("name", name), ("subset", subset)):
        if word.startswith("."):
            raise InputError(f"the {what} {word} begins with a dot; give another")
    return Item(name, subset, split, files)
