"""What a model may return beside a tensor: tuples, mappings and dataclasses of tensors."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_map


def detach(value: Any) -> Any:
    """Return ``value`` with every tensor in it detached from the graph."""
    if isinstance(value, Tensor):
        return value.detach()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: detach(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
        return dataclasses.replace(value, **fields)
    return tree_map(lambda leaf: detach(leaf) if leaf is not value else leaf, value)


def select(output: Any, part: str | int) -> Any:
    """Return one part of a structured output: a mapping's key, an attribute, or the index of a sequence.

    Raises:
        ValueError: if the output has no such part; the message names those it has.
    """
    if isinstance(part, int):
        if isinstance(output, (tuple, list)) and -len(output) <= part < len(output):
            return output[part]
        size = f" of {len(output)}" if isinstance(output, (tuple, list)) else ""
        raise ValueError(f"feedback={part} but the model returned a {type(output).__name__}{size}")
    if isinstance(output, Mapping):
        if part in output:
            return output[part]
        raise ValueError(f"feedback={part!r} but the model's output has the keys {sorted(map(str, output))}")
    names = _names(output)
    if part in names:
        return getattr(output, part)
    has = f" with the fields {names}" if names else ""
    raise ValueError(f"feedback={part!r} but the model returned a {type(output).__name__}{has}")


def _names(output: Any) -> list[str]:
    if dataclasses.is_dataclass(output):
        return [f.name for f in dataclasses.fields(output)]
    return list(getattr(output, "_fields", ()))
