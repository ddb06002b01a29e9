"""What CI does with a test that fails: one second try, made anew, and both outcomes told at the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CI = Path(__file__).resolve().parents[2] / ".ci"
TESTS = """
import pathlib, pytest
SEEN = pathlib.Path(__file__).with_name("seen")

@pytest.fixture(scope="session")
def made() -> int:
    SEEN.touch()
    (SEEN.parent / f"made{len(list(SEEN.parent.glob('made*')))}").touch()
    return len(list(SEEN.parent.glob("made*")))

def test_passes(made):
    pass

@pytest.mark.parametrize("which", ["a/b.c"])
def test_fails_once(made, which):
    assert made == 2, "the busy machine\\nand more"
"""
ALWAYS_FAILS = """
def test_always_fails():
    raise ValueError("always")
"""


def second_try(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it over a file of tests, with a list that has a line already."""
    (folder / "test_it.py").write_text(text, encoding="utf-8")
    (folder / "list").write_text("earlier\n", encoding="utf-8")
    program = [sys.executable, str(CI / "second_try.py"), str(folder / "list"), "test_it.py", *arguments]
    return subprocess.run(program, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def closing_list(folder: Path) -> list[str]:
    return (folder / "list").read_text(encoding="utf-8").splitlines()


FAILED_ONCE = [
    "earlier", "test_it.py::test_fails_once[a/b.c]",
    "  first try: failed: AssertionError: the busy machine", "  second try: passed",
]  # fmt: skip


def test_a_test_that_fails_once_is_told_and_fails_nothing(tmp_path: Path) -> None:
    done = second_try(tmp_path, TESTS)
    assert done.returncode == 0, done.stdout
    assert closing_list(tmp_path) == FAILED_ONCE
    assert done.stdout.splitlines()[-3:] == FAILED_ONCE[1:]
    assert "1 passed, 1 deselected" in done.stdout


def test_a_test_that_fails_twice_fails_the_whole(tmp_path: Path) -> None:
    done = second_try(tmp_path, TESTS + ALWAYS_FAILS)
    assert done.returncode == 1, done.stdout
    assert closing_list(tmp_path) == [
        *FAILED_ONCE, "test_it.py::test_always_fails", "  first try: failed: ValueError: always",
        "  second try: failed: ValueError: always",
    ]  # fmt: skip
    assert "1 failed, 1 passed, 1 deselected" in done.stdout


def test_where_nothing_fails_nothing_is_tried_again(tmp_path: Path) -> None:
    done = second_try(tmp_path, TESTS, "-k", "passes")
    assert done.returncode == 0 and closing_list(tmp_path) == ["earlier"]
    assert len(list(tmp_path.glob("made*"))) == 1


STEPS = """#!/bin/sh
for word in $2; do case $word in */list) echo "$1 needed it" >> $word;; esac; done
[ "$1" != molecule ]
"""


@pytest.mark.parametrize("tests", ["def test_passes(): pass", "def test_fails(): assert False, 'why'"])
def test_another_fault_of_the_session_stays_one(tmp_path: Path, tests: str) -> None:
    (tmp_path / "conftest.py").write_text("def pytest_sessionfinish(session): session.exitstatus = 8\n", encoding="utf-8")
    done = second_try(tmp_path, tests)
    assert done.returncode == 8, done.stdout
    assert closing_list(tmp_path)[-1] == "pytest test_it.py ended with 8: see the end of its first try above"


def test_the_list_is_the_last_that_ci_says_whatever_step_fails(tmp_path: Path) -> None:
    """With a ``make`` that only plays the steps."""
    script, programs = tmp_path / "clone/.ci/run", tmp_path / "programs"
    script.parent.mkdir(parents=True)
    script.write_bytes((CI / "run").read_bytes())
    programs.mkdir()
    for name, text in {"make": STEPS, "apt-get": "#!/bin/sh\n", "sudo": "#!/bin/sh\n"}.items():
        (programs / name).write_text(text, encoding="utf-8")
        (programs / name).chmod(0o755)
    done = subprocess.run(["bash", str(script)], env={"PATH": f"{programs}:/usr/bin:/bin", "TMPDIR": str(tmp_path)},
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert done.stdout.splitlines()[-2:] == ["test needed it", "test-slow needed it"]
    assert {path.name for path in tmp_path.iterdir()} == {"clone", "programs"}
