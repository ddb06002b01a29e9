"""What the runs of every case say together of one metric: one row of the summary for each case.

All cases are worked out at once, in arrays; a sweep of a million runs has fifteen million samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..statistics.estimates import Estimate, trace_costs, verdict
from ..statistics.groups import Floats, Numbers, medians
from .results import Row

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("server", "client", "benchmark", "case", "level")
"""What makes a case of the summary; its number here is its position among all that the plan has."""
NO_LEVEL = -1
COUNTED_FROM_TRACED = ("syscalls_per_", "vmm_syscalls_per_")


@dataclass(frozen=True)
class Cases:
    """The planned runs as arrays: of which case each is, and which runs are twins."""

    labels: dict[str, list[Any]]
    """By key, the value of each case."""
    case_of_run: Numbers
    traced: NDArray[np.bool_]
    """By run."""
    twin_of_run: Numbers
    """The same number for runs of one case in one block."""
    case_of_twin: Numbers
    tried: Mapping[bool, Numbers]
    """How many traced and untraced runs each case has."""

    @classmethod
    def of(cls, runs: pd.DataFrame) -> Cases:
        """The cases of a plan's runs."""
        keys = runs[[*KEYS, "block"]].assign(level=runs["level"].fillna(NO_LEVEL).astype("int64"))
        cases = keys.groupby(list(KEYS), observed=True, sort=False).ngroup().to_numpy(np.int32)
        twins = keys.assign(case=cases).groupby(["case", "block"], sort=False).ngroup().to_numpy(np.int32)
        _numbers, first = np.unique(cases, return_index=True)
        labels = {name: runs[name].iloc[first].tolist() for name in KEYS[:-1]}
        labels["level"] = ["" if level == NO_LEVEL else level for level in keys["level"].iloc[first].tolist()]
        case_of_twin = np.zeros(int(twins.max(initial=-1)) + 1, dtype=np.int32)
        case_of_twin[twins] = cases
        traced = runs["traced"].to_numpy(bool)
        tried = {kind: np.bincount(cases[traced == kind], minlength=len(first)) for kind in (True, False)}
        return cls(labels, cases, traced, twins, case_of_twin, tried)


@dataclass(frozen=True)
class Samples:
    """Samples of valid runs as arrays, in their order."""

    metrics: list[str]
    """By code."""
    units: list[str]
    """By code."""
    metric: Numbers
    """By sample, its code."""
    unit: Numbers
    run: Numbers
    """Position among the planned runs."""
    value: Floats
    place: Numbers
    """Position among all samples."""

    @classmethod
    def of(cls, samples: pd.DataFrame) -> Samples:
        """The samples of a sweep."""
        metric, unit = samples["metric"].cat, samples["unit"].cat
        metrics, units = metric.categories.tolist(), unit.categories.tolist()
        run, value = samples["run"].to_numpy(), samples["value"].to_numpy(float)
        return cls(metrics, units, metric.codes.to_numpy(), unit.codes.to_numpy(), run, value, np.arange(len(samples)))

    def only(self, chosen: NDArray[np.bool_]) -> Samples:
        """Some of the samples."""
        at = np.flatnonzero(chosen)
        return replace(
            self, metric=self.metric[at], unit=self.unit[at], run=self.run[at], value=self.value[at], place=self.place[at]
        )


def figures_by_case(cases: Cases, samples: Samples, metric: int, every_run: bool) -> Iterator[tuple[int, Row]]:
    """Rows of a metric, given by its code, each with the place of its first sample among all samples."""
    name = samples.metrics[metric]
    everything = samples.only(samples.metric == metric)
    wants_traced = name.startswith(COUNTED_FROM_TRACED)
    chosen = everything if every_run else everything.only(cases.traced[everything.run] == wants_traced)
    if not len(chosen.run):
        return
    present, groups = _dense(cases.case_of_run[chosen.run])
    columns = _columns(cases, name, chosen, present, groups, (True, False) if every_run else (wants_traced,))
    if not wants_traced and not every_run:
        columns |= _costs(cases, everything, present)
    places = _first(cases.case_of_run[everything.run], everything.place)[present].tolist()
    for place, values in zip(places, zip(*columns.values(), strict=True), strict=True):
        yield place, dict(zip(columns, values, strict=True)) | {"metric": name}


def _columns(
    cases: Cases, metric: str, chosen: Samples, present: Numbers, groups: Numbers, kinds: tuple[bool, ...]
) -> dict[str, list[Any]]:
    found = medians(groups, chosen.value)
    figures = {
        "n_tried": np.sum([cases.tried[kind][present] for kind in kinds], axis=0).tolist(),
        "n_valid": found.counts.tolist(),
        "median": found.centre.tolist(), "ci_low": _known(found.low), "ci_high": _known(found.high),
        "mad": found.mad.tolist(), "min": found.smallest.tolist(), "max": found.largest.tolist(),
        "unit": [chosen.units[unit] for unit in _first(groups, chosen.unit)],
    }  # fmt: skip
    bounds = zip(figures["median"], figures["ci_low"], figures["ci_high"], strict=True)
    figures["verdict"] = [
        verdict(metric, Estimate(centre, None if low is None else (low, high))) for centre, low, high in bounds
    ]
    return {name: [values[case] for case in present] for name, values in cases.labels.items()} | figures


def _costs(cases: Cases, samples: Samples, present: Numbers) -> dict[str, list[float | None]]:
    """The cost of tracing by case, from the last sample of each twin."""
    values: dict[bool, Floats] = {}
    for kind in (True, False):
        part = samples.only(cases.traced[samples.run] == kind)
        values[kind] = np.full(len(cases.case_of_twin), np.nan)
        values[kind][cases.twin_of_run[part.run]] = part.value
    numbers, costs = trace_costs(cases.case_of_twin, values[True], values[False])
    names = ("trace_cost", "trace_cost_low", "trace_cost_high")
    found = {}
    for name, bound in zip(names, (costs.centre, costs.low, costs.high), strict=True):
        by_case = np.full(len(cases.tried[True]), np.nan)
        by_case[numbers] = bound
        found[name] = _known(by_case[present])
    return found


def _known(values: Floats) -> list[float | None]:
    """Figures for a table: what is not finite is not known."""
    return [value if known else None for value, known in zip(values.tolist(), np.isfinite(values), strict=True)]


def _dense(numbers: Numbers) -> tuple[Numbers, Numbers]:
    """The numbers that occur, ascending, and for each element the position of its number among them."""
    present = np.flatnonzero(np.bincount(numbers))
    position = np.zeros(int(present[-1]) + 1, dtype=np.int32)
    position[present] = np.arange(len(present))
    return present, position[numbers]


def _first(groups: Numbers, values: Numbers) -> Numbers:
    """By group, the value of its first element."""
    found = np.zeros(int(groups.max()) + 1, dtype=values.dtype)
    found[groups[::-1]] = values[::-1]  # of equal positions the last one counts
    return found
