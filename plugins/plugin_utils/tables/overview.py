"""What a person is told of a sweep, as figures: outcomes, the first groups of runs, totals, the summary."""

from __future__ import annotations

import json
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from statistics import median
from typing import Any

from ..model import Plan, Run, Series
from ..store.columns import ForeignRow
from ..store.store import Called, Store
from .outcomes import Outcomes
from .results import Row, parts_of

MOST_GROUPS = 12


@dataclass(frozen=True)
class Calls:
    """Of one target of one side: in how many runs calls were counted, and the median of each call over them."""

    runs: int
    medians: Mapping[str, float]


@dataclass(frozen=True)
class Group:
    """All runs of one case on one pair (at one level)."""

    series: Series
    runs: int
    valid: int
    calls: Mapping[tuple[str, str], Calls]
    """By side and target."""

    def as_document(self) -> list[Any]:
        """What is remembered of it, beside its name."""
        return [self.runs, self.valid, [[*target, calls.runs, calls.medians] for target, calls in self.calls.items()]]


def group_from(series: Series, document: str) -> Group:
    """What was remembered of a group. Raises ForeignRow for what `Group.as_document` cannot have been."""
    try:
        runs, valid, calls = json.loads(document)
        return Group(
            series,
            int(runs),
            int(valid),
            {
                (str(side), str(target)): Calls(int(counted), {name: float(value) for name, value in medians.items()})
                for side, target, counted, medians in calls
            },
        )
    except (ValueError, TypeError, AttributeError, RecursionError) as fault:
        raise ForeignRow(f"group: {fault}") from None


class _Counts:
    """How often each run of a group made a call, while the runs go by."""

    def __init__(self) -> None:
        self._runs = 0
        self._counts: dict[str, array[int]] = defaultdict(lambda: array("Q"))

    def add(self, counts: Mapping[str, int]) -> None:
        """Those of one more run."""
        self._runs += 1
        for name, count in counts.items():
            self._counts[name].append(count)

    def calls(self) -> Calls:
        """What they come to. A call that a run did not make it made 0 times: a count is complete, so this 0 is measured."""
        return Calls(
            self._runs,
            {name: median([0] * (self._runs - len(counts)) + counts.tolist()) for name, counts in self._counts.items()},
        )


@dataclass(frozen=True)
class Overview:
    """What is told of a sweep."""

    plan: Plan
    outcomes: Outcomes
    groups: Sequence[Group]
    """The first ones, as they are sorted."""
    group_count: int
    hosts: Mapping[str, Mapping[str, Any]]
    problems: Sequence[str]
    """A sentence for every file that is left out."""
    summary: Sequence[Row] = ()
    """None where pandas is not there to make them."""
    notes: Sequence[str] = ()
    """What a reader has to know beside."""


def first_series(plan: Plan) -> tuple[list[Series], int]:
    """What is repeated in the first groups of a plan, and how many groups there are."""
    count = 0

    def counted() -> Iterator[Series]:
        nonlocal count
        for series in plan.steps.series():
            count += 1
            yield series

    return nsmallest(MOST_GROUPS, counted(), key=lambda series: (*series[:4], series[4] or 0)), count


def stored_group(store: Store, plan: Plan, series: Series) -> Group:
    """A group of a plan, with what is stored of its runs."""
    return group_of(series, _called(store, plan.steps.runs_of(series)))


def _called(store: Store, runs: Iterable[Run]) -> Iterator[Called | None]:
    for part in parts_of(runs):
        found = store.called([run.run_id for run in part])
        for run in part:
            one = found.get(run.run_id)
            yield one if one is not None and store.matches(run, one.shared, one.own) else None


def group_of(series: Series, runs: Iterable[Called | None]) -> Group:
    """A group of these runs; None is one without a record."""
    counts: dict[tuple[str, str], _Counts] = defaultdict(_Counts)
    tried = valid = 0
    for one in runs:
        tried += 1
        if one is not None:
            valid += one.valid
            for target, its in one.counts.items():
                counts[target].add(its)
    return Group(series, tried, valid, {target: its.calls() for target, its in counts.items()})
