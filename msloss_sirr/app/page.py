"""The page: what is on it, and what happens when it is used."""

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr

from msloss_sirr.app.sessions import Sessions
from msloss_sirr.errors import InputError
from msloss_sirr.models.config import STRONGEST
from msloss_sirr.photo.jobs import Job
from msloss_sirr.photo.options import RemovalOptions
from msloss_sirr.photo.results import is_of_a_photograph, line_of

_Answer = TypeVar("_Answer")

TITLE = "Take the reflection off a photograph"
_WELCOME = "Give a photograph that was taken through glass: a JPEG, PNG, WebP, TIFF, HEIC or AVIF file."
_AFTER = (
    "Photographs stay on the computer that runs this page, and are deleted once it is closed. What is downloaded has "
    "the photograph's own size, format, colours and metadata."
)
_ASIDE = Path(__file__).with_name("page.css"), Path(__file__).with_name("page.js")
_QUEUE = 16
"""Requests that wait at most; whoever comes later is told so."""
_DIVIDE = "(place) => ({__type__: 'update', slider_position: place})"
_FETCH = "() => document.querySelector('#fetch').click()"


def build_page(sessions: Sessions) -> gr.Blocks:
    """Return the page.

    Args:
        sessions: of those who use it.
    """
    answers = _Answers(sessions)
    page = gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(600, 86400))
    with page:
        gr.HTML(f"<h1>{TITLE}</h1><p>{_AFTER}</p>")
        with gr.Row():
            with gr.Column(scale=1, min_width=280):
                photo = gr.File(label="Photograph", elem_id="photo", height=170)
                strength = gr.Slider(0, STRONGEST, 1, step=0.05, label="Strength", info=_STRENGTH, elem_id="strength")
                steps = gr.Radio(["1", "2", "3", "auto"], value="1", label="Steps", info=_STEPS, elem_id="steps")
                save = gr.Button("Download the photograph", variant="primary", interactive=False, elem_id="save")
                peel = gr.Button("Download the reflection", interactive=False, elem_id="peel")
                fetch = gr.DownloadButton("The file", visible="hidden", elem_id="fetch")
            with gr.Column(scale=3, min_width=280):
                status = gr.HTML(_sentence(_WELCOME), elem_id="status")
                both = gr.ImageSlider(
                    label="Before (left) and after (right)",
                    buttons=[],
                    interactive=False,
                    max_height=560,
                    elem_id="both",
                )
                divider = gr.Slider(0, 100, 50, step=1, label="Divider", info=_DIVIDER, elem_id="divider")
                layer = gr.Image(label="Reflection", buttons=[], interactive=False, height=400, elem_id="layer")
        shown = [status, both, layer, save, peel]
        work: dict[str, Any] = {"concurrency_id": "photo", "concurrency_limit": 1, "api_visibility": "private"}
        latest: dict[str, Any] = {**work, "trigger_mode": "always_last", "show_progress_on": [both]}
        photo.upload(answers.begin, [photo, strength, steps], shown, show_progress_on=[both], **work)
        photo.clear(answers.clear, None, shown, queue=False, api_visibility="private")
        for control in (strength, steps):
            control.change(answers.again, [strength, steps], shown, **latest)
        divider.change(None, divider, both, js=_DIVIDE, api_visibility="private")
        for button, write in ((save, answers.transmission), (peel, answers.reflection)):
            made = button.click(write, [strength, steps], fetch, show_progress_on=[button], **work)
            made.success(None, js=_FETCH, api_visibility="private")
        page.unload(answers.leave)
    page.queue(max_size=_QUEUE, api_open=False)
    return page


def dress() -> dict[str, Any]:
    """Return how the page looks, as ``mount_gradio_app`` takes it: nothing of it comes from elsewhere."""
    style, script = _ASIDE
    theme = gr.themes.Default(
        primary_hue=gr.themes.colors.blue,
        neutral_hue=gr.themes.colors.slate,
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_title_text_color="*neutral_700",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
    )
    return {
        "theme": theme,
        "css": style.read_text(encoding="utf-8"),
        "head": f"<script>{script.read_text(encoding='utf-8')}</script>",
    }


_STRENGTH = "How much of the reflection is taken off: 0 leaves the photograph as it is."
_STEPS = "How many times the remover is applied to its own result; auto: until that changes little."
_DIVIDER = "Where the photograph before gives way to that after, in percent from the left."


class _Answers:
    """What the page answers, for components in the order of ``shown`` above."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def begin(self, given: str | None, strength: float, steps: str, request: gr.Request) -> tuple[Any, ...]:
        """Show a photograph that has been given."""
        key = _key(request)
        if given is None:
            return self.clear(request)
        try:
            _told(Path(given), lambda: self._sessions.begin(key, Path(given)))
        except InputError as error:
            return _nothing(f"{error}.")
        return self.again(strength, steps, request)

    def again(self, strength: float, steps: str, request: gr.Request) -> tuple[Any, ...]:
        """Show the photograph as it is with other options."""
        key = _key(request)
        if not self._sessions.has(key):
            return (gr.skip(),) * 5
        session = self._sessions.of(key)
        try:
            shown = _told(session.source, lambda: session.show(self._options(strength, steps)))
        except InputError as error:
            self._sessions.end(key)
            return _nothing(f"{error}.")
        ready = gr.update(interactive=True)
        return _sentence(shown.told), (str(shown.before), str(shown.after)), str(shown.reflection), ready, ready

    def clear(self, request: gr.Request) -> tuple[Any, ...]:
        """Forget the photograph."""
        self._sessions.end(_key(request))
        return _nothing(_WELCOME, wrong=False)

    def leave(self, request: gr.Request) -> None:
        """Forget the photograph of a page that has been closed."""
        self._sessions.end(_key(request))

    def transmission(self, strength: float, steps: str, request: gr.Request) -> str:
        """Write the result."""
        return self._write(strength, steps, request, reflection=False)

    def reflection(self, strength: float, steps: str, request: gr.Request) -> str:
        """Write what was taken off."""
        return self._write(strength, steps, request, reflection=True)

    def _write(self, strength: float, steps: str, request: gr.Request, *, reflection: bool) -> str:
        try:
            session = self._sessions.of(_key(request))
            options = self._options(strength, steps)
            return str(_told(session.source, lambda: session.write(options, reflection=reflection)))
        except InputError as error:
            raise gr.Error(html.escape(str(error)), duration=None, print_exception=False) from None

    def _options(self, strength: float, steps: str) -> RemovalOptions:
        return self._sessions.tool.options(strength, "auto" if steps == "auto" else int(steps))


def _told(source: Path, work: Callable[[], _Answer]) -> _Answer:
    """Return what some work returns.

    Raises:
        InputError: if it cannot be done; files have the names that their owner knows, without folders.
    """
    try:
        return work()
    except Exception as error:
        if not is_of_a_photograph(error):
            raise
        line = line_of(error, Job(source, source))
        raise InputError(line.replace(f"{source.parent}/", "")) from error


def _nothing(told: str, *, wrong: bool = True) -> tuple[Any, ...]:
    off = gr.update(interactive=False)
    return _sentence(told, wrong=wrong), None, None, off, off


def _sentence(told: str, *, wrong: bool = False) -> str:
    printable = "".join(c if c.isprintable() else " " for c in told)
    return f'<p class="{"wrong" if wrong else "told"}">{html.escape(printable)}</p>'


def _key(request: gr.Request) -> str:
    return str(request.session_hash)
