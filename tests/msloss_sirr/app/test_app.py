"""The web page without a browser: sessions, limits, what is refused, and what is left."""

import asyncio
import importlib.util
import os
import shutil
import signal
import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from msloss_sirr import InputError, Layers, Remover, load_remover
from msloss_sirr.app.config import AppConfig, parse_count
from msloss_sirr.app.guard import Guard
from msloss_sirr.app.session import PREVIEW, Session, Tool
from msloss_sirr.app.sessions import Sessions
from msloss_sirr.cli import main
from msloss_sirr.images.reading import read_pixels, to_float
from msloss_sirr.photo.resizing import reduced

from ..conftest import fails, pixels_of, save, smooth
from .served import glass_photo, served


class Counting(torch.nn.Module):
    """A remover that counts how many times it is applied."""

    def __init__(self, remover: Remover) -> None:
        super().__init__()
        self.remover, self.calls = remover, 0

    def forward(self, ambient: torch.Tensor) -> Layers:
        self.calls += 1
        found: Layers = self.remover(ambient)
        return found


@pytest.fixture
def tool(checkpoint: Path) -> Tool:
    return Tool(Counting(load_remover(checkpoint)), None, torch.device("cpu"))


@pytest.fixture
def begin(tool: Tool, tmp_path: Path) -> Callable[[Path], Session]:
    """Begin a session with a file, in a folder of its own."""

    def session(given: Path) -> Session:
        home = tmp_path / f"home of {given.name}"
        home.mkdir()
        return Session.begin(tool, given, home)

    return session


@pytest.mark.parametrize("name", ["a.jpg", "b c.PNG", "deep.tif", "lossy.webp"])
@pytest.mark.parametrize(("strength", "steps"), [(1, 1), (0.4, 2), (0, 1), (1.5, "auto")])
def test_files_are_those_of_the_command_line(
    name: str, strength: float, steps: Any, begin: Callable[[Path], Session], checkpoint: Path, tmp_path: Path
) -> None:
    photo = tmp_path / name
    if name == "a.jpg":
        glass_photo(photo, 200)
    elif name == "deep.tif":
        Image.fromarray((smooth(1).numpy()[0] * 65535).astype(np.uint16)).save(photo)
    else:
        save(photo, smooth(1))
    session = begin(photo)
    options = session.tool.options(strength, steps)
    if steps != "auto":  # whether the page has shown it before changes nothing
        session.show(options)
    words = ["--checkpoint", checkpoint, "--strength", strength, "--steps", steps, "--reflection", "--device", "cpu"]
    main(["remove", str(photo), "-o", str(tmp_path / "out"), *map(str, words)])
    made = session.write(options, reflection=False)
    assert made.name == name
    assert made.read_bytes() == (tmp_path / "out" / name).read_bytes()
    layer = session.write(options, reflection=True)
    assert layer.read_bytes() == (tmp_path / "out" / photo.with_stem(f"{photo.stem}-reflection").name).read_bytes()


def test_another_strength_needs_no_network(begin: Callable[[Path], Session], tool: Tool, tmp_path: Path) -> None:
    session = begin(glass_photo(tmp_path / "photo.jpg", 200))
    session.show(tool.options(1, 2))
    assert isinstance(tool.remover, Counting)
    before = tool.remover.calls
    assert session.show(tool.options(0.5, 2)).after.read_bytes() != session.show(tool.options(1, 2)).after.read_bytes()
    session.write(tool.options(0.3, 2), reflection=True)
    assert tool.remover.calls == before
    session.show(tool.options(0.5, 1))
    assert tool.remover.calls > before


