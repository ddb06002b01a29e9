"""The seed's notes and others become sweeps whose figures are those of the notes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import Judgement
from ansible_collections.pairbench.lab.plugins.plugin_utils.notes.importer import (
    ImportedSweep,
    NotesError,
    read_notes,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge
from clone import CAPTURES

NOTES = CAPTURES / "notes" / "notes.md"
WRITTEN_AT = "2026-01-01T00:00:00.000000Z"


def import_text(text: str) -> ImportedSweep:
    return read_notes(text, "notes.md", "seed", "kvm", WRITTEN_AT)


def documents(imported: ImportedSweep) -> list[dict[str, Any]]:
    """The records as they are written."""
    return [dict(record.document) for record in imported.records]


def values(judgement: Judgement) -> dict[str, tuple[float, str]]:
    return {sample.metric: (sample.value, sample.unit) for sample in judgement.samples}


def calls(judgement: Judgement, side: str) -> dict[str, int | None]:
    return {
        row.syscall.removeprefix("sys_enter_"): row.calls for row in judgement.syscalls if row.side == side
    }


def written_calls(number: int) -> dict[str, int]:
    """The n-th table of the notes, read by a way of its own."""
    table = NOTES.read_text(encoding="utf-8").split("### Syscalls on ")[number]
    rows = [line.split("sys_enter_")[1].split("]: ") for line in table.splitlines() if "sys_enter_" in line]
    return {name: int(count) for name, count in rows}


@pytest.fixture(scope="module")
def seed() -> ImportedSweep:
    return import_text(NOTES.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def throughput(seed: ImportedSweep) -> Judgement:
    return judge(seed.records[0])


@pytest.fixture(scope="module")
def latency(seed: ImportedSweep) -> Judgement:
    return judge(seed.records[1])


def test_the_seed_has_two_runs(seed: ImportedSweep) -> None:
    runs = [(run.benchmark, run.case, run.server, run.client, run.traced) for run in seed.plan.runs]
    assert runs == [
        ("iperf3", "tcp_P4_t30", "10.10.1.1", "10.10.1.2", True),
        ("sockperf", "ping-pong_udp_m64_t30", "10.10.1.2", "10.10.1.1", True),
    ]
    assert seed.left_out == ()


def test_the_seeds_throughput_is_exact(throughput: Judgement) -> None:
    assert throughput.status == "valid", throughput
    figures = values(throughput)
    assert figures["throughput_received"] == (23.5e9, "bit/s")
    assert figures["throughput_sent"] == (23.5e9, "bit/s")
    assert figures["retransmits"] == (6408, "count")


def test_the_seeds_latency_is_exact(latency: Judgement) -> None:
    assert latency.status == "valid", latency
    figures = values(latency)
    expected = {
        "latency_mean": 32.867,
        "latency_max": 143.884,
        "latency_p99.999": 59.501,
        "latency_p99.99": 49.778,
        "latency_p99.9": 44.733,
        "latency_p99": 37.930,
        "latency_p90": 34.654,
        "latency_p75": 33.182,
        "latency_p50": 32.300,
        "latency_p25": 32.054,
        "latency_min": 31.554,
    }
    assert {name: figures[name][0] for name in expected} == expected
    assert figures["dropped"] == (0, "count")
    assert figures["duplicated"] == (0, "count")
    assert figures["out_of_order"] == (0, "count")


@pytest.mark.parametrize(
    ("number", "which", "side"),
    [
        (1, "throughput", "server"),
        (2, "throughput", "client"),
        (3, "latency", "server"),
        (4, "latency", "client"),
    ],
)
def test_all_four_tables_come_out(number: int, which: str, side: str, request: pytest.FixtureRequest) -> None:
    judgement = request.getfixturevalue(which)
    assert calls(judgement, side) == written_calls(number)


def test_the_seeds_inconsistencies_are_flagged(throughput: Judgement, latency: Judgement) -> None:
    assert "646190 write calls" in throughput.checks["trace_mismatch"]
    assert "server" not in throughput.checks["trace_mismatch"].split(":")[0]
    assert "execve" in throughput.checks["trace_partial"]
    assert "socket" in throughput.checks["trace_partial"]
    assert "direction differs" in throughput.checks["source_note"]
    assert "direction differs" in latency.checks["source_note"]
    assert "trace_mismatch" not in latency.checks
    assert "server: no execve, socket, exit_group" in latency.checks["trace_partial"]


def test_figures_are_related_only_to_counts_of_the_same_run(
    throughput: Judgement, latency: Judgement
) -> None:
    assert not any(metric.startswith("syscalls_per_gib") for metric in values(throughput))
    assert values(latency)["syscalls_per_message_server"] == (2.0, "count")


def test_what_the_notes_do_not_say_is_null(seed: ImportedSweep) -> None:
    for record in documents(seed):
        for side in ("server", "client"):
            end = record[side]
            for name in ("port", "arch", "tool_version", "returncode", "started_at", "seconds", "figures"):
                assert end[name] is None
    assert json.loads(json.dumps(documents(seed))) == documents(seed)


FENCES = [part.removeprefix("\n") for part in NOTES.read_text(encoding="utf-8").split("```")]
OUTPUT = next(part for part in FENCES if "[SUM]" in part)
SOCKPERF_OUTPUT = next(part for part in FENCES if "[Total Run]" in part)


def test_commands_and_output_in_one_fence_and_repeats() -> None:
    text = (
        "# Monday\n\n```\n$ iperf3 -c 10.0.0.1 -t 30 -P 4\n"
        + OUTPUT
        + "$ iperf3 -c 10.0.0.1 -t 30 -P 4\n"
        + OUTPUT
        + "```\n"
    )
    imported = import_text(text)
    assert [(run.case, run.repeat, run.server) for run in imported.plan.runs] == [
        ("tcp_P4_t30", 1, "10.0.0.1"),
        ("tcp_P4_t30", 2, "10.0.0.1"),
    ]
    assert [judge(record).status for record in imported.records] == ["valid", "valid"]


def test_outputs_without_commands_take_their_case_from_what_they_show() -> None:
    imported = import_text("Results of today:\n" + OUTPUT)
    (run,) = imported.plan.runs
    assert (run.benchmark, run.server, run.client) == ("iperf3", "server", "client")
    assert run.parameters["parallel"] == 4
    assert judge(imported.records[0]).status == "valid"


def test_a_second_benchmark_under_the_same_heading_is_a_run_of_its_own() -> None:
    imported = import_text("# Day\n```\n" + OUTPUT + "\n" + SOCKPERF_OUTPUT + "```\n")
    assert [run.benchmark for run in imported.plan.runs] == ["iperf3", "sockperf"]


def test_what_cannot_be_used_is_said() -> None:
    table = "@total[iperf3, tracepoint:syscalls:sys_enter_read]: 7\n"
    imported = import_text(
        "# A\n```\niperf3 -c h -P 4 -t 30\n"
        + OUTPUT
        + "```\n## calls\n```\n"
        + table
        + "```\n# B\n```\niperf3 -s\n```\n"
    )
    assert len(imported.records) == 1
    assert any("do not say of which end" in sentence for sentence in imported.left_out)
    assert any("without an output" in sentence for sentence in imported.left_out)


def test_a_wrong_duration_in_the_command_is_found() -> None:
    text = "```\niperf3 -c h -P 4 -t 60\n```\n```\n" + OUTPUT + "```\n"
    judgement = judge(import_text(text).records[0])
    assert (judgement.status, judgement.reason) == ("invalid", "short_run")
    assert judgement.samples == ()


@pytest.mark.parametrize("text", ["", "# Nothing here\n", "```\niperf3 -s\n```\n"])
def test_notes_without_results_are_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(NotesError, match="holds no output of iperf3, sockperf or qperf"):
        import_text(text)


def test_records_have_the_shape_of_any_other(seed: ImportedSweep) -> None:
    measured: dict[str, Any] = json.loads(
        (NOTES.parents[1] / "records" / "sockperf_udp.json").read_text(encoding="utf-8")
    )
    for record in documents(seed):
        assert set(measured) <= set(record)
        assert set(record["run"]) == set(measured["run"])
        assert set(record["client"]) == set(measured["client"])


HEADER, *ROWS = OUTPUT.splitlines(keepends=True)[0:3]
ONE_STREAM = HEADER + "".join(ROWS)


@pytest.mark.parametrize(
    "text",
    [
        "```\niperf3 -c h -t 30\n```\n```\n" + ONE_STREAM + "```\n",
        "```\niperf3 -c h -t 30\n" + ONE_STREAM + "iperf3 -c h -t 30\n```\n",
        "iperf3 -c h -t 30\n" + ONE_STREAM + "# Next\n",
    ],
)
def test_the_table_of_one_stream_is_whole_where_the_notes_go_on(text: str) -> None:
    (record,) = import_text(text).records
    judgement = judge(record)
    assert judgement.status == "valid", judgement.detail
    assert [sample.value for sample in judgement.samples] == [6.21e9, 6.21e9, 0.0]


def test_the_table_of_one_stream_at_the_end_of_the_notes_may_lack_others() -> None:
    (record,) = import_text("iperf3 -c h -t 30\n" + ONE_STREAM).records
    assert judge(record).reason == "truncated"


def test_a_reverse_run_of_which_only_the_table_was_kept() -> None:
    imported = import_text("```\niperf3 -c h -P 4 -t 30 -R\n```\n```\n" + OUTPUT + "```\n")
    assert imported.plan.runs[0].parameters["reverse"] is True
    assert judge(imported.records[0]).status == "valid"
