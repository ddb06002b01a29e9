"""The process under a guest: found by a pid file or a rule, and never mistaken for another."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._tracing.guest_process import VmmNotFound, find, still_there

MARK = f"pbunit-guest-{os.getpid()}"


def started(mark: str) -> subprocess.Popen[bytes]:
    """A process that has its command line: the kernel tells of the new program before it has written that down."""
    process = subprocess.Popen([sys.executable, "-c", "input(print(flush=True))", mark], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == b"\n"
    return process


@pytest.fixture
def guest() -> Iterator[subprocess.Popen[bytes]]:
    process = started(MARK)
    yield process
    process.kill()
    process.wait()


def test_a_guest_is_found_by_its_pid_file_and_by_a_rule(guest: subprocess.Popen[bytes], tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    pid_file.write_text(f"{guest.pid}\n", encoding="ascii")
    found = find({"pid_file": str(pid_file)})
    assert found == find({"match": f" {MARK} $"})
    assert found["pid"] == guest.pid and found["command"].endswith(MARK) and still_there(found)
    guest.kill()
    guest.wait()
    assert not still_there(found)
    with pytest.raises(VmmNotFound, match="which does not run: is the guest up"):
        find({"pid_file": str(pid_file)})


def test_who_looks_is_not_found_and_a_rule_fits_one_process_only() -> None:
    with pytest.raises(VmmNotFound, match="the command line of no process has"):
        find({"match": f"{MARK}-nobody"})
    twice = [started(f"{MARK}-two") for _ in range(2)]
    try:
        with pytest.raises(VmmNotFound, match="fits 2 processes, it must fit one"):
            find({"match": f"{MARK}-two"})
    finally:
        for process in twice:
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    ("selector", "said"),
    [
        ({}, "give one of libvirt, pid_file, match"),
        ({"match": "a", "libvirt": "b"}, "give one of"),
        ({"match": "("}, "is no regular expression"),
        ({"libvirt": "pbunit-nobody"}, "no running libvirt domain is named pbunit-nobody"),
        ({"pid_file": "/nowhere/pid"}, "cannot be read: No such file"),
        ({"pid_file": "/proc/self/comm"}, "which is no process number"),
    ],
)
def test_what_names_no_process_is_told_with_the_way_out(selector: dict[str, str], said: str) -> None:
    with pytest.raises(VmmNotFound, match=said):
        find(selector)
