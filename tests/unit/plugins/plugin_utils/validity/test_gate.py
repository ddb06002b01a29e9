"""The gate on real records, on the same records spoiled in one place, and on garbage."""

from __future__ import annotations

import copy
import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks import BENCHMARKS
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import Judgement
from ansible_collections.pairbench.lab.plugins.plugin_utils.tracing.output import BpftraceRecogniser
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.reasons import (
    CHECKS,
    CLOSING_WORDS,
    NEVER_MEASURED,
    REASONS,
)
from clone import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

RECORDS = {path.stem: path for path in sorted((ROOT / "tests" / "captures" / "records").glob("*.json"))}
Record = dict[str, Any]


def load(name: str) -> Record:
    record: Record = json.loads(RECORDS[name].read_text(encoding="utf-8"))
    return record


def values(judgement: Judgement) -> dict[str, float]:
    return {sample.metric: sample.value for sample in judgement.samples}


def spoiled(name: str, *path: str, value: Any) -> Judgement:
    """The judgement on a real record with one field replaced."""
    record = load(name)
    place = record
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return judge(record)


def replaced(name: str, side: str, pattern: str, text: str) -> Judgement:
    """The judgement on a real record with one thing in an end's output replaced."""
    record = load(name)
    stdout, count = re.subn(pattern, text, record[side]["stdout"])
    assert count
    record[side]["stdout"] = stdout
    return judge(record)


def assert_not_believed(judgement: Judgement, status: str, reason: str) -> None:
    assert (judgement.status, judgement.reason) == (status, reason), judgement.detail
    assert judgement.detail
    assert judgement.samples == ()
    assert judgement.syscalls == ()


# Real records.


@pytest.mark.parametrize("name", RECORDS)
def test_real_records_are_valid(name: str) -> None:
    judgement = judge(load(name))
    assert judgement.status == "valid", f"{judgement.reason}: {judgement.detail}"
    assert judgement.reason == ""
    assert set(judgement.checks) <= {"messages_lost", "tool_note"}, judgement.checks
    assert {"host_cpu_busy_server", "host_cpu_steal_client", "host_memory_used_client"} <= set(
        values(judgement)
    )


@pytest.mark.parametrize("name", [name for name in RECORDS if "untraced" not in name])
def test_traced_records_have_rows_on_both_sides(name: str) -> None:
    judgement = judge(load(name))
    for side in ("server", "client"):
        names = {row.syscall for row in judgement.syscalls if row.side == side}
        assert "sys_enter_socket" in names
        assert not any(row.comm == "bpftrace" for row in judgement.syscalls)


def test_untraced_records_have_no_rows_and_no_trace_checks() -> None:
    judgement = judge(load("iperf3_tcp_untraced"))
    assert judgement.syscalls == ()
    assert judgement.checks == {}


def test_syscalls_are_related_to_what_was_moved() -> None:
    for name, metric in (("sockperf_udp", "syscalls_per_message"), ("iperf3_tcp", "syscalls_per_gib")):
        judgement = judge(load(name))
        for side in ("server", "client"):
            total = sum(row.calls or 0 for row in judgement.syscalls if row.side == side)
            figure = values(judgement)[f"{metric}_{side}"]
            assert figure > 0
            if name == "sockperf_udp":
                sent = next(row.calls for row in judgement.syscalls if row.syscall == "sys_enter_sendto")
                assert figure == pytest.approx(total / (sent or 0), rel=1e-3)


# A record spoiled in one place.


@pytest.mark.parametrize("side", ["server", "client"])
def test_a_missing_end_is_a_failed_run(side: str) -> None:
    judgement = spoiled("iperf3_tcp", side, value=None)
    assert_not_believed(judgement, "failed", "no_end")
    assert side in judgement.detail


def test_a_controller_error_is_a_failed_run() -> None:
    error = {"reason": "unreachable", "detail": "vm1: no route to host"}
    judgement = spoiled("iperf3_tcp", "error", value=error)
    assert_not_believed(judgement, "failed", "unreachable")
    assert judgement.detail == "vm1: no route to host"


