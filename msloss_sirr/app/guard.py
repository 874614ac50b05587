"""What stands between the page and the network: headers that keep it to itself, and uploads that are too large."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Message, _Receive, _Send], Awaitable[None]]

_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",  # the page's events are functions in strings
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]
_PRIVATE = [(b"cache-control", b"no-store")]
_AROUND = 2**16
"""Bytes of a request beside the file that it carries."""


class Guard:
    """Has browsers ask nobody else for anything, keep no copy of a photograph, and be told of the size that is taken.

    Args:
        app: that is guarded.
        most: bytes of an upload.
        asked: the same as it was asked for.
    """

    def __init__(self, app: _App, most: int, asked: str) -> None:
        self._app = app
        self._most = most
        self._large = f"The file is too large: this page takes up to {asked} (--max-upload).".encode()

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]

        async def guarded(message: _Message) -> None:
            if message["type"] == "http.response.start":
                more = _HEADERS + (_PRIVATE if "/file=" in path else [])
                names = {name for name, _ in more}
                headers = [pair for pair in message.get("headers", []) if pair[0].lower() not in names]
                message = {**message, "headers": headers + more}
            await send(message)

        if path.endswith("/upload") and _length(scope) > self._most + _AROUND:
            await self._refuse(receive, guarded)
            return
        await self._app(scope, receive, guarded)

    async def _refuse(self, receive: _Receive, send: _Send) -> None:
        """Say that an upload is too large; it is read to its end, for browsers listen only then, and is not kept."""
        while (await receive()).get("more_body"):
            pass
        kind = (b"content-type", b"text/plain; charset=utf-8")
        await send({"type": "http.response.start", "status": 413, "headers": [kind]})
        await send({"type": "http.response.body", "body": self._large})


def _length(scope: _Message) -> int:
    """Return how many bytes a request says that it has."""
    told = dict(scope["headers"]).get(b"content-length", b"")
    return int(told) if told.isdigit() else 0
