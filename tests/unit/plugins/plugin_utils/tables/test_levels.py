"""The total of a concurrent level: from real captures, and from copies of one with known rates and times."""

from __future__ import annotations

import copy
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.iperf3.intervals import transfer_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.transfer import Interval, Transfer
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import Plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.record import record_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.levels import (
    LEVEL_COLUMNS,
    Total,
    level_rows,
    overlap,
    total_throughput,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.results import Row
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge
from captured import captured, judged
from hypothesis import given, settings
from hypothesis import strategies as st

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=timezone.utc)
BEFORE, AFTER = 0.05, 0.05
"""Seconds of a built run before its first interval and after its last one."""
Record = dict[str, Any]


PLAN = Plan("captures", "namespaces", 1, "concurrent", 1, {}, ())


def total_of(*records: Record) -> Total | None:
    """The total of these runs as the gate judges them."""
    return total_throughput([judged(record) for record in records])


def rows_of(records: list[Record]) -> list[Row]:
    """The rows of these runs as the gate judges them."""
    return level_rows(PLAN, [judged(record) for record in records])


def received(record: Record) -> float:
    return next(sample.value for sample in judge(record).samples if sample.metric == "throughput_received")


def built(server: str, client: str, begin: float, megabits: list[float], level: int = 2, **run: Any) -> Record:
    """A valid record of an untraced run, made of a real one: one-second intervals of these Mbit/s, from ``begin``."""
    record = captured("iperf3_tcp_untraced")
    record["run"] |= {"server": server, "client": client, "level": level, "run_id": f"{server}-{client}-{begin}", **run}
    record["run"]["parameters"]["seconds"] = len(megabits)
    for side in ("server", "client"):
        end = record[side]
        end["stdout"] = json.dumps(_measured(json.loads(end["stdout"]), begin, megabits), indent=1)
        end["started_at"] = _told(begin - BEFORE)
        end["ended_at"] = _told(begin + len(megabits) + AFTER)
        end["seconds"] = BEFORE + len(megabits) + AFTER
    return record


def _measured(document: Record, begin: float, megabits: list[float]) -> Record:
    document["start"]["timestamp"]["timesecs"] = int(NOON.timestamp() + begin - BEFORE)
    document["start"]["test_start"]["duration"] = len(megabits)
    pattern = document["intervals"][0]["sum"]
    amounts = [round(rate * 125_000) for rate in megabits]
    document["intervals"] = [
        {"streams": [], "sum": pattern | {"start": second, "end": second + 1, "seconds": 1.0, "bytes": amount}}
        for second, amount in enumerate(amounts)
    ]
    everything = {"start": 0, "end": len(megabits), "seconds": len(megabits), "bytes": sum(amounts)}
    everything["bits_per_second"] = 8 * sum(amounts) / len(megabits)
    document["end"]["sum_sent"] |= everything
    document["end"]["sum_received"] |= everything
    for stream in document["end"]["streams"]:
        for part in stream.values():
            part["bytes"] = sum(amounts) / len(document["end"]["streams"])
    return document


