"""The page, served until it is interrupted."""

import importlib.util
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from msloss_sirr.app.config import AppConfig
from msloss_sirr.errors import InputError


class _Terminated(KeyboardInterrupt):
    """The process has been asked to end by another."""

    number = signal.SIGTERM


_PATIENCE = 2
"""Seconds in which requests may end once the page is to be closed."""


def serve(config: AppConfig, ready: Callable[[str], None]) -> None:
    """Serve the page until the process is interrupted; nothing that was given to it is left then.

    Args:
        config: what to serve, and where.
        ready: called with the address once the page can be reached.

    Raises:
        InputError: if the extra ``app`` is not installed, the address cannot be had, or the remover cannot be used.
        KeyboardInterrupt: when it has been interrupted.
    """
    if importlib.util.find_spec("gradio") is None:
        raise InputError('the page needs gradio, which is not installed; pip install "msloss[app]"')
    listening = _listening(config)
    before = tempfile.tempdir
    try:
        with (
            listening,
            _ended_by_terms(),
            tempfile.TemporaryDirectory(prefix="msloss-app-", ignore_cleanup_errors=True) as folder,
        ):
            tempfile.tempdir = os.environ["GRADIO_TEMP_DIR"] = folder  # before gradio is imported, which remembers it
            _serve(config, Path(folder), listening, ready)
    finally:
        tempfile.tempdir = before


def _serve(config: AppConfig, folder: Path, listening: socket.socket, ready: Callable[[str], None]) -> None:
    from msloss_sirr.app.config import parse_count
    from msloss_sirr.app.session import Tool
    from msloss_sirr.app.sessions import Sessions
    from msloss_sirr.devices import find_device
    from msloss_sirr.photo.loading import load_on
    from msloss_sirr.photo.memory import allowed, parse_size

    most = parse_size(config.max_upload)
    allowed(config.max_memory)
    device = find_device(config.device)
    remover, source = load_on(device, config.checkpoint, config.depth, flip=False)
    tool = Tool(remover, source, device, config.max_memory, parse_count(config.max_pixels))

    import gradio as gr
    import uvicorn
    from fastapi import FastAPI

    from msloss_sirr.app.guard import Guard
    from msloss_sirr.app.page import build_page, dress

    host, port = listening.getsockname()[:2]
    page = build_page(Sessions(tool, folder))
    app = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        page,
        path="/",
        server_name=host,
        server_port=port,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        max_file_size=most,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        **dress(),
    )
    server = uvicorn.Server(
        uvicorn.Config(
            Guard(app, most, config.max_upload),
            log_level="error",
            access_log=False,
            timeout_graceful_shutdown=_PATIENCE,
            server_header=False,
        )
    )
    ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
    server.run(sockets=[listening])


def _listening(config: AppConfig) -> socket.socket:
    """Return a socket at the address that the page is to have."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise InputError(f"{config.host} is no address of this machine: {error.strerror}") from error
    found = socket.socket(family, kind)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen()  # now, not later: of two that have bound a port, only one may listen
    except OSError as error:
        found.close()
        raise InputError(
            f"cannot listen at {config.host}, port {config.port}: {error.strerror}; give another --port, or --host"
        ) from error
    return found


@contextmanager
def _ended_by_terms() -> Iterator[None]:
    """Have SIGTERM end a block as Ctrl-C does, so that files are deleted."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
