"""Compare the wheel and the source archive with the working copy; ``make dist``.

The source archive holds every tracked file, and the wheel, which is built from it, those of the packages: unchanged,
and nothing else but what describes them.
"""

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = "msloss/", "msloss_sirr/"
MOST = 15 * 10**6
"""Bytes of the wheel."""


def compare(name: str, expected: Mapping[str, bytes], found: Mapping[str, bytes], more: set[str]) -> None:
    """End unless an archive holds what is expected, and of other files those named."""
    wrong = [
        *(f"{file} is missing" for file in sorted({*expected, *more} - found.keys())),
        *(f"{file} is one too many" for file in sorted(found.keys() - {*expected, *more})),
        *(f"{file} is another" for file in sorted(expected.keys() & found) if expected[file] != found[file]),
    ]
    if wrong:
        sys.exit("\n".join([f"{name} does not hold what it should:", *wrong]))
    print(f"{name}: {len(found)} files, as in the working copy")


def main() -> None:
    """Compare the archives in a folder."""
    folder = Path(sys.argv[1])
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    tracked = {name: (ROOT / name).read_bytes() for name in listed.split("\0") if name}

    top = source.name.removesuffix(".tar.gz")
    with tarfile.open(source) as archive:
        members = {member.name: archive.extractfile(member) for member in archive if not member.isdir()}
        unpacked = {name.removeprefix(f"{top}/"): file.read() for name, file in members.items() if file is not None}
    compare(source.name, tracked, unpacked, {"PKG-INFO"})

    about = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        installed = {name: archive.read(name) for name in archive.namelist()}
    packages = {name: content for name, content in tracked.items() if name.startswith(PACKAGES)}
    beside = {f"{about}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")}
    compare(wheel.name, packages, installed, beside)
    if wheel.stat().st_size > MOST:
        sys.exit(f"{wheel.name} has {wheel.stat().st_size} bytes; {MOST} at most")


if __name__ == "__main__":
    main()
