"""Helper programs: ended at their limit, with whatever they started, and never more kept than was allowed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._host import programs
from ansible_collections.pairbench.lab.plugins.module_utils._host.programs import run_program


def test_both_streams_and_the_status_come_back() -> None:
    code = "import sys; print(sys.stdin.read().upper()); sys.stderr.write('told'); sys.exit(3)"
    done = run_program([sys.executable, "-c", code], 60, stdin="said")
    assert (done.returncode, done.stdout, done.stderr) == (3, "SAID\n", "told")
    merged = run_program([sys.executable, "-c", code], 60, stdin="said", merged=True)
    assert sorted(merged.stdout.split()) == ["SAID", "told"] or "told" in merged.stdout
    assert merged.stderr == ""


def test_a_long_input_is_said_whole_and_one_that_nobody_reads_is_no_error() -> None:
    text = "x" * 300_000
    code = "import sys; print(len(sys.stdin.read()))"
    assert run_program([sys.executable, "-c", code], 60, stdin=text).stdout == "300000\n"
    assert run_program(["true"], 60, stdin=text).returncode == 0


def test_what_is_more_than_allowed_is_thrown_away() -> None:
    code = "import sys; sys.stdout.write('a' * 3_000_000); sys.stdout.write('end')"
    done = run_program([sys.executable, "-c", code], 60, most_bytes=1000)
    assert (done.returncode, done.stdout) == (0, "a" * 1000)


def test_a_program_that_talks_for_ever_ends_at_its_limit() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_program(["yes"], 0.5)
    with pytest.raises(subprocess.TimeoutExpired):
        run_program(["sh", "-c", "exec >&- 2>&-; exec sleep 100"], 0.5)


def test_what_a_program_leaves_in_the_background_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "LINGER_SECONDS", 0.1)
    done = run_program(["sh", "-c", "sleep 20 & echo done"], 15)
    assert (done.returncode, done.stdout) == (0, "done\n")


def test_a_program_that_is_not_there_says_so() -> None:
    with pytest.raises(FileNotFoundError):
        run_program(["/no/such/program"], 5)