def test_a_problem_before_the_client_ran_is_a_failed_run_with_the_servers_words() -> None:
    record = load("sockperf_udp")
    record["server"].update(stdout="", trace=None, problem={"reason": "port_taken", "detail": "by nginx"})
    record["client"].update(
        stdout="", trace=None, problem={"reason": "server_not_ready", "detail": "by nginx"}
    )
    judgement = judge(record)
    assert_not_believed(judgement, "failed", "port_taken")
    assert judgement.detail == "server: by nginx"


def test_a_problem_after_the_client_ran_is_an_invalid_run() -> None:
    problem = {"reason": "port_not_released", "detail": "held by pid 7"}
    assert_not_believed(
        spoiled("iperf3_tcp", "server", "problem", value=problem), "invalid", "port_not_released"
    )


@pytest.mark.parametrize("reason", sorted(NEVER_MEASURED & set(REASONS)))
@pytest.mark.parametrize("side", ["server", "client"])
def test_a_run_that_was_cut_short_from_outside_may_be_tried_again(side: str, reason: str) -> None:
    """Whatever had been printed until then, and whatever its limit said."""
    record = load("iperf3_tcp")
    record["client"]["timed_out"] = True
    assert judge(record).status == "invalid"
    record[side]["problem"] = {"reason": reason, "detail": "so it was"}
    judgement = judge(record)
    assert_not_believed(judgement, "failed", reason)
    assert judgement.detail == f"{side}: so it was"


@pytest.mark.parametrize("side", ["server", "client"])
@pytest.mark.parametrize("name", ["iperf3_tcp", "sockperf_udp"])
def test_a_run_that_is_whole_stands_without_the_closing_word(name: str, side: str) -> None:
    plain = judge(load(name))
    assert plain.status == "valid"
    for reason in CLOSING_WORDS:
        assert spoiled(name, side, "problem", value={"reason": reason, "detail": "no word"}) == plain
        assert_not_believed(spoiled(name, side, "problem", value={"reason": "process_killed", "detail": "x"}), "failed",
                            "process_killed")


def test_what_happened_to_one_end_explains_what_the_other_one_says() -> None:
    record = load("iperf3_tcp")
    record["server"] |= {"stdout": "", "problem": {"reason": "peer_lost", "detail": "it closed the connection"}}
    record["client"] |= {"stdout": "", "problem": {"reason": "interrupted", "detail": "SIGINT"}}
    assert judge(record).reason == "interrupted"
    record["client"]["problem"] = None
    assert judge(record).reason == "peer_lost"


def test_an_unknown_problem_is_kept_in_the_sentence() -> None:
    problem = {"reason": "of_a_later_version", "detail": "something"}
    judgement = spoiled("iperf3_tcp", "server", "problem", value=problem)
    assert_not_believed(judgement, "invalid", "tool_error")
    assert "of_a_later_version" in judgement.detail


def test_a_timed_out_end_is_invalid() -> None:
    assert_not_believed(spoiled("iperf3_tcp", "client", "timed_out", value=True), "invalid", "timed_out")


@pytest.mark.parametrize("code", [0, 1, 143, -9, None])
def test_exit_codes_are_not_trusted_either_way(code: int | None) -> None:
    assert spoiled("iperf3_tcp", "client", "returncode", value=code).status == "valid"
    assert spoiled("sockperf_udp", "server", "returncode", value=code).status == "valid"
    record = load("iperf3_tcp")
    record["client"].update(stdout="", returncode=code)
    assert_not_believed(judge(record), "failed", "no_output")


def test_another_tools_output_is_not_recognised() -> None:
    assert_not_believed(spoiled("iperf3_tcp", "client", "stdout", value="hello\n"), "failed", "unrecognised")
    other = load("sockperf_udp")["client"]["stdout"]
    assert_not_believed(spoiled("iperf3_tcp", "client", "stdout", value=other), "failed", "unrecognised")


