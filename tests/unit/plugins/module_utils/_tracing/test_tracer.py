"""The tracer's command, and what is read of its output in the self-test."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._tracing import tracer

OUTPUT = '{"type": "attached_probes"}\nno JSON\n{"type": "map", "data": {"@calls": {"7,dd,0": 12, "7,bpftrace,0": 3}}}\n'


@pytest.mark.parametrize("probe", tracer.PROBES)
def test_a_command_counts_with_the_probe_it_is_given(probe: str, tmp_path: Path) -> None:
    script = tmp_path / "calls.bt"
    argv = tracer.command("/bin/bpftrace", "count", probe, ["/bin/dd", "bs=1"], "/out", str(script))
    assert argv == ["/bin/bpftrace", "-f", "json", "-o", "/out", str(script), "-c", "/bin/dd bs=1"]
    assert script.read_text() == f"{probe} /pid == cpid/ {{ @calls[tid, comm, {tracer.PROBES[probe]}] = count(); }}\n"
    timed = tracer.script_text("time", probe)
    assert timed.startswith("tracepoint:raw_syscalls:sys_enter /pid == cpid/ {")
    assert timed.endswith("END { clear(@entered); clear(@call); }\n") and "@family" not in timed


@pytest.mark.parametrize("mode", ["count", "time"])
@pytest.mark.parametrize("probe", tracer.PROBES)
def test_a_family_is_followed_from_fork_to_exit_and_leaves_no_map(mode: str, probe: str) -> None:
    text = tracer.script_text(mode, probe, family=True)
    assert text.index("sched_process_fork") < text.index("sys_enter /pid == cpid || @family[pid]/")
    assert "delete(@family[tid])" in text and text.count("END {") == 1 and "clear(@family);" in text.splitlines()[-1]


@pytest.mark.parametrize("argument", ["", "two words", "tab\t", 'quo"te', "quo'te", "back\\slash"])
def test_an_argument_that_bpftrace_would_split_is_refused(argument: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be traced"):
        tracer.command("bpftrace", "count", tracer.TIME_PROBE, ["dd", argument], "/out", str(tmp_path / "x"))
    assert list(tmp_path.iterdir()) == []


def test_calls_are_those_of_the_thread_and_not_of_the_tracer_before_exec() -> None:
    assert tracer._map_value(OUTPUT, "dd", 0) == 12
    assert tracer._map_value(OUTPUT, "dd", 1) is None
    assert tracer._map_value("", "dd", 0) is None


@pytest.mark.parametrize(
    ("stderr", "told"),
    [
        ("stdin:1:1-2: ERROR: no such probe\nprogram { }\n~~~\n", "stdin:1:1-2: ERROR: no such probe"),
        ("Error setting RLIMIT_MEMLOCK\nlast\n", "last"), ("", "no output"),
    ],
)
def test_an_error_tells_more_than_the_line_that_it_underlines(stderr: str, told: str) -> None:
    assert tracer._telling_line(stderr) == told


def test_room_for_keys_is_asked_for_under_both_names() -> None:
    found = tracer.environment()
    assert found["BPFTRACE_MAP_KEYS_MAX"] == found["BPFTRACE_MAX_MAP_KEYS"] == tracer.MAP_KEYS and found["LC_ALL"] == "C"
