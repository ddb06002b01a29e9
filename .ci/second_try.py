#!/usr/bin/env python3
"""pytest, and once more for the tests that failed: in a process of its own, so that every fixture is made anew.

    second_try.py LIST [arguments of pytest]

Each test that failed gets its two outcomes told, at the end of what is printed here and at the end of the file LIST. The
exit status is that of the second try. Where the first one had another fault than tests that fail (it was interrupted,
its tests left something on the machine), that one's status stays, and the list says so as well.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

TESTS_FAILED = 1
ONLY_FAILED = ("--last-failed", "--last-failed-no-failures=none")


def attempt(*arguments: str) -> tuple[int, dict[str, str]]:
    """The exit status of pytest, and for each test why it failed, in a line; nothing for one that did not."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        pytest = [sys.executable, "-m", "pytest", f"--junit-xml={report}"]
        status = subprocess.run([*pytest, *arguments], check=False).returncode
        cases = ElementTree.parse(report).iter("testcase") if report.exists() else ()
        return status, {name(case): reason(case) for case in cases}


def name(case: ElementTree.Element) -> str:
    return f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"


def reason(case: ElementTree.Element) -> str:
    found = [element.get("message", "") for element in case if element.tag in ("failure", "error")]
    return (found[0].splitlines() or ["without a reason"])[0] if found else ""


def told(test: str, first: str, second: str | None) -> str:
    outcome = "not run" if second is None else f"failed: {second}" if second else "passed"
    return f"{test}\n  first try: failed: {first}\n  second try: {outcome}\n"


def main() -> int:
    closing_list, *arguments = sys.argv[1:]
    status, first = attempt(*arguments)
    failed = {test: why for test, why in first.items() if why}
    after, second = attempt(*arguments, *ONLY_FAILED) if failed else (status, {})
    lines = [told(test, why, second.get(test)) for test, why in failed.items()]
    if status not in (0, TESTS_FAILED):
        lines.append(f"pytest {' '.join(arguments)} ended with {status}: see the end of its first try above\n")
    with Path(closing_list).open("a", encoding="utf-8") as handle:
        handle.writelines(lines)
    sys.stdout.writelines(lines)
    return after if status == TESTS_FAILED else status


if __name__ == "__main__":
    sys.exit(main())