def _told(second: float) -> str:
    return (NOON + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")


# Real captures.


@pytest.mark.parametrize("name", ["iperf3_tcp_untraced", "iperf3_udp", "iperf3_reverse", "iperf3_zerocopy"])
def test_one_run_alone_has_the_rate_that_it_has(name: str) -> None:
    """One-second captures have one interval and a rest, so the rate within is that of the whole run."""
    total = total_of(captured(name))
    assert total is not None
    assert total.pairs == 1
    assert 0.5 < total.overlap_seconds < 1
    assert total.bits_per_second == pytest.approx(received(captured(name)), rel=0.001)


def test_the_tracer_makes_the_start_so_uncertain_that_a_run_of_a_second_has_no_total() -> None:
    transfer = transfer_of(record_of(captured("iperf3_tcp")))
    assert transfer is not None
    assert 0.5 < transfer.latest - transfer.earliest < 0.6
    assert total_of(captured("iperf3_tcp")) is None


@pytest.mark.parametrize("name", ["sockperf_tcp", "sockperf_udp", "sockperf_throughput", "sockperf_under_load"])
def test_sockperf_has_no_total(name: str) -> None:
    record = captured(name)
    record["run"]["level"] = 1
    assert total_of(record) is None
    assert rows_of([record]) == []


# The window.


def test_spans_overlap_where_all_of_them_are() -> None:
    assert overlap([(0, 10), (2, 12), (1, 9)]) == (2, 9)
    assert overlap([(0, 10)]) == (0, 10)
    assert overlap([(0, 1), (1, 2)]) is None
    assert overlap([(0, 1), (3, 4)]) is None
    assert overlap([]) is None


def test_the_built_records_are_valid() -> None:
    record = built("a", "b", 0, [100, 200, 300])
    assert judge(record).status == "valid"
    assert received(record) == 200e6


def test_the_total_is_of_the_seconds_in_which_both_pairs_ran() -> None:
    """The second pair comes 2 s late: what the first did before, and the second after, does not count."""
    early = built("a", "b", 0, [900, 900, 100, 100, 100, 100])
    late = built("c", "d", 2, [50, 50, 50, 50, 700, 700])
    total = total_of(early, late)
    assert total is not None
    assert total.pairs == 2
    assert total.overlap_seconds == pytest.approx(4 - BEFORE - AFTER)
    assert total.bits_per_second == pytest.approx(150e6)


def test_an_interval_that_lies_in_the_window_partly_counts_with_that_share() -> None:
    ramp = built("a", "b", 0, [100, 200, 300, 400])
    late = built("c", "d", 1.5, [10, 10, 10, 10])
    total = total_of(ramp, late)
    assert total is not None
    # The window is 1.55 to 3.95, all possible starts allowed for.
    assert total.overlap_seconds == pytest.approx(2.4)
    assert total.bits_per_second == pytest.approx((0.45 * 200 + 300 + 0.95 * 400) / 2.4 * 1e6 + 10e6)


def test_a_rate_counts_each_interval_by_its_share_of_the_window() -> None:
    transfer = Transfer(100.0, 100.2, (Interval(0, 1, 1000), Interval(1, 2, 3000)))
    assert transfer.certain == (100.2, 102.0)
    assert transfer.rate((100.6, 101.6)) == pytest.approx(8 * (500 + 1500))


@pytest.mark.parametrize(
    "second",
    [
        built("c", "d", 3.5, [10, 10, 10]),
        built("c", "d", 2.85, [10, 10, 10]),
    ],
    ids=["apart", "overlapping by less than is known of their starts"],
)
def test_pairs_that_did_not_run_together_have_no_total(second: Record) -> None:
    assert total_of(built("a", "b", 0, [100, 100, 100]), second) is None


def spoiled(**ends: Any) -> Record:
    """A built record with fields of an end replaced: ``server_stdout="…"``."""
    record = built("c", "d", 0, [10, 10, 10])
    for name, value in ends.items():
        side, _, field = name.partition("_")
        record[side][field] = value
    return record


def without_interval(number: int) -> Record:
    record = built("c", "d", 0, [10, 10, 10])
    document = json.loads(record["server"]["stdout"])
    del document["intervals"][number]
    record["server"]["stdout"] = json.dumps(document)
    return record


@pytest.mark.parametrize(
    "second",
    [
        spoiled(server_stdout=""),
        spoiled(client_stdout=""),
        spoiled(client_started_at=None),
        spoiled(server_ended_at="yesterday"),
        spoiled(server_started_at="2026-11-23T12:00:00"),
        spoiled(client_timed_out=True),
        without_interval(1),
        built("c", "d", 0, [10, 10, 10]) | {"server": None},
        built("c", "d", 0, [10, 10, 10]) | {"error": {"reason": "unreachable", "detail": "no route"}},
    ],
)
def test_one_run_that_cannot_be_placed_or_believed_takes_the_total_away(second: Record) -> None:
    first = built("a", "b", 0, [100, 100, 100])
    assert total_of(first) is not None
    assert total_of(first, second) is None


def test_no_intervals_at_all_are_no_total() -> None:
    record = built("a", "b", 0, [100, 100, 100])
    document = json.loads(record["server"]["stdout"]) | {"intervals": []}
    record["server"]["stdout"] = json.dumps(document)
    assert judge(record).status == "valid"
    assert total_of(record) is None


def test_clocks_that_disagree_shorten_the_window() -> None:
    record = built("a", "b", 0, [100] * 10)
    agreed = total_of(record)
    record["server"] |= {"started_at": _told(-2.05), "ended_at": _told(8.05)}
    apart = total_of(record)
    assert agreed is not None
    assert apart is not None
    assert agreed.overlap_seconds == pytest.approx(9.9)
    assert apart.overlap_seconds == pytest.approx(8.0, abs=0.11)


@given(
    st.lists(
        st.tuples(st.floats(0, 3), st.lists(st.floats(0, 1000), min_size=4, max_size=8)), min_size=1, max_size=5
    )
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_a_total_lies_between_the_sums_of_lowest_and_highest_rates(runs: list[tuple[float, list[float]]]) -> None:
    transfers = [
        Transfer(begin, begin + 0.01, tuple(Interval(second, second + 1, rate) for second, rate in enumerate(rates)))
        for begin, rates in runs
    ]
    window = overlap(transfer.certain for transfer in transfers)
    assert window is not None
    for transfer, (_begin, rates) in zip(transfers, runs, strict=True):
        assert 8 * min(rates) * 0.999999 - 1e-6 <= transfer.rate(window) <= 8 * max(rates) * 1.000001 + 1e-6


# Rows.


def step(*pairs: str, begin: float = 0, level: int | None = None, **run: Any) -> list[Record]:
    return [built(*pair.split(), begin, [100, 100, 100], level=level or len(pairs), **run) for pair in pairs]


def test_a_row_for_every_step() -> None:
    records = [
        *step("a b", "c d", begin=10, block=2),
        *step("a b", begin=4),
        *step("a b", "c d"),
        *step("a b", begin=8, case="other"),
    ]
    rows = rows_of(records)
    assert all(tuple(row) == LEVEL_COLUMNS for row in rows)
    assert [(row["block"], row["level"], row["case"], row["pairs"], row["value"]) for row in rows] == [
        (1, 1, "iperf3_tcp_untraced", 1, pytest.approx(100e6)),
        (1, 1, "other", 1, pytest.approx(100e6)),
        (1, 2, "iperf3_tcp_untraced", 2, pytest.approx(200e6)),
        (2, 2, "iperf3_tcp_untraced", 2, pytest.approx(200e6)),
    ]
    assert {(row["sweep"], row["configuration"], row["benchmark"], row["traced"]) for row in rows} == {
        ("captures", "namespaces", "iperf3", False)
    }
    assert {(row["metric"], row["unit"]) for row in rows} == {("throughput_received_total", "bit/s")}
    assert all(row["overlap_seconds"] == pytest.approx(2.9) for row in rows)
    assert rows_of(list(reversed(records))) == rows


def test_a_step_that_no_host_could_trace_is_untraced() -> None:
    records = step("a b", traced=True)
    for side in ("server", "client"):
        records[0][side]["trace_unavailable"] = "no kernel headers"
    assert [row["traced"] for row in rows_of(records)] == [False]
    records[0]["client"]["trace"] = captured("iperf3_tcp")["client"]["trace"]
    assert [row["traced"] for row in rows_of(records)] == [True]
    records[0] |= {"server": None, "client": None}
    assert [(row["traced"], row["value"]) for row in rows_of(records)] == [(True, None)]


def test_runs_outside_concurrent_mode_give_no_rows() -> None:
    without = captured("iperf3_tcp_untraced")
    assert rows_of([without]) == []
    without["run"]["level"] = None
    assert rows_of([without]) == []


def test_a_level_of_which_a_run_is_missing_has_no_total() -> None:
    (row,) = rows_of(step("a b", "c d", level=3))
    assert (row["level"], row["pairs"], row["overlap_seconds"], row["value"]) == (3, 2, None, None)


def test_a_level_with_a_failed_run_has_no_total() -> None:
    records = step("a b", "c d")
    records[1]["server"]["timed_out"] = True
    (row,) = rows_of(records)
    assert (row["pairs"], row["value"]) == (2, None)


def test_both_directions_are_two_steps() -> None:
    rows = rows_of([*step("a b", "c d"), *step("b a", "d c", begin=5)])
    assert [(row["pairs"], row["value"]) for row in rows] == [(2, pytest.approx(200e6))] * 2


def test_steps_that_cannot_be_told_apart_have_no_total() -> None:
    records = [*step("a b", "c d"), *step("b a", "d c", begin=5)]
    for side in ("server", "client"):
        records[0][side] = None
    (row,) = rows_of(records)
    assert (row["pairs"], row["value"]) == (4, None)


def test_the_records_are_left_as_they_are() -> None:
    records = step("a b", "c d")
    before = copy.deepcopy(records)
    rows_of(records)
    assert records == before
