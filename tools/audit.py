"""Ask pip-audit for known vulnerabilities of the packages that are installed beside this program.

Ends with 1 where a package has one, and where not every package could be asked about, because an audit of nothing is no
audit. With ``--where-it-can`` it is content to say so: a mirror of the package index has no vulnerabilities to tell.
pip and setuptools come with Python's own venv and are no part of the project, so they are left out.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

SECONDS = 120
NOT_OURS = frozenset({"pip", "setuptools"})


def audited() -> list[dict[str, Any]]:
    """What the service says of each package. Raises ValueError with a sentence where it says nothing."""
    command = [
        str(Path(sys.executable).parent / "pip-audit"), "--format=json", "--progress-spinner=off", "--timeout=15",
        f"--path={sysconfig.get_path('purelib')}",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValueError(f"pip-audit could not be run to its end: {error}") from error
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise ValueError(f"pip-audit got no answer; it says: {last[:300]}") from None
    return [package for package in packages if package["name"] not in NOT_OURS]


def main() -> int:
    """Print what was found."""
    try:
        packages = audited()
    except ValueError as error:
        print(f"not audited: {error}")
        return 0 if "--where-it-can" in sys.argv[1:] else 1
    unknown = [package for package in packages if "skip_reason" in package]
    vulnerable = [package for package in packages if package.get("vulns")]
    for package in vulnerable:
        names = ", ".join(vulnerability["id"] for vulnerability in package["vulns"])
        print(f"{package['name']} {package['version']} is vulnerable: {names}")
    print(f"{len(packages) - len(unknown)} of {len(packages)} packages audited, {len(vulnerable)} vulnerable")
    if unknown:
        print(f"not audited: {len(unknown)} packages, the first because: {unknown[0]['skip_reason']}")
    return 1 if vulnerable or (unknown and "--where-it-can" not in sys.argv[1:]) else 0


if __name__ == "__main__":
    sys.exit(main())
