"""A diagnosis, to read and to process further."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from msloss_sirr.doctor.diagnosis import Diagnosis
from msloss_sirr.doctor.findings import SEVERITIES
from msloss_sirr.files import check_free, whole_file

_FORMAT = "msloss_sirr.diagnosis/1"


def report(diagnosis: Diagnosis, *, lines: int = 0) -> Iterator[str]:
    """Yield the lines of a report.

    Args:
        diagnosis: what to report.
        lines: findings to show of each severity and kind; 0 shows all.
    """
    listing = diagnosis.listing
    yield f"{listing.description.title}: {listing.root}"
    for (subset, split), number in sorted(counts(diagnosis).items()):
        yield f"  {' '.join(word for word in (subset, split) if word) or 'items'}: {number}"
    shown: Counter[tuple[str, str]] = Counter()
    total = Counter((finding.severity, finding.kind) for finding in diagnosis.findings)
    for finding in diagnosis.findings:
        key = finding.severity, finding.kind
        shown[key] += 1
        if not lines or shown[key] <= lines:
            yield f"{finding.severity}: {finding.kind}: {finding.sentence}"
        elif shown[key] == lines + 1:
            yield f"{finding.severity}: {finding.kind}: and {total[key] - lines} more; --lines 0 prints all"
    yield ", ".join(_number(diagnosis, severity) for severity in SEVERITIES)


def write_json(diagnosis: Diagnosis, path: Path, *, overwrite: bool = False) -> None:
    """Write all findings, and what was looked at, to a file.

    Raises:
        InputError: if the file is there already, and is not to be replaced.
    """
    check_free(path, overwrite=overwrite)
    listing = diagnosis.listing
    content = {
        "format": _FORMAT,
        "set": listing.description.name,
        "folder": str(listing.root),
        "sound": diagnosis.sound,
        "items": [
            {"subset": subset, "split": split, "count": n} for (subset, split), n in sorted(counts(diagnosis).items())
        ],
        "findings": [asdict(finding) for finding in diagnosis.findings],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def counts(diagnosis: Diagnosis) -> Counter[tuple[str, str]]:
    """Return how many whole items there are, by subset and split."""
    return Counter((item.subset, item.split) for item in diagnosis.listing.items)


def _number(diagnosis: Diagnosis, severity: str) -> str:
    number = sum(finding.severity == severity for finding in diagnosis.findings)
    return f"{number} {severity}{'' if number == 1 else 's'}"