def test_two_runs_in_one_output_are_not_believed() -> None:
    stdout = load("iperf3_tcp")["client"]["stdout"]
    assert judge(load("iperf3_tcp")).status == "valid"
    judgement = spoiled("iperf3_tcp", "client", "stdout", value=stdout + stdout)
    assert judgement.reason == "several_runs"
    assert judgement.samples == ()


def test_a_longer_duration_asked_for_is_a_short_run() -> None:
    for name in ("iperf3_tcp", "sockperf_udp", "sockperf_tcp", "sockperf_under_load"):
        assert_not_believed(spoiled(name, "run", "parameters", "seconds", value=2), "invalid", "short_run")


def test_a_message_that_a_ping_pong_lost_is_not_believed() -> None:
    words = r"# dropped messages = 0; # duplicated messages = 0"
    judgement = replaced("sockperf_udp", "client", words, "# dropped messages = 0; # duplicated messages = 2")
    assert_not_believed(judgement, "invalid", "message_lost")
    words = r"# dropped messages = \d+"
    assert replaced("sockperf_under_load", "client", words, "# dropped messages = 1").status == "valid"


def test_an_old_iperf3_says_on_standard_error_why_its_document_is_empty() -> None:
    record = load("iperf3_tcp")
    document = {"start": {"connected": [], "version": "iperf 3.9"}, "intervals": [], "end": {}}
    record["client"]["stdout"] = json.dumps(document, indent="\t")
    assert_not_believed(judge(record), "failed", "no_data")
    record["client"]["stderr"] = "iperf3: error - unable to send control message: Bad file descriptor\n"
    assert_not_believed(judge(record), "failed", "refused")


def test_one_lost_datagram_cuts_the_valid_duration() -> None:
    judgement = replaced("sockperf_udp", "client", r"(\[Valid Duration\] RunTime=)[\d.]+", r"\g<1>0.300")
    assert_not_believed(judgement, "invalid", "short_run")


@pytest.mark.parametrize(
    ("name", "value", "reason"), [("parallel", 3, "missing_streams"), ("protocol", "udp", "parameters")]
)
def test_other_parameters_than_planned_are_not_believed(name: str, value: Any, reason: str) -> None:
    assert_not_believed(spoiled("iperf3_tcp", "run", "parameters", name, value=value), "invalid", reason)


def test_another_peer_than_planned_is_not_believed() -> None:
    assert_not_believed(spoiled("iperf3_tcp", "server", "address", value="10.77.77.9"), "invalid", "peer")
    assert_not_believed(spoiled("sockperf_udp", "server", "port", value=11111), "invalid", "peer")


def test_different_versions_matter_under_udp_only() -> None:
    assert spoiled("iperf3_tcp", "server", "tool_version", value="iperf 3.21").status == "valid"
    judgement = spoiled("iperf3_udp", "server", "tool_version", value="iperf 3.21 (cJSON 1.7.15)")
    assert_not_believed(judgement, "invalid", "mixed_versions")
    assert "3.21" in judgement.detail


def test_a_stale_sockperf_server_is_found_by_its_count() -> None:
    judgement = replaced("sockperf_udp", "server", r"Total \d+ messages", "Total 12 messages")
    assert_not_believed(judgement, "invalid", "ends_disagree")


def test_a_server_that_says_nothing_is_not_confirmed() -> None:
    judgement = spoiled("sockperf_udp", "server", "stdout", value="")
    assert_not_believed(judgement, "invalid", "server_unconfirmed")


def test_iperf3_ends_that_disagree_are_not_believed() -> None:
    record, other = load("iperf3_tcp"), load("iperf3_tcp_untraced")
    document = json.loads(other["server"]["stdout"])
    document["end"]["sum_received"]["bytes"] *= 3
    document["end"]["sum_received"]["bits_per_second"] *= 3
    for stream in document["end"]["streams"]:
        stream["receiver"]["bytes"] *= 3
        stream["receiver"]["bits_per_second"] *= 3
    record = other
    record["server"]["stdout"] = json.dumps(document)
    judgement = judge(record)
    assert (judgement.status, judgement.samples) == ("invalid", ())


