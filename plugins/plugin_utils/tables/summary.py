"""The summary table: per configuration, pair, case and metric, what the runs say together (pandas)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .results import Row

if TYPE_CHECKING:
    import pandas as pd

SUMMARY_COLUMNS = (
    "configuration", "server", "client", "benchmark", "case", "metric", "n_tried", "n_valid", "median", "ci_low",
    "ci_high", "mad", "min", "max", "unit", "verdict", "trace_cost", "trace_cost_low", "trace_cost_high", "level",
)  # fmt: skip
KEYS = ["configuration", "server", "client", "benchmark", "case", "level"]
COUNTED_FROM_TRACED = ("syscalls_per_", "vmm_syscalls_per_")

# pandas and scipy are imported where they are used: loading them takes seconds, and whoever has neither of them needs the
# columns all the same.


def summarise(runs: pd.DataFrame, samples: pd.DataFrame, configuration: str, every_run: bool) -> list[Row]:
    """Rows of summary.csv, in the order of the plan's cases and of the samples within a run.

    ``runs`` has a row for each planned run in plan order, ``samples`` one for each figure of the valid ones (`figures`).
    Headline figures come from untraced valid runs; those that need a trace come from traced ones. ``n_tried`` counts
    the planned runs of that kind. Handwritten notes have no twins: there ``every_run`` counts. Raises ImportError where
    scipy is not installed.
    """
    if samples.empty:
        return []
    told = runs.assign(configuration=configuration, level=runs["level"].astype(object).where(runs["level"].notna(), ""))
    tried: dict[tuple[Any, ...], int] = {}
    for key in zip(*(told[name] for name in KEYS), told["traced"], strict=True):
        tried[key] = tried.get(key, 0) + 1
    frame = told.iloc[samples["run"].to_numpy()].reset_index(drop=True)
    for name in ("metric", "unit", "value"):
        frame[name] = samples[name].to_numpy() if name == "value" else samples[name].astype(object).to_numpy()
    for name in ("server", "client", "benchmark", "case"):
        frame[name] = frame[name].astype(object)
    rows: list[Row] = []
    for names, group in frame.groupby([*KEYS, "metric"], sort=False):
        row = dict(zip([*KEYS, "metric"], names, strict=True))
        rows += _row(row, group, tried, every_run=every_run)
    return [{column: row.get(column) for column in SUMMARY_COLUMNS} for row in rows]


def _row(row: Row, group: pd.DataFrame, tried: dict[tuple[Any, ...], int], every_run: bool) -> list[Row]:
    from ..statistics.estimates import mad, median_estimate, verdict

    metric = str(row["metric"])
    wants_traced = metric.startswith(COUNTED_FROM_TRACED)
    chosen = group if every_run else group[group["traced"] == wants_traced]
    if chosen.empty:
        return []
    values = [float(value) for value in chosen["value"]]
    estimate = median_estimate(values)
    low, high = estimate.interval or (None, None)
    row |= {
        "n_tried": sum(
            tried.get((*(row[key] for key in KEYS), traced), 0)
            for traced in ((True, False) if every_run else (wants_traced,))
        ),
        "n_valid": len(values),
        "median": estimate.centre,
        "ci_low": low,
        "ci_high": high,
        "mad": mad(values),
        "min": min(values),
        "max": max(values),
        "unit": chosen["unit"].iloc[0],
        "verdict": verdict(metric, estimate),
    }
    if not wants_traced and not every_run:
        row |= _cost(group)
    return [row]


def _cost(group: pd.DataFrame) -> Row:
    from ..statistics.estimates import trace_cost

    by_block = {
        traced: {int(block): float(value) for block, value in zip(part["block"], part["value"], strict=True)}
        for traced, part in group.groupby("traced")
    }
    cost = trace_cost(by_block.get(True, {}), by_block.get(False, {}))
    if cost is None or math.isnan(cost.centre):
        return {}
    low, high = cost.interval or (None, None)
    return {"trace_cost": cost.centre, "trace_cost_low": low, "trace_cost_high": high}
