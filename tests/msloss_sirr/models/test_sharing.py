"""Removers by name: the one in the package, files, folders, and a hub, which a server on this machine plays."""

import dataclasses
import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from msloss_sirr import InputError, Remover, RemoverConfig, load_remover, save_remover
from msloss_sirr.models import hub

from ..conftest import room

CONFIG = RemoverConfig(channels=(4, 6, 8), patch=2, blocks=1)
FORMAT = "msloss_sirr.remover/1"
FETCH = """
import json, sys
from msloss_sirr import InputError, Remover
for options in json.loads(sys.argv[1]):
    try:
        print("loaded", Remover.from_pretrained(**options).config.channels)
    except InputError as error:
        print("refused", error)
print("ran", [name for name in sys.modules if name in ("evil", "pickle_of_others")])
"""


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does: the files of user/name, and why there are no others."""

    weights = b""
    asked: list[str]

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        self.asked.append(self.path)
        repository, _, rest = self.path.strip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        why = {"user/none": "RepoNotFound", "user/gated": "GatedRepo"}.get(repository)
        why = why or (None if revision in ("main", "v1") else "RevisionNotFound")
        why = why or (None if repository == "user/name" and name == "model.safetensors" else "EntryNotFound")
        self.send_response(403 if why == "GatedRepo" else 404 if why else 200)
        if why:
            self.send_header("X-Error-Code", why)
        else:
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("ETag", '"abc"')
            self.send_header("Accept-Ranges", "bytes")
        content = b"" if why else self.weights
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(weights: bytes) -> Iterator[tuple[str, list[str]]]:
    handler = type("Handler", (Hub,), {"weights": weights, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler.asked  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def fetch(endpoint: str, home: Path, *options: dict[str, Any]) -> list[str]:
    """Return what a process of its own says that loads removers from a hub."""
    done = subprocess.run(
        [sys.executable, "-c", FETCH, json.dumps(options)],
        env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "no_proxy": "*"},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_repository_of_the_hub_is_fetched_once_and_what_is_not_there_is_told(tmp_path: Path) -> None:
    save_remover(Remover(CONFIG), tmp_path / "a.safetensors")
    weights = (tmp_path / "a.safetensors").read_bytes()
    with served(weights) as (endpoint, asked):
        told = fetch(
            endpoint,
            tmp_path,
            {"name": "user/name"},
            {"name": "user/name", "revision": "v1"},
            {"name": "user/none"},
            {"name": "user/gated"},
            {"name": "user/empty"},
            {"name": "user/name", "revision": "v2"},
            {"name": "user/other", "local_files_only": True},
            {"name": "user/name", "local_files_only": True},
            {"name": "user/name", "local_files_only": True, "cache_dir": str(tmp_path / "other")},
        )
    at = "refused cannot get model.safetensors of "
    for line, expected in zip(
        told,
        (
            "loaded (4, 6, 8)",
            "loaded (4, 6, 8)",
            f"{at}'user/none': there is no such file or folder here, and no such repository on the hub",
            f"{at}'user/gated': access to it must be asked for on its page",
            f"{at}'user/empty': the repository has no such file",
            f"{at}'user/name' at revision 'v2': the repository has no such revision",
            f"{at}'user/other': there is no such file or folder here, it is not in the cache, and local_files_only",
            "loaded (4, 6, 8)",
            f"{at}'user/name': there is no such file or folder here, it is not in the cache, and local_files_only",
            "ran []",
        ),
        strict=True,
    ):
        assert line.startswith(expected), told
    files = {path.rpartition("/")[2] for path in asked if "/resolve/" in path}
    assert files == {"model.safetensors"}  # and nothing that could be code
    told = fetch(endpoint, tmp_path, {"name": "user/name"}, {"name": "user/fresh"})  # now without a server
    assert told[0] == "loaded (4, 6, 8)"
    assert told[1].startswith(f"{at}'user/fresh': there is no such file or folder here, it is not in the cache")
    assert told[1].endswith("and the hub cannot be reached")


def test_what_comes_from_the_hub_is_checked_as_a_file_is(tmp_path: Path) -> None:
    with served(b"\x80\x04cevil\n" + bytes(1000)) as (endpoint, _):
        told = fetch(endpoint, tmp_path, {"name": "user/name"})
    assert told[0].startswith("refused ")
    assert "is no checkpoint of msloss-sirr, or is damaged" in told[0]
    assert told[1:] == ["ran []"]


def test_options_reach_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Any] = []

    def download(*names: str, **options: Any) -> str:
        asked.append((names, options))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hub, "hf_hub_download", download)
    with pytest.raises(
        InputError, match=r"cannot get model\.safetensors of 'user/name' at revision 'v1': .*No space left on device"
    ):
        Remover.from_pretrained("user/name", revision="v1", cache_dir=tmp_path, token="secret", local_files_only=True)
    options = {"revision": "v1", "cache_dir": tmp_path, "token": "secret", "local_files_only": True}
    assert asked == [(("user/name", "model.safetensors"), options)]


def test_shipped_files_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "hf_hub_download", lambda *_, **__: pytest.fail("asked the hub"))
    shipped, named = Remover.from_pretrained(), Remover.from_pretrained("shipped")
    image = torch.rand(1, 3, 20, 20)
    assert torch.equal(shipped(image).transmission, named(image).transmission)
    remover = Remover(CONFIG)
    remover.save_pretrained(tmp_path / "user" / "name")
    monkeypatch.chdir(tmp_path)
    for name in ("user/name", Path("user/name"), "user/name/model.safetensors", str(tmp_path / "user" / "name")):
        assert Remover.from_pretrained(name).config == CONFIG
    (tmp_path / "user" / "empty").mkdir()
    for name, reason in {
        "user/empty": r"empty has no model\.safetensors; give a folder that save_pretrained wrote",
        "none": "'none' is no file or folder here, nor user/name of the hub; 'shipped' is",
        "a/b/c": "'a/b/c' is no file or folder here",
        "../user": "has no model|is no file or folder here",
        "/nowhere/none.safetensors": "does not exist",
        "user/none.safetensors": "does not exist",
        "": "'' names no remover; give 'shipped', a file, a folder",
        "a b/c": "is no file or folder here",
    }.items():
        with pytest.raises(InputError, match=reason) as caught:
            Remover.from_pretrained(name)
        assert "\n" not in str(caught.value)
    for path in (Path("user/nothing"), Path("shipped")):
        with pytest.raises(InputError, match="does not exist"):
            Remover.from_pretrained(path)
    with pytest.raises(InputError, match="3 names no remover"):
        Remover.from_pretrained(3)  # type: ignore[arg-type]


def test_a_folder_holds_the_remover_its_configuration_and_a_card(tmp_path: Path) -> None:
    remover = Remover(dataclasses.replace(CONFIG, depth="ranged")).half()
    folder = tmp_path / "a" / "b"
    remover.save_pretrained(str(folder))
    assert {path.name for path in folder.iterdir()} == {"README.md", "config.json", "model.safetensors"}
    assert json.loads((folder / "config.json").read_text()) == json.loads(
        json.dumps(dataclasses.asdict(remover.config))
    )
    card = huggingface_hub.ModelCard.load(folder / "README.md")
    assert (card.data.library_name, card.data.pipeline_tag) == ("msloss", "image-to-image")
    assert "reflection-removal" in card.data.tags
    save_remover(remover, tmp_path / "a.safetensors")
    assert (folder / "model.safetensors").read_bytes() == (tmp_path / "a.safetensors").read_bytes()
    (folder / "README.md").write_text("mine")
    Remover(CONFIG).save_pretrained(folder)
    assert (folder / "README.md").read_text() == "mine"
    assert Remover.from_pretrained(folder).config == CONFIG
    (folder / "config.json").write_text("{}")  # for readers alone
    assert Remover.from_pretrained(folder).config == CONFIG
    with pytest.raises(InputError, match=r"a\.safetensors is a file; give a folder"):
        remover.save_pretrained(tmp_path / "a.safetensors")
    with room(1000), pytest.raises(OSError, match="File too large"):
        remover.save_pretrained(folder)
    assert Remover.from_pretrained(folder).config == CONFIG


@pytest.mark.parametrize("card", [False, True])
def test_push_uploads_what_a_folder_holds(monkeypatch: pytest.MonkeyPatch, card: bool) -> None:
    done: list[Any] = []

    def upload(self: Any, *, folder_path: Path, **options: Any) -> str:
        found = Remover.from_pretrained(Path(folder_path))
        files = {path.name: path.read_text() for path in Path(folder_path).glob("*.[jm][sd]*")}
        done.append((self.token, found.config, files, options))
        return "https://hub/commit"

    def create(self: Any, repo_id: str, **options: Any) -> Any:
        done.append((repo_id, options["private"]))
        return huggingface_hub.RepoUrl(f"https://huggingface.co/{repo_id}")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", create)
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", upload)
    monkeypatch.setattr(huggingface_hub.HfApi, "file_exists", lambda *_, **__: card)
    remover = Remover(CONFIG)
    commit = remover.push_to_hub("user/name", commit_message="Say so", private=True, token="secret", branch="new")
    assert commit == "https://hub/commit"
    created, (token, config, files, options) = done
    assert (created, token, config) == (("user/name", True), "secret", CONFIG)
    assert files.keys() == {"README.md", "config.json"}
    assert 'Remover.from_pretrained("user/name")' in files["README.md"]
    assert (options["repo_id"], options["revision"], options["commit_message"]) == ("user/name", "new", "Say so")
    assert options["ignore_patterns"] == (["README.md"] if card else None)  # a card that somebody wrote stays


def test_a_push_that_fails_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("401 Client Error\nInvalid username or password.")

    monkeypatch.setattr(huggingface_hub.HfApi, "file_exists", fail)
    with pytest.raises(InputError, match=r"^the remover could not be uploaded to 'user/name': 401 Client Error$"):
        Remover(CONFIG).push_to_hub("user/name")


def write(path: Path, config: Any, tensors: dict[str, torch.Tensor] | None = None) -> Path:
    told = config if isinstance(config, str) else json.dumps(config)
    save_file(tensors or {"weight": torch.zeros(3)}, path, {"format": FORMAT, "config": told})
    return path


SANE = json.loads(json.dumps(dataclasses.asdict(CONFIG)))
REFUSED: dict[str, tuple[Any, str]] = {
    "architecture": ({**SANE, "architecture": "transformer"}, "architecture is 'transformer'; give one of 'unet'"),
    "a module to import": ({**SANE, "architecture": "os:system"}, "architecture is 'os:system'; give one of"),
    "another field": ({**SANE, "auto_map": {"AutoModel": "evil.py"}}, "'auto_map' is no field of its configuration"),
    "a field with a newline": ({**SANE, "a\nb": 1}, r"'a\\nb' is no field"),
    "a billion channels": ({**SANE, "channels": [10**9]}, "give at most 8192"),
    "more channels than 64 bits": ({**SANE, "channels": [10**40, 4]}, "give at most 8192"),
    "a billion pixels a patch": ({**SANE, "patch": 10**9}, "give at most 8192, and 64"),
    "a billion ranges": ({**SANE, "ranges": 10**9}, "ranges is 1000000000; give at most"),
    "a billion blocks": ({**SANE, "blocks": 10**9}, "at most 100 blocks"),
    "a billion pixels to look at": ({**SANE, "architecture": "squeezenet", "view": 10**9}, "give at most 65536 pixels"),
    "ten levels of the widest": (
        {**SANE, "architecture": "unet", "channels": [8192] * 10},
        "weights; more than .* are not read",
    ),
    "no channels": ({"patch": 2}, "'channels' is not told"),
    "channels in words": ({**SANE, "channels": "4 6 8"}, "channels is '4 6 8'; give whole numbers"),
    "channels as switches": ({**SANE, "channels": [True, True]}, "channels is .*; give whole numbers"),
    "a fraction": ({**SANE, "patch": 2.5}, "patch is 2.5; give a whole number"),
    "NaN": ({**SANE, "blocks": float("nan")}, "blocks is nan; give a whole number"),
    "nothing": ({**SANE, "patch": None}, "does not fit this version of msloss"),
    "a list": ([1], "its configuration is .*, which has no fields"),
    "null": ("null", "its configuration is None"),
    "no JSON": ("{", "does not fit this version of msloss"),
    "brackets without end": ("[" * 100_000, "does not fit this version of msloss"),
    "a long word": ({**SANE, "architecture": "a" * 100_000}, r"architecture is 'aaa.* \.\.\."),
    "other weights": (SANE, "holds no remover of this version of msloss: .* is missing"),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_configurations_of_others_are_checked_before_memory_is_taken(tmp_path: Path, case: str) -> None:
    config, reason = REFUSED[case]
    path = write(tmp_path / "a.safetensors", config)
    with pytest.raises(InputError, match=reason) as caught:
        Remover.from_pretrained(path)
    told = str(caught.value).removeprefix(str(path))
    assert told.isprintable()
    assert len(told) < 500


def test_weights_that_do_not_fit_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = Remover(CONFIG).state_dict()
    name = next(iter(state))
    read: list[str] = []
    monkeypatch.setattr("msloss_sirr.models.files._wide", lambda tensor: read.append("") or tensor)
    for spoilt, reason in (
        ({**state, name: torch.zeros(2, 2)}, "has another shape"),
        ({**state, "more\x1b[31m\n": torch.zeros(2)}, r"'more\\x1b\[31m\\n' is not one of its"),
        ({key: value for key, value in state.items() if key != name}, "is missing"),
    ):
        path = write(tmp_path / "a.safetensors", SANE, {key: value.clone() for key, value in spoilt.items()})
        with pytest.raises(InputError, match=reason) as caught:
            load_remover(path)
        assert "\n" not in str(caught.value)
    assert not read
    write(tmp_path / "a.safetensors", SANE, {key: value.clone() for key, value in state.items()})
    load_remover(tmp_path / "a.safetensors")
    assert len(read) == len(state)


def test_headers_that_lie_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    about = {"format": FORMAT, "config": json.dumps(SANE)}
    for tensor in (
        {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0, 10**15]},
        {"dtype": "PICKLE", "shape": [1], "data_offsets": [0, 4]},
    ):
        header = json.dumps({"__metadata__": about, "weight": tensor}).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
        with pytest.raises(InputError, match="is no checkpoint of msloss-sirr, or is damaged") as caught:
            load_remover(path)
        assert "\n" not in str(caught.value)
    path.write_bytes(struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(InputError, match="is no checkpoint of msloss-sirr, or is damaged"):
        load_remover(path)


def test_a_pickle_by_the_name_of_a_checkpoint_is_not_opened(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    torch.save(Evil(), tmp_path / "model.safetensors")
    torch.save(Evil(), tmp_path / "pytorch_model.bin")
    for name in (tmp_path, tmp_path / "model.safetensors", tmp_path / "pytorch_model.bin"):
        with pytest.raises(InputError, match="no checkpoint of msloss-sirr"):
            Remover.from_pretrained(name)
    assert not (tmp_path / "ran").exists()


def test_the_shipped_file_is_what_a_remover_writes(tmp_path: Path) -> None:
    import msloss_sirr

    own = Path(msloss_sirr.__file__).parent / "weights" / "default.safetensors"
    with safe_open(own, framework="pt") as file:
        about = file.metadata()
    assert about["format"] == FORMAT
    again = Remover.from_pretrained(own)
    assert json.loads(about["config"]) == json.loads(json.dumps(dataclasses.asdict(again.config)))


def test_whoever_only_computes_does_not_wait_for_the_hub() -> None:
    code = "import sys, msloss_sirr; msloss_sirr.Remover.from_pretrained(); print('huggingface_hub' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