def test_lost_messages_of_a_throughput_run_are_a_check() -> None:
    judgement = judge(load("sockperf_throughput"))
    assert "messages_lost" in judgement.checks
    assert judgement.status == "valid"


# Traces never decide about throughput or latency.


def with_calls(name: str, side: str, change: dict[str, int | None]) -> Judgement:
    record = load(name)
    lines = [json.loads(line) for line in record[side]["trace"]["output"].splitlines()]
    table = next(line["data"]["@calls"] for line in lines if line["type"] == "map")
    for key, count in change.items():
        if count is None:
            del table[key]
        else:
            table[key] = count
    record[side]["trace"]["output"] = "\n".join(json.dumps(line) for line in lines) + "\n"
    return judge(record)


@pytest.mark.parametrize(
    ("name", "side", "key"),
    [
        ("sockperf_udp", "client", "sockperf,44"),
        ("sockperf_udp", "server", "sockperf,45"),
        ("iperf3_tcp", "server", "iperf3,0"),
        ("iperf3_tcp", "client", "iperf3,1"),
        ("iperf3_reverse", "client", "iperf3,0"),
        ("iperf3_reverse", "server", "iperf3,1"),
        ("iperf3_udp", "client", "iperf3,1"),
        ("iperf3_zerocopy", "client", "iperf3,40"),
    ],
)
def test_counts_of_another_run_give_a_check_and_no_rows(name: str, side: str, key: str) -> None:
    judgement = with_calls(name, side, {key: 20})
    assert judgement.status == "valid"
    assert judgement.checks["trace_mismatch"].startswith(f"{side}: ")
    assert {row.side for row in judgement.syscalls} == {"client" if side == "server" else "server"}
    figures = {name for name in values(judgement) if name.startswith("syscalls_per_")}
    assert not any(figure.endswith(side) for figure in figures)
    assert len(figures) == 1


def test_counts_without_the_start_of_the_process_give_a_check_and_no_rows() -> None:
    judgement = with_calls("sockperf_udp", "client", {"sockperf,41": None})
    assert "socket" in judgement.checks["trace_partial"]
    assert {row.side for row in judgement.syscalls} == {"server"}


@pytest.mark.parametrize("output", ["", "\n", None])
def test_a_killed_tracer_leaves_missing_not_zero(output: str | None) -> None:
    judgement = spoiled("sockperf_udp", "client", "trace", "output", value=output)
    assert judgement.status == "valid"
    assert "trace_missing" in judgement.checks
    assert {row.side for row in judgement.syscalls} == {"server"}


def test_a_trace_cut_off_leaves_missing_not_zero() -> None:
    output = load("sockperf_udp")["client"]["trace"]["output"]
    for length in range(0, len(output) - 4, 7):
        judgement = spoiled("sockperf_udp", "client", "trace", "output", value=output[:length])
        assert judgement.status == "valid"
        assert {row.side for row in judgement.syscalls} == {"server"}, length
        assert judgement.checks


def test_lost_events_leave_missing_not_too_few() -> None:
    record = load("sockperf_udp")
    record["client"]["trace"]["output"] += '{"type": "lost_events", "data": {"events": 7}}\n'
    judgement = judge(record)
    assert "trace_lost" in judgement.checks
    assert {row.side for row in judgement.syscalls} == {"server"}


def test_a_host_that_cannot_trace_is_a_check() -> None:
    record = load("sockperf_udp")
    record["client"].update(trace=None, trace_unavailable="tracefs is not mounted")
    judgement = judge(record)
    assert judgement.status == "valid"
    assert judgement.checks == {"tracing_unavailable": "client: could not trace: tracefs is not mounted"}


