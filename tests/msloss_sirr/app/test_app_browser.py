"""The web page in a real browser: Chromium, driven by playwright.

Without Chromium these tests are left out, and the run says so; with ``MSLOSS_BROWSER=required`` they fail instead.
``MSLOSS_BROWSER`` may also be the path of a browser of that family.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from msloss_sirr.cli import main

from .served import Served, glass_photo, served

ASKED = os.environ.get("MSLOSS_BROWSER", "")
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = ASKED if "/" in ASKED else next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
MORE_FLAGS = "--disable-component-update --disable-sync"
CONTROLS = {
    "number input for Strength",
    "range slider for Strength",
    *("1", "2", "3", "auto"),  # the steps
    "Download the photograph",
    "Download the reflection",
    "number input for Divider",
    "range slider for Divider",
}

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and ASKED != "required",
    reason="THE BROWSER TEST IS LEFT OUT: no Chromium here (MSLOSS_BROWSER=required would fail)",
)


class Visit(NamedTuple):
    page: Page
    asked: list[str]
    """Addresses that the browser has asked for."""
    said: list[str]
    """What the page has written to the console as an error."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("files"), "--max-upload", "2M", "--max-pixels", "4M") as page:
        yield page


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert CHROMIUM is not None, "MSLOSS_BROWSER=required, but there is no Chromium; apt-get install chromium"
    with sync_playwright() as playwright:
        flags = [*FLAGS.split(), *MORE_FLAGS.split()]
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield launched
        launched.close()


