"""What the exit status of a guard and a trace tell of processes that did not end by themselves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._host.children import Child, Wakeup
from ansible_collections.pairbench.lab.plugins.module_utils._session.fate import EXIT_GROUP, stopped_members, why_ended
from hypothesis import given
from hypothesis import strategies as st

EXIT = EXIT_GROUP.get(os.uname().machine, 0)
KILLED, TERMINATED, ABORTED = -signal.SIGKILL, -signal.SIGTERM, -signal.SIGABRT


def trace(*keys: str) -> str:
    lines = [{"type": "attached_probes", "data": {"probes": 1}}, {"type": "map", "data": {"@calls": dict.fromkeys(keys, 7)}}]
    return "\n".join(json.dumps(line) for line in lines)


WHOLE = trace("12,bpftrace,3", "12,iperf3,1", f"12,iperf3,{EXIT}")
CUT = trace("12,bpftrace,3", "12,iperf3,1")
ATTACHED = trace("x").splitlines()[0]


def reason(*arguments: Any) -> str | None:
    problem = why_ended("iperf3", *arguments)
    if problem is not None:
        assert problem["detail"]
    return None if problem is None else str(problem["reason"])


@pytest.mark.parametrize(("returncode", "output", "interrupted", "expected"), [
    (0, None, False, None),
    (1, None, False, None),
    (KILLED, None, False, "process_killed"),
    (TERMINATED, None, True, "process_killed"),
    (-signal.SIGINT, None, True, None),
    (-signal.SIGINT, None, False, "process_killed"),
    (ABORTED, None, False, None),
    (-signal.SIGXFSZ, None, False, None),
    (0, WHOLE, False, None),
    (0, CUT, False, "process_killed"),
    (0, CUT, True, None),
    (0, trace("12,bpftrace,3"), False, None),
    (0, trace("", "12", "12,iperf3"), False, None),
    (KILLED, ATTACHED, False, "tracer_killed"),
    (KILLED, "", True, "tracer_killed"),
    (ABORTED, "", False, "tracer_error"),
    (1, "", False, "tracer_error"),
    (0, "", False, None),
])  # fmt: skip
def test_what_ended_a_run(returncode: int, output: str | None, interrupted: bool, expected: str | None) -> None:
    assert reason(returncode, output, interrupted, "std::bad_alloc") == expected


def test_what_a_tracer_complained_of_is_told() -> None:
    problem = why_ended("iperf3", 1, "", False, "ERROR: Cannot allocate memory")
    assert problem["detail"].endswith("ended with status 1 before it printed its counts: ERROR: Cannot allocate memory")


WORDS = st.sampled_from(["type", "map", "data", "@calls", "", ",", "1,iperf3,231"])
LINES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner)
    | st.builds(lambda calls: {"type": "map", "data": {"@calls": calls}}, inner),
)  # fmt: skip


@given(st.integers(-64, 255), st.none() | st.text() | LINES.map(json.dumps), st.booleans())
def test_whatever_a_tracer_wrote_it_is_read(returncode: int, output: str | None, interrupted: bool) -> None:
    assert reason(returncode, output, interrupted, "nothing") in (None, "process_killed", "tracer_killed", "tracer_error")


def test_only_what_is_stopped_is_named(tmp_path: Any) -> None:
    numbers = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    previous = {number: signal.getsignal(number) for number in numbers}
    wakeup = Wakeup()
    child = Child(["sleep", "60"], 60, str(tmp_path), "sleeper")
    try:
        while len(pids := children_of(child.session_id)) != 1:
            wakeup.wait([], 0.02)
        assert stopped_members(child.session_id) == []
        os.kill(pids[0], signal.SIGSTOP)
        while not (names := stopped_members(child.session_id)):
            wakeup.wait([], 0.02)
        assert names == [f"sleep (pid {pids[0]})"]
    finally:
        child.stop(0.1)
        signal.set_wakeup_fd(-1)
        for number, handler in previous.items():
            signal.signal(number, handler)


def children_of(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line.split()[0]) for line in found.stdout.splitlines() if line.split()[1] == "sleep"]