def test_the_threads_of_one_name_are_added_up() -> None:
    """Keys of older records have no thread; two threads with half the calls each give the same rows."""
    expected = judge(load("iperf3_tcp")).syscalls
    record = load("iperf3_tcp")
    for side in ("server", "client"):
        *lines, last = record[side]["trace"]["output"].rstrip("\n").split("\n")
        document = json.loads(last)
        for name, calls in document["data"].items():
            halves = {f"71,{key}": count // 2 for key, count in calls.items()}
            halves |= {f"72,{key}": count - count // 2 for key, count in calls.items()}
            document["data"][name] = halves
        record[side]["trace"]["output"] = "\n".join([*lines, json.dumps(document)]) + "\n"
    assert expected and judge(record).syscalls == expected


def test_calls_are_named_by_the_traced_hosts_architecture() -> None:
    names = {row.syscall for row in judge(load("sockperf_udp")).syscalls}
    assert {"sys_enter_sendto", "sys_enter_recvfrom", "sys_enter_exit_group"} <= names
    judgement = with_calls("sockperf_udp", "client", {"sockperf,99999": 3})
    assert "syscall_99999" in {row.syscall for row in judgement.syscalls}


def test_thread_names_may_hold_commas() -> None:
    judgement = with_calls("iperf3_tcp", "client", {"a,b c,1": 5})
    assert ("a,b c", "sys_enter_write", 5) in {
        (row.comm, row.syscall, row.calls) for row in judgement.syscalls
    }


# Garbage.

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_garbage_is_malformed(document: Any) -> None:
    judgement = judge(document)
    assert (judgement.status, judgement.reason) == ("invalid", "malformed")
    assert judgement.detail.endswith(".")


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += places(inner, (*path, key))
    return found


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_one_field_of_garbage_never_raises_and_is_always_a_known_word(data: st.DataObject) -> None:
    record = load(data.draw(st.sampled_from(["iperf3_tcp_untraced", "sockperf_udp"])))
    path = data.draw(st.sampled_from(places(record)))
    place = record
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = data.draw(JSON | st.integers(10**200, 10**201) | st.sampled_from(["", "{", "[SUM]"]))
    judgement = judge(record)
    assert judgement.reason in REASONS or judgement.status == "valid"
    assert judgement.reason != "gate_error", judgement.detail
    assert set(judgement.checks) <= set(CHECKS)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_output_cut_anywhere_never_gives_a_wrong_figure(data: st.DataObject) -> None:
    record = load(
        data.draw(st.sampled_from(["iperf3_tcp_untraced", "iperf3_udp", "sockperf_udp", "sockperf_tcp"]))
    )
    side = data.draw(st.sampled_from(["server", "client"]))
    whole = values(judge(copy.deepcopy(record)))
    stdout = record[side]["stdout"]
    record[side]["stdout"] = stdout[: data.draw(st.integers(0, len(stdout)))]
    judgement = judge(record)
    assert judgement.reason != "gate_error", judgement.detail
    for metric, value in values(judgement).items():
        assert whole[metric] == value


# The documented list.


def test_every_reason_and_check_is_documented() -> None:
    text = (ROOT / "docs" / "validity.md").read_text(encoding="utf-8")
    for table in (REASONS, CHECKS):
        for word, sentence in table.items():
            assert re.fullmatch(r"[a-z][a-z0-9_]*", word)
            assert f"| `{word}` | {sentence} |" in text
    documented = set(re.findall(r"^\| `([a-z0-9_]+)` \| [A-Z]", text, re.MULTILINE))
    assert documented == set(REASONS) | set(CHECKS)


def test_every_reason_that_is_written_anywhere_is_known() -> None:
    """Ends run on hosts and parsers know nothing of the gate: only this keeps their words together."""
    written = re.compile(
        r'\b(?:RunProblem|Problem|_problem|Trouble|blame)\(\s*"([a-z_]+)"'
        r'|"(?:invalid|failed)",\s+"([a-z_]+)"'
        r'|"reason": "([a-z_]+)"'
        r'|\breason = "([a-z_]+)"'
        r'|re\.I\), "([a-z_]+)"\)'
    )
    found = set()
    for path in (ROOT / "plugins").rglob("*.py"):
        for match in written.finditer(path.read_text(encoding="utf-8")):
            found.add(next(word for word in match.groups() if word))
    words = {"port_taken", "peer_lost", "control_changed", "process_killed", "truncated", "no_end", "not_run"}
    assert words <= found
    assert found - {"valid", "invalid", "failed"} <= set(REASONS)


# What was stopped from outside, figures that cannot be, clocks and stalls.


@pytest.mark.parametrize("side", ["server", "client"])
@pytest.mark.parametrize("reason", sorted(NEVER_MEASURED - CLOSING_WORDS))
def test_what_ended_a_run_from_outside_makes_it_failed_whatever_was_printed(side: str, reason: str) -> None:
    assert reason in REASONS
    judgement = spoiled("iperf3_tcp", side, "problem", value={"reason": reason, "detail": "told"})
    assert_not_believed(judgement, "failed", reason)
    assert judgement.detail == f"{side}: told"


def test_the_end_that_went_wrong_itself_names_the_reason() -> None:
    record = load("iperf3_tcp")
    record["server"]["problem"] = {"reason": "peer_lost", "detail": "the client went away"}
    record["client"]["problem"] = {"reason": "process_stopped", "detail": "iperf3 was stopped"}
    judgement = judge(record)
    assert_not_believed(judgement, "failed", "process_stopped")
    assert judgement.detail == "client: iperf3 was stopped"
    record["client"].update(problem=None, stdout="")
    assert_not_believed(judge(record), "failed", "peer_lost")


def test_an_interrupted_client_is_failed_though_it_printed_figures() -> None:
    words = r'("intervals":)'
    error = '"error": "error - control socket has closed unexpectedly", \\1'
    assert_not_believed(replaced("iperf3_tcp", "client", words, error), "failed", "interrupted")


def test_an_output_that_was_cut_is_failed() -> None:
    cut = {"stdout": 300 << 20, "stderr": 0, "trace": 0}
    judgement = spoiled("iperf3_tcp", "server", "output_bytes", value=cut)
    assert_not_believed(judgement, "failed", "output_too_large")
    assert spoiled("iperf3_tcp", "server", "output_bytes", value=None).status == "valid"


def test_figures_that_cannot_be_are_refused() -> None:
    judgement = replaced("iperf3_tcp", "client", r'("bits_per_second":)\s*[\d.e+]+', r"\1 1e308")
    assert_not_believed(judgement, "invalid", "out_of_bounds")
    judgement = spoiled("iperf3_tcp", "client", "figures", "memory_total_bytes", value=10**30)
    assert_not_believed(judgement, "invalid", "out_of_bounds")
    largest = "<MAX> observation = 1" + "0" * 30 + ".000"
    judgement = replaced("sockperf_udp", "client", r"<MAX> observation = *[\d.]+", largest)
    assert_not_believed(judgement, "invalid", "out_of_bounds")


def test_more_round_trips_than_fit_into_the_run_are_refused() -> None:
    record = load("sockperf_udp")
    # Every latency ten times as long, and as many messages in the same time.
    record["client"]["stdout"] = re.sub(
        r"(observation|percentile [\d.]+|latency|Latency is)( *=? *)(\d+\.\d{3})",
        lambda found: f"{found[1]}{found[2]}{float(found[3]) * 10:.3f}",
        record["client"]["stdout"],
    )
    judgement = judge(record)
    assert_not_believed(judgement, "invalid", "out_of_bounds")
    assert "round trips" in judgement.detail


@pytest.mark.parametrize(("seconds", "way"), [(3600.0, "forward by 3600.0 s"), (-90.0, "back by 90.0 s"), (0.9, "")])
def test_a_clock_that_was_set_is_a_check_and_nothing_else(seconds: float, way: str) -> None:
    record = load("iperf3_tcp")
    end = record["client"]
    ended = datetime.fromisoformat(end["ended_at"].replace("Z", "+00:00")) + timedelta(seconds=seconds)
    end["ended_at"] = ended.isoformat().replace("+00:00", "Z")
    judgement = judge(record)
    assert judgement.status == "valid"
    assert values(judgement) == values(judge(load("iperf3_tcp")))
    assert ("clock_set" in judgement.checks) == bool(way)
    assert not way or f"the clock of {end['host']} was set {way}" in judgement.checks["clock_set"]


@pytest.mark.parametrize("value", [None, "", "yesterday", "2026-01-01", "2026-01-01T00:00:00"])
def test_a_time_of_day_that_is_none_is_no_fault(value: str | None) -> None:
    judgement = spoiled("iperf3_tcp", "client", "started_at", value=value)
    assert (judgement.status, judgement.checks) == ("valid", {})


def test_a_stall_is_a_check_that_says_which_end_saw_it() -> None:
    record = load("iperf3_tcp_untraced")
    document = json.loads(record["client"]["stdout"])
    first = document["intervals"][0]
    seconds = 10
    amounts = [0 if second == 4 else 10**9 for second in range(seconds)]
    document["intervals"] = [
        {"sum": first["sum"] | {"start": second, "end": second + 1, "seconds": 1.0, "bytes": amount}}
        for second, amount in enumerate(amounts)
    ]
    document["start"]["test_start"]["duration"] = record["run"]["parameters"]["seconds"] = seconds
    for name in ("sum_sent", "sum_received"):
        moved = sum(amounts)
        document["end"][name] |= {"bytes": moved, "seconds": float(seconds), "bits_per_second": 8 * moved / seconds}
    for stream in document["end"]["streams"]:
        for part in stream.values():
            part["bytes"] = sum(amounts) / len(document["end"]["streams"])
    for side in ("server", "client"):
        record[side]["stdout"] = json.dumps(document)
    judgement = judge(record)
    assert judgement.status == "valid", judgement.detail
    assert judgement.checks["stalled"].startswith("client: no data moved for about 1.0 s between 4 s and 5 s")


# What judging costs, as counts.


@pytest.fixture
def lines_given(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many lines each recogniser is given from now on."""
    counts: dict[str, int] = {}

    def count(recogniser: type[Any]) -> None:
        feed, name = recogniser.feed, recogniser.__name__

        def counted(self: Any, line: str, number: int) -> Any:
            counts[name] = counts.get(name, 0) + 1
            return feed(self, line, number)

        monkeypatch.setattr(recogniser, "feed", counted)

    for benchmark in BENCHMARKS.values():
        for recogniser in benchmark.recognisers:
            count(recogniser)  # type: ignore[arg-type]
    count(BpftraceRecogniser)
    return counts


@pytest.mark.parametrize("name", [name for name in RECORDS if name.startswith("iperf3")])
def test_an_output_that_is_one_document_is_given_to_no_recogniser(name: str, lines_given: dict[str, int]) -> None:
    record = load(name)
    traces = [record[side]["trace"] for side in ("server", "client") if record[side]["trace"]]
    assert judge(record).status == "valid"
    assert lines_given.pop("BpftraceRecogniser", 0) == sum(len(trace["output"].splitlines()) for trace in traces)
    assert lines_given == {}


@pytest.mark.parametrize("name", [name for name in RECORDS if name.startswith("sockperf")])
def test_a_text_is_given_to_the_recogniser_of_its_benchmark_alone(name: str, lines_given: dict[str, int]) -> None:
    record = load(name)
    printed = [record[side]["stdout"].splitlines() for side in ("server", "client")]
    assert judge(record).status == "valid"
    lines_given.pop("BpftraceRecogniser", 0)
    assert lines_given == {"SockperfRecogniser": sum(bool(line.strip()) for lines in printed for line in lines)}


def test_one_tools_output_in_another_ones_record_is_still_none_of_its_own() -> None:
    other = load("sockperf_tcp")["client"]["stdout"]
    assert_not_believed(spoiled("iperf3_tcp", "client", "stdout", value=other), "failed", "unrecognised")
    mine = load("iperf3_tcp")["client"]["stdout"]
    both = [spoiled("iperf3_tcp", "client", "stdout", value=text) for text in (mine + other, other + mine)]
    assert [judgement.status for judgement in both] == ["valid", "valid"]
    assert_not_believed(spoiled("iperf3_tcp", "client", "stdout", value=mine * 2), "failed", "several_runs")