@pytest.mark.parametrize("side", [400, 2000])
def test_what_is_shown_is_the_result_made_small(
    side: int, begin: Callable[[Path], Session], tool: Tool, tmp_path: Path
) -> None:
    session = begin(glass_photo(tmp_path / "photo.png", side))
    options = tool.options(0.8, 1)
    shown, whole = session.show(options), session.write(options, reflection=True)
    layer, result = read_pixels(whole), read_pixels(whole.with_name("photo.png"))
    for path, full in ((shown.before, read_pixels(session.source)), (shown.after, result), (shown.reflection, layer)):
        seen = to_float(read_pixels(path))
        assert seen.shape[1:] == ((side, side * 3 // 4) if side == 400 else (PREVIEW, PREVIEW * 3 // 4))
        assert (seen - reduced(full, *seen.shape[1:])).square().mean().sqrt() < 0.01
    assert shown.told == f"photo.png, {side * 3 // 4} x {side} pixels: its reflection is taken off."


def test_it_is_said_when_nothing_changes(begin: Callable[[Path], Session], tool: Tool, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "black.png")
    session = begin(tmp_path / "black.png")
    shown = session.show(tool.options(1, 1))
    assert shown.told == "black.png, 40 x 30 pixels: no reflection was found, so it stays as it is."
    assert not pixels_of(shown.reflection).any()
    assert "at strength 0" in session.show(tool.options(0, 1)).told


def test_only_the_last_results_are_kept(begin: Callable[[Path], Session], tool: Tool, tmp_path: Path) -> None:
    session = begin(glass_photo(tmp_path / "photo.jpg", 200))
    for number in range(6):
        shown = session.show(tool.options(0.5 + number / 10, 1))
        made = session.write(tool.options(0.5 + number / 10, 1), reflection=False)
        assert shown.after.exists()
        assert made.exists()
    assert len(list(session.source.parent.iterdir())) <= 5


def test_limits(tool: Tool, tmp_path: Path) -> None:
    photo = glass_photo(tmp_path / "photo.jpg", 200)
    (tmp_path / "home").mkdir()
    session = Session.begin(tool._replace(max_pixels=29_999), photo, tmp_path / "home")
    with pytest.raises(InputError, match=r"too large: 200x150 pixels; this page takes up to 0.029999 megapixels"):
        session.show(tool.options(1, 1))
    with pytest.raises(InputError, match="too large"):
        session.write(tool.options(1, 1), reflection=False)
    text = tmp_path / "photo.txt"
    text.write_text("text")
    with pytest.raises(InputError, match="is not named as an image"):
        Session.begin(tool, text, tmp_path / "home")


def test_nothing_is_left_of_a_page(tool: Tool, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    sessions = Sessions(tool, folder, most=2)

    def give(name: str) -> Path:
        path = folder / name / "photo.jpg"
        path.parent.mkdir(parents=True)
        shutil.copy(glass_photo(tmp_path / "photo.jpg", 200), path)
        return path

    sessions.begin("one", give("a")).show(tool.options(1, 1))
    sessions.begin("one", give("b"))
    assert not (folder / "a").exists()
    sessions.end("one")
    sessions.end("one")
    assert list(folder.iterdir()) == []
    with pytest.raises(InputError, match="no longer here"):
        sessions.of("one")
    for number in range(3):
        sessions.begin(f"{number}", give(f"{number}"))
    assert [sessions.has(f"{number}") for number in range(3)] == [False, True, True]
    assert len(list(folder.iterdir())) == 4
    with pytest.raises(InputError, match="not named as an image"):
        sessions.begin("1", give("c").rename(folder / "c" / "photo.txt"))
    (folder / "broken off").write_bytes(b"half a photograph")
    os.utime(folder / "broken off", (time.time() - 3600,) * 2)
    sessions.begin("4", give("d"))
    assert not (folder / "broken off").exists()
    for key in "1234":
        sessions.end(key)
    assert list(folder.iterdir()) == []


def test_two_pages_with_the_same_file(tool: Tool, tmp_path: Path) -> None:
    sessions = Sessions(tool, tmp_path / "files")
    (tmp_path / "files" / "a").mkdir(parents=True)
    given = glass_photo(tmp_path / "files" / "a" / "photo.jpg", 200)
    first, second = sessions.begin("first", given), sessions.begin("second", given)
    first.show(tool.options(1, 1))
    sessions.end("first")
    second.show(tool.options(1, 1))


def test_the_guard_refuses_large_uploads_and_sets_headers() -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Cache-Control", b"max-age=9")]})
        await send({"type": "http.response.body", "body": b"inner"})

    def ask(path: str, length: int) -> tuple[int, dict[bytes, bytes], bytes]:
        sent: list[Any] = []
        parts = iter([{"type": "http.request", "more_body": True}, {"type": "http.request", "more_body": False}])

        async def receive() -> Any:
            return next(parts)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "path": path, "headers": [(b"content-length", str(length).encode())]}
        asyncio.run(Guard(inner, 2**20, "1M")(scope, receive, send))
        return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]

    status, headers, body = ask("/gradio_api/upload", 2**21)
    assert (status, body) == (413, b"The file is too large: this page takes up to 1M (--max-upload).")
    assert b"default-src 'self'" in headers[b"content-security-policy"]
    assert ask("/gradio_api/upload", 2**20)[2] == b"inner"
    assert ask("/gradio_api/file=photo.jpg", 0)[1][b"cache-control"] == b"no-store"
    assert ask("/", 0)[1][b"Cache-Control"] == b"max-age=9"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--port", "70000"], "port is 70000; give 1 to 65535, or 0 for one that is free"),
        (["--max-pixels", "many"], "'many' is no number of pixels; give one as 50M"),
        (["--max-upload", "much"], "'much' is no amount of memory; give one as 500M or 2G"),
        (["--max-memory", "much"], "'much' is no amount of memory; give one as 500M or 2G"),
        (["--depth.source", "stored"], "the page is given no depth images; leave --depth.source out"),
        (["--host", "no such host"], "no such host is no address of this machine: "),
        (["--checkpoint", "none.safetensors"], "none.safetensors does not exist"),
    ],
)
def test_what_cannot_be_served_is_one_line(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert told in fails(capsys, "app", "--port", 0, *words)


def test_a_port_in_use_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = fails(capsys, "app", "--port", port)
    assert line.startswith(f"cannot listen at 127.0.0.1, port {port}: Address already in use; give another --port")


def test_without_the_extra_the_line_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert fails(capsys, "app").endswith('not installed; pip install "msloss[app]"')


def test_counts() -> None:
    assert (parse_count("100M"), parse_count("2.5k"), AppConfig().host) == (10**8, 2500, "127.0.0.1")


def test_the_page_is_served_and_ends_when_asked_to(tmp_path: Path) -> None:
    with served(tmp_path, end=signal.SIGTERM) as page, urllib.request.urlopen(page.address, timeout=30) as answer:
        text = answer.read().decode()
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert 'lang="en"' in text
        assert "<title>" in text or "Take the reflection off a photograph" in text
        assert "fonts.googleapis" not in text
        assert len(list(tmp_path.iterdir())) == 1
