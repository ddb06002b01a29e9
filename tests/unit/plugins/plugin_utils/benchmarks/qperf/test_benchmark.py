"""qperf's cases, commands and checks, the checks against captured runs with their traces."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.benchmark import Port
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.cases import build_cases
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.qperf import BENCHMARK
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.qperf.benchmark import slices
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.qperf.output import iterate
from ansible_collections.pairbench.lab.plugins.plugin_utils.parsing.finding import Finding
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.record import Record, record_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.tracing.evidence import examine

CAPTURES = Path(__file__).parents[5] / "captures" / "qperf" / "0.4.11-debian12"
PLAIN = {"seconds": 30, "message_bytes": 64, "test": "tcp_lat", "mtu": 0, "pin": False, "extra_args": []}
TRACED = ("tcp_lat-traced", "tcp_bw-traced", "udp_lat-traced", "udp_bw-traced")


def end(name: str, side: str, argv: list[str]) -> dict[str, Any]:
    """What one end would have left of a captured run."""

    def text(kind: str) -> str:
        path = CAPTURES / name / f"{side}{kind}"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    trace = {"mode": "count", "probe": "", "version": "", "output": text(".trace.json"), "returncode": 0}
    return {
        "host": side, "address": "10.91.7.1" if side == "server" else "10.91.7.2", "port": 19765, "arch": "x86_64",
        "tool_version": "qperf 0.4.11", "argv": argv, "stdout": text("-stdout.txt"), "stderr": text("-stderr.txt"),
        "returncode": 0, "started_at": None, "ended_at": None, "seconds": 3.0, "timed_out": False, "trace": trace,
        "trace_unavailable": None, "problem": None, "figures": None, "settings": None, "output_bytes": None, "vmm": None,
    }  # fmt: skip


def record(name: str, trace_of: str = "") -> Record:
    """A captured run as a record, its traces those of another one where that is named."""
    words = (CAPTURES / name / "argv").read_text(encoding="utf-8").splitlines()[0].split()
    server, client = end(name, "server", ["qperf", "-lp", "19765", "-D"]), end(name, "client", words)
    for side, data in (("server", server), ("client", client)):
        data["trace"] = end(trace_of or name, side, [])["trace"]
    test = next(word for word in words if word.endswith(("_lat", "_bw")))
    parameters = {"test": test, "message_bytes": int(words[words.index("-m") + 1]), "extra_args": []}
    parameters["seconds"] = int(words[words.index("-t") + 1]) * words.count(test)
    run = {
        "run_id": "r", "block": 1, "round": 1, "server": "server", "client": "client", "benchmark": "qperf", "case": "c",
        "parameters": parameters, "repeat": 1, "traced": True, "seconds": 3.0,
    }  # fmt: skip
    return record_of(
        {
            "schema": 1, "sweep": "s", "configuration": "", "attempt": 1, "written_at": "2026-01-01T00:00:00Z", "run": run,
            "server": server, "client": client, "error": None,
        }
    )


def ends(name: str) -> tuple[Finding, Finding]:
    """Findings of the client and the server."""

    def found(side: str) -> Finding:
        data = end(name, side, [])
        return (list(iterate(data["stdout"])) or list(iterate(data["stderr"])))[0]

    return found("client"), found("server")


def test_a_case_is_named_after_what_it_is() -> None:
    (case,) = build_cases(BENCHMARK, PLAIN, [], {})
    assert case.name == "tcp_lat_m64_t30"
    assert case.parameters == {"seconds": 30, "message_bytes": 64, "test": "tcp_lat", "extra_args": []}


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"test": "rc_lat"}, "qperf_test is 'rc_lat'"),
        ({"seconds": 0}, "qperf_seconds is 0; it must be from 1"),
        ({"message_bytes": 0}, "qperf_message_bytes is 0; it must be from 1"),
        ({"test": "udp_bw", "message_bytes": 65508}, "must be from 1 to 65507"),
        ({"test": "udp_lat", "seconds": 4}, "qperf_seconds is 4; it must be from 5"),
        ({"extra_args": ["-sb 1"]}, "no spaces"),
        ({"mtu": 60}, "qperf_mtu is 60"),
    ],
)
def test_values_out_of_range_are_named(changed: dict[str, Any], problem: str) -> None:
    problems = BENCHMARK.problems(PLAIN | changed)
    assert len(problems) == 1
    assert problem in problems[0]
    assert not BENCHMARK.problems(PLAIN)


def test_the_commands() -> None:
    commands = BENCHMARK.commands(PLAIN | {"extra_args": ["-sb", "65536"]}, "10.0.0.1", "10.0.0.2", 19765)
    assert commands.server == ("qperf", "-lp", "19765", "-D")
    assert " ".join(commands.client) == (
        "qperf 10.0.0.1 -lp 19765 -ip 19766 -m 64 -vv -uu -un -e 12 -sb 65536 -t 30 tcp_lat quit"
    )
    assert commands.ports == (Port("tcp", 19765), Port("tcp", 19766))
    assert commands.stop == "exits"


def test_udp_lat_is_made_of_slices() -> None:
    commands = BENCHMARK.commands(PLAIN | {"test": "udp_lat", "seconds": 61}, "fd00::1", "fd00::2", 5)
    assert commands.ports == (Port("tcp", 5), Port("udp", 6))
    assert commands.client[:2] == ("qperf", "fd00::1")
    assert Counter(commands.client)["udp_lat"] == 60
    assert commands.client[-1] == "quit"


@pytest.mark.parametrize("seconds", [5, 6, 59, 60, 61, 119, 120, 3601, 86400])
def test_slices_add_up(seconds: int) -> None:
    lengths = slices(seconds)
    assert sum(lengths) == seconds
    assert len(lengths) == min(seconds, 60)
    assert max(lengths) - min(lengths) <= 1


def test_versions_that_do_not_understand_each_other() -> None:
    assert BENCHMARK.version_problem(PLAIN, "qperf 0.4.9", "qperf 0.4.11") is None
    assert BENCHMARK.version_problem(PLAIN, "", "qperf 0.4.11") is None
    assert BENCHMARK.version_problem(PLAIN, "qperf 0.3.0", "qperf 0.4.11")


@pytest.mark.parametrize("name", TRACED)
def test_captured_traces_belong_to_their_runs(name: str) -> None:
    run, (client, server) = record(name), ends(name)
    assert BENCHMARK.not_as_planned(run, client) is None
    assert BENCHMARK.not_confirmed(run, client, server) is None
    for one in run.ends:
        evidence = examine(run, one, client.measured, BENCHMARK.trace_mismatch)
        assert not evidence.checks
        assert evidence.belongs


@pytest.mark.parametrize("name", TRACED)
@pytest.mark.parametrize("other", TRACED)
def test_traces_of_another_run_do_not(name: str, other: str) -> None:
    if name == other:
        return
    run, (client, _server) = record(name, trace_of=other), ends(name)
    told = [examine(run, one, client.measured, BENCHMARK.trace_mismatch).checks for one in run.ends]
    assert any("trace_mismatch" in checks for checks in told)


def test_a_trace_without_the_processes_of_the_server_is_of_no_run() -> None:
    """A tracer that does not follow a fork sees the process that listens and nothing of the test."""
    run, (client, _server) = record("tcp_lat-traced"), ends("tcp_lat-traced")
    assert run.server is not None and run.server.trace is not None
    assert client.measured["receives"] > 1000
    rows = examine(run, run.server, client.measured, BENCHMARK.trace_mismatch).rows
    parent = [row for row in rows if row.calls is not None and row.calls < 100]
    assert BENCHMARK.trace_mismatch(run, run.server, parent, client.measured)


def test_a_stranger_that_answered_is_found() -> None:
    client, server = ends("port-taken")
    assert client.status == "valid"
    assert (server.status, server.reason) == ("failed", "address_in_use")


def test_a_server_that_served_others_confirms_nothing() -> None:
    run, (client, _server) = record("tcp_lat-traced"), ends("tcp_lat-traced")
    for name in ("tcp_bw-traced", "udp_lat-traced", "two-tests"):
        trouble = BENCHMARK.not_confirmed(run, client, ends(name)[1])
        assert trouble is not None
        assert trouble.reason == "server_unconfirmed"


def test_another_data_port_is_another_peer() -> None:
    run, (client, _server) = record("tcp_lat-traced"), ends("tcp_lat-traced")
    client.parameters["data_port"] = 1234  # type: ignore[index]
    trouble = BENCHMARK.not_as_planned(run, client)
    assert trouble is not None and trouble.reason == "peer"


@pytest.mark.parametrize(
    ("line", "side", "expected"),
    [
        ("qperf", "server", {}),
        ("qperf -lp 19000 -D", "server", {}),
        ("qperf 10.0.0.1 -t 10 -vv tcp_lat", "client", {"test": "tcp_lat", "seconds": 10, "message_bytes": 1}),
        ("qperf -H h --msg_size 64K tcp_bw quit", "client", {"test": "tcp_bw", "seconds": 2, "message_bytes": "64K"}),
        ("qperf h -t 2 udp_lat udp_lat", "client", {"test": "udp_lat", "seconds": 4}),
    ],
)
def test_commands_of_notes(line: str, side: str, expected: dict[str, Any]) -> None:
    command = BENCHMARK.read_command(tuple(line.split()))
    assert command is not None
    assert command.side == side
    assert {name: command.parameters[name] for name in expected} == expected


@pytest.mark.parametrize("line", ["qperf is good", "qperf h tcp_lat udp_lat", "qperf h -t", "qperf h"])
def test_words_that_are_no_command(line: str) -> None:
    assert BENCHMARK.read_command(tuple(line.split())) is None
