"""Types and defaults of options as they are in Python, without what the command line is told of them.

``lr: Annotated[float, arg(name="lr")]`` is a float to whoever reads the reference.
"""

import dataclasses
import sys
import typing
from typing import Any

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, Any]:
    """Strip annotations before they are shown."""
    app.connect("autodoc-before-process-signature", _strip)
    app.connect("autodoc-process-signature", _readable)
    return {"parallel_read_safe": True}


def _strip(_: Sphinx, shown: Any, __: object) -> None:
    owner = _owner(shown)
    if not (isinstance(owner, type) and dataclasses.is_dataclass(owner)):
        return
    plain = typing.get_type_hints(owner)
    for each in owner.__mro__:
        own = each.__annotations__ if dataclasses.is_dataclass(each) else {}
        own.update({name: plain[name] for name in own if name in plain})
    taken = owner.__init__.__annotations__
    taken.update({name: plain[name] for name in taken if name in plain})


def _readable(
    _: Sphinx, __: str, ___: str, ____: Any, _____: object, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Write a default that is made anew for each object as dots; Sphinx takes it for no Python otherwise."""
    return signature and signature.replace("<factory>", "..."), returned


def _owner(shown: Any) -> Any:
    """Return the class that is shown, also where its constructor is handed over in its place."""
    if isinstance(shown, type):
        return shown
    name, _, _ = getattr(shown, "__qualname__", "").partition(".")
    return getattr(sys.modules.get(getattr(shown, "__module__", "")), name, None)
