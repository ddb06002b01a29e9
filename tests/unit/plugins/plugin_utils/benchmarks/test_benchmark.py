"""The interface holds a benchmark of another shape: two ports, a silent server, figures per message or per GiB."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks import BENCHMARKS, build_cases, headlines_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.benchmark import (
    HOST_PARAMETERS,
    PER_GIB,
    PER_MESSAGE,
    Benchmark,
    Commands,
    Duration,
    Parameter,
    Port,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.command_line import Command
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.scan import scan
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.ends import end_of, ports_to_watch
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec, Sample, SyscallCount
from ansible_collections.pairbench.lab.plugins.plugin_utils.notes.command_lines import read_command
from ansible_collections.pairbench.lab.plugins.plugin_utils.parsing.finding import Finding, Recogniser
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import make_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.record import End, Record, Trouble
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps.decisions import widths
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.levels import level_rows
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge
from captured import judged, sweep_of
from clone import CAPTURES

NAME = "yardstick"
LINE = re.compile(r"yardstick: (latency|bytes) (\d+) in (\d+) messages, (\d+) s")


class Lines(Recogniser):
    """One line is one run."""

    def feed(self, line: str, number: int) -> Iterable[Finding]:
        found = LINE.match(line)
        if found is None:
            return ()
        kind, amount, messages, seconds = found.group(1), *(float(text) for text in found.groups()[1:])
        samples = (
            (Sample("latency_mean", "us", amount),)
            if kind == "latency"
            else (Sample("throughput_received", "bit/s", 8 * amount / seconds),)
        )
        counted = {"messages_sent": messages} if kind == "latency" else {"bytes_received": amount}
        return [Finding(NAME, kind, "valid", samples=samples, line=number, measured={"seconds": seconds, **counted})]

    def close(self, cut_line: int = 0) -> Iterable[Finding]:
        return ()


class Yardstick(Benchmark):
    """Its server serves any number of clients on a control port and a data port, and prints nothing."""

    name = NAME
    fields = (Parameter("seconds", "whole", "t"), Parameter("kind", "text", ""), *HOST_PARAMETERS)
    recognisers = (Lines,)
    units = (PER_MESSAGE, PER_GIB)
    headlines = (("latency_mean", "mean latency"), ("throughput_received", "throughput received"))
    decisive = ("latency_mean", "throughput_received")
    result_lines = "lines"
    server_reports = False

    def problems(self, parameters: Mapping[str, Any]) -> list[str]:
        return []

    def case_name(self, parameters: Mapping[str, Any]) -> str:
        return f"{parameters['kind']}_t{parameters['seconds']}"

    def measured_seconds(self, parameters: Mapping[str, Any]) -> float:
        return float(parameters["seconds"])

    def commands(self, parameters: Mapping[str, Any], server: str, client: str, port: int) -> Commands:
        ports = (Port("tcp", port), Port("udp", port + 1))
        return Commands((NAME, str(port)), (NAME, server, str(port)), ports, "interrupt")

    def duration(self, record: Record, client: Finding, asked: float) -> Duration:
        return Duration(asked, asked, asked + 1)

    def not_as_planned(self, record: Record, client: Finding) -> Trouble | None:
        return Trouble("parameters", "Another kind.") if client.mode != record.parameters["kind"] else None

    def not_confirmed(self, record: Record, client: Finding, server: Finding) -> Trouble | None:
        raise AssertionError("nobody asks where the server reports nothing")

    def trace_mismatch(
        self, record: Record, end: End, rows: Sequence[SyscallCount], figures: Mapping[str, float]
    ) -> str | None:
        return None

    def read_command(self, argv: tuple[str, ...]) -> Command | None:
        return Command(NAME, "client", argv, argv[1])


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BENCHMARKS, NAME, Yardstick())  # type: ignore[arg-type]


def record(stdout: str, kind: str, seconds: int = 10, **run: Any) -> dict[str, Any]:
    """A traced record of a real run, with another benchmark in it."""
    made: dict[str, Any] = json.loads((CAPTURES / "records" / "sockperf_udp.json").read_text(encoding="utf-8"))
    made["run"] |= {"benchmark": NAME, "parameters": {"seconds": seconds, "kind": kind}, **run}
    made["server"] |= {"stdout": "", "stderr": ""}
    made["client"] |= {"stdout": stdout, "stderr": ""}
    return made


LATENCY = "yardstick: latency 17 in 20000 messages, 10 s\n"
BULK = f"yardstick: bytes {2**31} in 1 messages, 10 s\n"


def test_figures_are_per_message_or_per_gib_as_the_case_has_them() -> None:
    judgement = judge(record(LATENCY, "latency"))
    assert (judgement.status, judgement.detail) == ("valid", "")
    metrics = {sample.metric: sample.value for sample in judgement.samples}
    assert metrics["latency_mean"] == 17
    calls = sum(row.calls or 0 for row in judgement.syscalls if row.side == "client" and row.target == "process")
    assert metrics["syscalls_per_message_client"] == pytest.approx(calls / 20000)
    assert not any("per_gib" in metric for metric in metrics)
    metrics = {sample.metric: sample.value for sample in judge(record(BULK, "bytes")).samples}
    assert metrics["syscalls_per_gib_client"] == pytest.approx(calls / 2)
    assert not any("per_message" in metric for metric in metrics)


def test_the_benchmark_says_how_long_a_run_is_and_what_was_planned() -> None:
    assert judge(record(LATENCY, "latency", seconds=11)).reason == "short_run"
    assert judge(record(LATENCY, "latency", seconds=8)).reason == "long_run"
    assert judge(record(LATENCY, "bytes")).reason == "parameters"
    assert judge(record("", "latency")).reason == "no_output"


def test_a_benchmark_without_intervals_has_no_rows_of_levels() -> None:
    document = record(BULK, "bytes", level=1)
    assert level_rows(sweep_of([document]), [judged(document)]) == []


def test_its_metrics_are_shown_and_decide() -> None:
    assert headlines_of(NAME)[:4] == [
        *Yardstick.headlines,
        ("syscalls_per_message_server", "calls per message, server"),
        ("syscalls_per_message_client", "calls per message, client"),
    ]
    made = make_plan(
        sweep="s", configuration="c", hosts={"a": "10.0.0.1", "b": "10.0.0.2"},
        cases={NAME: [CaseSpec(NAME, "case", {"seconds": 10, "kind": "bytes"}, 12.0)]}, directions={NAME: "first_serves"},
        blocks=1, seed=1, mode="rounds",
    )  # fmt: skip
    row = {"benchmark": NAME, "server": "a", "client": "b", "case": "case", "metric": "throughput_received"}
    [width] = widths(made, [row | {"median": 10.0, "ci_low": 9.0, "ci_high": 11.0}])
    assert (width.metric, width.value) == ("throughput_received", 0.2)
    [width] = widths(made, [])
    assert (width.metric, width.value) == ("latency_mean", None)


def test_all_of_its_ports_are_watched() -> None:
    case = CaseSpec(NAME, "case", {"seconds": 10, "kind": "bytes"}, 12.0)
    watched = ports_to_watch({NAME: [case]}, {NAME: 7000}, 5200)
    assert watched == [
        {"protocol": "tcp", "port": 5200, "variable": "pairbench_control_port"},
        {"protocol": "tcp", "port": 7000, "variable": "yardstick_port"},
        {"protocol": "udp", "port": 7001, "variable": "yardstick_port"},
    ]
    made = make_plan(
        sweep="s", configuration="c", hosts={"a": "10.0.0.1", "b": "10.0.0.2"}, cases={NAME: [case]},
        directions={NAME: "first_serves"}, blocks=1, seed=1, mode="rounds", trace=False,
    )  # fmt: skip
    session = made.steps[0].sessions[0]
    [run] = end_of(made, session, session.server, {NAME: 7000}, 30.0)["runs"]
    assert (run["protocol"], run["port"], run["other_ports"]) == ("tcp", 7000, [{"protocol": "udp", "port": 7001}])


def test_its_output_and_commands_are_found() -> None:
    [finding] = scan(["# Notes\n", "[STDOUT] " + LATENCY])
    assert (finding.tool, finding.line) == (NAME, 2)
    assert read_command("$ sudo yardstick 10.0.0.1 | tee out") == Command(
        NAME, "client", ("yardstick", "10.0.0.1"), "10.0.0.1"
    )
    [case] = build_cases(BENCHMARKS[NAME], {"seconds": 5, "kind": "bytes", "mtu": 0, "pin": False}, [])
    assert case.name == "bytes_t5"