@pytest.fixture
def visit(server: Served, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Open the page; at the end, nobody else may have been asked for anything."""
    context = browser.new_context(**getattr(request, "param", {"viewport": {"width": 1280, "height": 900}}))
    page, asked, said = context.new_page(), [], []
    page.set_default_timeout(60_000)
    context.on("request", lambda each: asked.append(each.url))
    page.on("websocket", lambda each: asked.append(each.url))
    page.on("console", lambda each: said.append(each.text) if each.type == "error" else None)
    page.on("response", lambda each: said.append(f"{each.status} {each.url}") if each.status >= 400 else None)
    page.on("pageerror", lambda each: said.append(str(each)))
    page.goto(server.address)
    page.wait_for_selector("#divider input")
    expect(page.locator("#status")).to_have_attribute("role", "status")
    yield Visit(page, asked, said)
    context.close()
    elsewhere = [url for url in asked if not url.startswith((f"{server.address}/", "data:", "blob:"))]
    assert (elsewhere, said) == ([], [])
    assert len(asked) > 10


def give(page: Page, path: Path) -> None:
    page.set_input_files("#photo input[type=file]", path)


def shown(page: Page) -> str:
    """Return the address of the picture after, once it is there whole."""
    picture = page.locator("#both img").nth(1)
    expect(picture).to_be_visible(timeout=60_000)
    page.wait_for_function("() => [...document.querySelectorAll('#both img')].every(i => i.complete && i.naturalWidth)")
    return str(picture.get_attribute("src"))


def changed(page: Page, before: str) -> str:
    """Return the address of the picture after, once it is another."""
    expect(page.locator("#both img").nth(1)).not_to_have_attribute("src", before, timeout=60_000)
    return shown(page)


def divided(page: Page) -> float:
    """Return where the picture after begins, in percent from the left."""
    style = str(page.locator("#both img").nth(1).get_attribute("style"))
    found = re.search(r"clip-path: inset\(0px 0px 0px ([\d.]+)%", style)
    assert found is not None, style
    return float(found[1])


def download(page: Page, button: str, to: Path) -> Path:
    with page.expect_download() as coming:
        page.get_by_role("button", name=button).click()
    path = to / coming.value.suggested_filename
    coming.value.save_as(path)
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return glass_photo(tmp_path / "through glass.jpg")


def test_a_photo_is_shown_and_downloaded_as_the_command_line_writes_it(
    visit: Visit, server: Served, photo: Path, tmp_path: Path
) -> None:
    page = visit.page
    give(page, photo)
    first = shown(page)
    expect(page.locator("#status")).to_contain_text("1350 x 1800 pixels: its reflection is taken off.")
    sizes = page.evaluate("[...document.querySelectorAll('#both img')].map(i => [i.naturalWidth, i.naturalHeight])")
    assert sizes == [[1200, 1600]] * 2
    assert divided(page) == 50
    handle = page.get_by_test_id("slider").bounding_box()
    assert handle is not None
    across, down = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    page.mouse.move(across, down)
    page.mouse.down()
    page.mouse.move(across - 100, down, steps=4)
    page.mouse.up()
    assert divided(page) < 45
    main(["remove", str(photo), "-o", str(tmp_path / "cli"), "--reflection", "--device", "cpu"])
    (tmp_path / "web").mkdir()
    got = download(page, "Download the photograph", tmp_path / "web")
    assert got.name == photo.name
    assert got.read_bytes() == (tmp_path / "cli" / photo.name).read_bytes()
    assert got.read_bytes() != photo.read_bytes()
    with Image.open(got) as image:
        assert image.size == (1350, 1800)
        assert image.getexif()[0x010F] == "A camera"
        assert image.info["icc_profile"]
    layer = download(page, "Download the reflection", tmp_path / "web")
    assert layer.stem.endswith("-reflection")
    assert layer.read_bytes() == (tmp_path / "cli" / f"{photo.stem}-reflection.jpg").read_bytes()
    page.get_by_label("number input for Strength").fill("0.5")
    page.get_by_label("number input for Strength").press("Enter")
    page.get_by_label("2", exact=True).check()
    changed(page, first)
    words = ["--strength", "0.5", "--steps", "2", "--device", "cpu"]
    main(["remove", str(photo), "-o", str(tmp_path / "other"), *words])
    got = download(page, "Download the photograph", tmp_path / "web")
    assert got.read_bytes() == (tmp_path / "other" / photo.name).read_bytes()
    assert any(path.name == got.name for path in server.files.rglob("*"))
    page.close()
    gone(server.files, ".jpg", visit)


def gone(folder: Path, suffix: str, visit: Visit) -> None:
    """Wait until no file of a kind is in a folder, of which parts may go at any moment."""
    other = visit.page.context.new_page()
    for _ in range(300):
        if not [name for _, _, names in os.walk(folder) for name in names if name.endswith(suffix)]:
            return
        other.wait_for_timeout(100)
    raise AssertionError(list(folder.rglob("*")))


def test_no_visible_reflection_is_said(visit: Visit, tmp_path: Path) -> None:
    Image.new("RGB", (64, 48), (90, 120, 60)).save(tmp_path / "plain.png")
    give(visit.page, tmp_path / "plain.png")
    shown(visit.page)
    expect(visit.page.locator("#status")).to_contain_text("no reflection was found, so it stays as it is")
    got = download(visit.page, "Download the photograph", tmp_path / "..")
    assert got.read_bytes() == (tmp_path / "plain.png").read_bytes()


def test_what_is_no_photo_is_one_line(visit: Visit, server: Served, photo: Path, tmp_path: Path) -> None:
    text, cmyk, large, wide, moving = (tmp_path / f"{n}.jpg" for n in ("text", "cmyk", "large", "wide", "moving"))
    text.write_text("no image")
    Image.new("CMYK", (40, 30)).save(cmyk)
    large.write_bytes(b"x" * 3 * 2**20)
    Image.new("RGB", (2500, 2000)).save(wide)
    frames = [Image.new("RGB", (40, 30), (shade, 0, 0)) for shade in (0, 200)]
    moving = moving.with_suffix(".webp")
    frames[0].save(moving, save_all=True, append_images=frames[1:])
    page, status = visit.page, visit.page.locator("#status")
    give(page, photo)
    shown(page)
    for path, told in (
        (text, "cannot read text.jpg: it is no image file."),
        (cmyk, "cmyk.jpg is a CMYK image; convert it to RGB."),
        (wide, "wide.jpg is too large: 2500x2000 pixels; this page takes up to 4 megapixels (--max-pixels)."),
        (moving, "moving.webp is animated; give a photograph, or one frame."),
    ):
        clear(page)
        give(page, path)
        expect(status).to_have_text(told, timeout=30_000)
        expect(page.locator("#both img")).to_have_count(0)
        expect(page.get_by_role("button", name="Download the photograph")).to_be_disabled()
    clear(page)
    give(page, large)
    expect(page.get_by_test_id("toast-body")).to_contain_text(
        'File(s) exceed the maximum allowed size of 2.0 Mb: "large.jpg"'
    )
    assert not [path for path in server.files.rglob("*") if path.is_file() and path.stat().st_size > 0]


def clear(page: Page) -> None:
    page.locator("#photo").get_by_label("Clear").click()
    expect(page.locator("#photo input[type=file]")).to_be_attached()


def test_all_can_be_done_by_keyboard(visit: Visit, photo: Path) -> None:
    page = visit.page
    with page.expect_file_chooser() as chooser:
        focus(page, tabs(page)["Photograph: choose a file, or drop one here"])
        page.keyboard.press("Enter")
    chooser.value.set_files(photo)
    first = shown(page)
    expect(page.get_by_role("button", name="Download the photograph")).to_be_enabled()
    reached = tabs(page)
    assert reached.keys() >= CONTROLS
    focus(page, reached["range slider for Divider"])
    page.keyboard.press("Home")  # to the left edge of the picture, which stands in the middle of its frame
    edge = "() => { const after = document.querySelectorAll('#both img')[1], seen = after.getBoundingClientRect();"
    edge += "const width = seen.height * after.naturalWidth / after.naturalHeight;"
    edge += "return Math.abs(parseFloat(after.style.clipPath.split(' ')[3]) - 50 * (1 - width / seen.width)) < 0.5; }"
    page.wait_for_function(edge)
    focus(page, reached["range slider for Strength"])
    page.keyboard.press("ArrowLeft")
    second = changed(page, first)
    focus(page, reached["2"])
    page.keyboard.press("Space")
    changed(page, second)
    focus(page, reached["Download the photograph"])
    with page.expect_download() as coming:
        page.keyboard.press("Enter")
    assert coming.value.path().stat().st_size > 10_000


def tabs(page: Page) -> dict[str, int]:
    """Return what the Tab key reaches from the top of the page on, by name, and after how many times."""
    top(page)
    reached: dict[str, int] = {}
    for number in range(1, 40):
        page.keyboard.press("Tab")
        name = page.evaluate(
            """() => { const e = document.activeElement; if (e === document.body) return '';
                return e.ariaLabel || (e.labels && e.labels.length ? e.labels[0].innerText : e.innerText).trim(); }"""
        )
        reached.setdefault(name, number)
    return reached


def top(page: Page) -> None:
    """Go to the top of the page, from where the Tab key goes on."""
    page.evaluate("() => { document.body.tabIndex = -1; document.body.focus(); }")


def focus(page: Page, times: int) -> None:
    """Go somewhere by the Tab key."""
    top(page)
    for _ in range(times):
        page.keyboard.press("Tab")


def test_everything_has_a_name(visit: Visit, photo: Path) -> None:
    page = visit.page
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.title() == "Take the reflection off a photograph"
    assert page.locator("h1").inner_text() == page.title()
    for path in (None, photo):
        if path is not None:
            give(page, path)
            shown(page)
        unnamed = [node for node in nodes(page) if node["focusable"] and not node["name"]]
        assert unnamed == []
    named = {(node["role"], node["name"]) for node in nodes(page)}
    told = "through glass.jpg, 1350 x 1800 pixels: its reflection is taken off."
    assert {("image", f"Before: {told}"), ("image", f"After: {told}")} <= named
    assert ("image", "The reflection that is taken off, by itself") in named
    assert ("group", "Before and after; the control Divider below moves the line between them") in named
    assert ("group", "Steps") in named


def nodes(page: Page) -> list[dict[str, Any]]:
    """Return what the browser tells those who cannot see the page: role, name, and whether it takes the keyboard."""
    session = page.context.new_cdp_session(page)
    tree = session.send("Accessibility.getFullAXTree")["nodes"]
    return [
        {
            "role": node.get("role", {}).get("value"),
            "name": node.get("name", {}).get("value", ""),
            "focusable": node.get("role", {}).get("value") != "RootWebArea"
            and any(each["name"] == "focusable" and each["value"]["value"] for each in node.get("properties", [])),
        }
        for node in tree
        if not node.get("ignored")
    ]


CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].map(v => v / 255); };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat([1]);
  const light = (c) => { const l = c.slice(0, 3).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2]; };
  const ground = (e) => e === null ? [1, 1, 1, 1] : over(rgba(getComputedStyle(e).backgroundColor),
    ground(e.parentElement));
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    const words = e.matches('input[type=number]') ? e.value
      : [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join('');
    const box = e.getBoundingClientRect();
    if (!words || !box.width || !box.height || e.closest('[disabled], .hide, .hidden, script, style, .sr-only')
      || e.closest('[data-testid=slider]') || !e.checkVisibility({checkOpacity: true, checkVisibilityCSS: true}))
      continue;
    const below = ground(e);
    const [a, b] = [light(over(rgba(getComputedStyle(e).color), below)), light(below)];
    found.push([words.slice(0, 40), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
  }
  return found; }"""


@pytest.mark.parametrize(
    "visit",
    [
        {"color_scheme": scheme, "viewport": {"width": width, "height": 900}}
        for scheme, width in (("light", 1280), ("dark", 390))
    ],
    ids=["light", "dark"],
    indirect=True,
)
def test_text_stands_out(visit: Visit, photo: Path, tmp_path: Path) -> None:
    page = visit.page
    for path in (None, photo, tmp_path / "text.jpg"):
        if path is not None:
            if path is not photo:
                path.write_text("no image")
                clear(page)
            give(page, path)
            expect(page.locator("#status")).to_contain_text("taken off." if path is photo else "no image file")
        measured = page.evaluate(CONTRAST)
        assert len(measured) > 12
        assert [each for each in measured if each[1] < 4.5] == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
