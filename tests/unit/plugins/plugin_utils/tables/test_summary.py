"""What the runs of a case say together."""

from __future__ import annotations

import copy
import math
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import store_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.statistics.estimates import (
    Estimate,
    hodges_lehmann,
    verdict,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.summary import (
    SUMMARY_COLUMNS,
    summarise,
)
from captured import Document, all_captured, read_csv, sweep_of, tables_of, write_documents
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats


@pytest.fixture
def records() -> list[Document]:
    found = all_captured()
    assert found
    return found


def test_headlines_come_from_untraced_runs_and_call_rates_from_traced_ones(
    tmp_path: Path, records: list[Document]
) -> None:
    store_plan(tmp_path, sweep_of(records))
    write_documents(tmp_path, records)
    tables_of(tmp_path)
    traced = {row["run_id"]: row["traced"] == "true" for row in read_csv(tmp_path / "runs.csv")}
    samples = read_csv(tmp_path / "samples.csv")
    for row in read_csv(tmp_path / "summary.csv"):
        wanted = row["metric"].startswith("syscalls_per_")
        values = {
            float(sample["value"]) for sample in samples
            if sample["metric"] == row["metric"] and traced[sample["run_id"]] == wanted
        }
        assert {float(row["min"]), float(row["max"])} <= values
        assert row["verdict"] == "too few" and row["ci_low"] == ""


@pytest.mark.parametrize(
    ("server", "shown", "tried"), [("failed before it was traced", "true", "1"), ("could not trace", "false", "2")]
)
def test_a_traced_run_that_failed_is_no_untraced_one(
    tmp_path: Path, records: list[Document], server: str, shown: str, tried: str
) -> None:
    [untraced] = [record for record in records if not record["run"]["traced"]]
    traced = copy.deepcopy(untraced)
    traced["run"]["traced"] = True
    for side in ("server", "client"):
        traced[side]["problem"] = {"reason": "port_taken", "detail": "x"}
        traced[side]["trace_unavailable"] = server if server == "could not trace" else None
    store_plan(tmp_path, sweep_of([untraced, traced]))
    write_documents(tmp_path, [untraced, traced])
    tables_of(tmp_path)
    assert [row["traced"] for row in read_csv(tmp_path / "runs.csv")] == ["false", shown]
    [row] = [row for row in read_csv(tmp_path / "summary.csv") if row["metric"] == "throughput_received"]
    assert (row["n_valid"], row["n_tried"]) == ("1", tried)


@dataclass
class PlannedRun:
    """A run of a small sweep, and its samples: metric, unit and value."""

    server: str
    client: str
    benchmark: str
    case: str
    level: int | None
    block: int
    traced: bool
    valid: bool
    samples: list[tuple[str, str, float]] = field(default_factory=list)

    @property
    def key(self) -> tuple[Any, ...]:
        return self.server, self.client, self.benchmark, self.case, "" if self.level is None else self.level


COSTS = ("trace_cost", "trace_cost_low", "trace_cost_high")
HOSTS, METRICS = st.sampled_from("abc"), ("throughput_received", "latency_p50", "syscalls_per_gib_server")
VALUES = st.floats(1, 1e3) | st.sampled_from([0.0, 1.0, 2.0])
RUNS = st.lists(
    st.builds(
        PlannedRun, HOSTS, HOSTS, st.sampled_from(["iperf3", "sockperf"]), st.sampled_from(["one", "two"]),
        st.sampled_from([None, 0, 1]), st.integers(1, 9), st.booleans(), st.sampled_from([True, True, True, False]),
        st.lists(
            st.tuples(st.sampled_from(METRICS), st.sampled_from(["bit/s", "us"]), VALUES),
            max_size=4,
        ),
    ),
    max_size=60,
)  # fmt: skip


def frames(runs: list[PlannedRun]) -> tuple[pd.DataFrame, pd.DataFrame]:
    named = ["server", "client", "benchmark", "case"]
    planned = pd.DataFrame([vars(run) for run in runs], columns=[*named, "level", "block", "traced"])
    samples = pd.DataFrame(
        [(place, *sample) for place, run in enumerate(runs) if run.valid for sample in run.samples],
        columns=["run", "metric", "unit", "value"],
    )
    return (
        planned.astype(dict.fromkeys(named, "category") | {"level": "Int64", "block": "int64", "traced": "bool"}),
        samples.astype({"run": "int32", "metric": "category", "unit": "category", "value": "float64"}),
    )


def said_plainly(runs: list[PlannedRun], every_run: bool) -> list[dict[str, Any]]:
    """The summary, one row after another."""
    groups: dict[tuple[Any, ...], list[tuple[PlannedRun, str, float]]] = {}
    for run in runs:
        for metric, unit, value in run.samples if run.valid else ():
            groups.setdefault((*run.key, metric), []).append((run, unit, value))
    rows = []
    for (*key, metric), group in groups.items():
        wants_traced = metric.startswith("syscalls_per_")
        chosen = [(unit, value) for run, unit, value in group if every_run or run.traced == wants_traced]
        if chosen:
            tried = [run for run in runs if run.key == tuple(key) and (every_run or run.traced == wants_traced)]
            row = dict(zip(("server", "client", "benchmark", "case", "level"), key, strict=True))
            row |= {"configuration": "c", "metric": metric, "n_tried": len(tried), "unit": chosen[0][0]}
            row |= figures([value for _unit, value in chosen], metric)
            rows.append(row | ({} if wants_traced or every_run else cost(group)))
    return [{column: row.get(column) for column in SUMMARY_COLUMNS} for row in rows]


def figures(values: list[float], metric: str) -> dict[str, Any]:
    middle = statistics.median(values)
    interval = stats.quantile_test(range(1, len(values) + 1)).confidence_interval(0.95)
    known = interval.low == interval.low and interval.high == interval.high
    low, high = (sorted(values)[int(rank) - 1] for rank in interval) if known else (None, None)
    estimate = Estimate(middle, (low, high) if low is not None and high is not None else None)
    return {
        "n_valid": len(values), "median": middle, "ci_low": low, "ci_high": high, "min": min(values), "max": max(values),
        "mad": statistics.median(abs(value - middle) for value in values), "verdict": verdict(metric, estimate),
    }  # fmt: skip


def cost(group: list[tuple[PlannedRun, str, float]]) -> dict[str, float | None]:
    twins: dict[bool, dict[int, float]] = {True: {}, False: {}}
    for run, _unit, value in group:
        twins[run.traced][run.block] = value
    logs = [
        math.log(traced / untraced)
        for block, traced in twins[True].items()
        if traced > 0 and (untraced := twins[False].get(block, 0)) > 0
    ]
    if not logs:
        return {}
    found = hodges_lehmann(logs)
    figures = (found.centre, *(found.interval or (None, None)))
    return dict(zip(COSTS, (figure and 100 * math.expm1(figure) for figure in figures), strict=True))


def text(rows: list[dict[str, Any]]) -> list[str]:
    """The rows with every bit of their figures, but for costs: not all logarithms are rounded alike."""
    return [
        repr({name: round(row[name], 6) + 0.0 if name in COSTS and row[name] is not None else row[name] for name in row})
        for row in rows
    ]


@settings(max_examples=200)
@given(RUNS, st.booleans())
def test_the_summary_is_what_it_is_row_by_row(runs: list[PlannedRun], every_run: bool) -> None:
    assert text(summarise(*frames(runs), "c", every_run)) == text(said_plainly(runs, every_run))


def test_a_sweep_with_intervals_is_the_same_row_by_row() -> None:
    runs = [
        PlannedRun(
            "a", client, "iperf3", case, None, block, traced, (block + traced) % 7 != 3,
            [
                (metric, "us", 100 + block * 1.7 % 11 + traced * 0.3 * len(client + metric))
                for metric in METRICS[: 2 + traced]
            ],
        )
        for block in range(1, 30) for client in ("b", "cc") for case in ("x", "y") for traced in (True, False)
    ]  # fmt: skip
    rows = summarise(*frames(runs), "c", False)
    assert text(rows) == text(said_plainly(runs, False))
    assert len(rows) == 12 and all(row["ci_low"] is not None for row in rows)
    assert sum(row["trace_cost_low"] is not None for row in rows) == 8
