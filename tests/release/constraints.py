"""Resolve everything that work on the project needs to exact versions, and print them; ``make constraints``.

They are for Python 3.12 on Linux. pip reads them as constraints: it takes these versions of what it installs anyway,
and installs nothing for their sake, so that packages of one system among them do no harm elsewhere.
"""

import json
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAD = """\
# What ".[all]" comes to with Python 3.12 on Linux. Made by: make constraints
# To have these versions: make test CONSTRAINTS=.ci/constraints.txt
"""


def main() -> None:
    """Print the file."""
    if sys.version_info[:2] != (3, 12) or platform.system() != "Linux":
        sys.exit(f"constraints are for Python 3.12 on Linux, and this is {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        how = ["--quiet", "--dry-run", "--ignore-installed", f"--report={report}"]
        subprocess.run([sys.executable, "-m", "pip", "install", *how, ".[all]"], cwd=ROOT, check=True)
        found = [each["metadata"] for each in json.loads(report.read_text())["install"] if not each["is_direct"]]
    lines = sorted(f"{re.sub('[-_.]+', '-', each['name']).lower()}=={each['version']}" for each in found)
    if local := [line for line in lines if "+" in line]:
        sys.exit(f"builds of one machine alone are no constraints for others: {local}")
    print(HEAD, *lines, sep="\n")


if __name__ == "__main__":
    main()
