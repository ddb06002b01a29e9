"""What a person is told of a sweep, as figures: outcomes, the first groups of runs, totals, the summary."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Any

from ..model import Plan, Series
from ..store.store import Store
from .outcomes import Outcomes
from .results import JudgedRun, Row, with_records

MOST_GROUPS = 12


@dataclass
class Calls:
    """Of one target of one side in the runs of a group: by system call, how often each run made it.

    A run that did not make a call made it 0 times: a count is complete, so this 0 is measured.
    """

    runs: int = 0
    counts: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def add(self, counts: Mapping[str, int]) -> None:
        """Those of one more run."""
        self.runs += 1
        for name, count in counts.items():
            self.counts[name].append(count)

    def of(self, name: str) -> list[int]:
        """Of each run."""
        return [0] * (self.runs - len(self.counts[name])) + self.counts[name]


@dataclass
class Group:
    """All runs of one case on one pair (at one level)."""

    series: Series
    runs: int = 0
    valid: int = 0
    calls: dict[tuple[str, str], Calls] = field(default_factory=lambda: defaultdict(Calls))
    """By side and target."""

    def add(self, item: JudgedRun) -> None:
        """One more run."""
        self.runs += 1
        self.valid += item.judgement.status == "valid"
        per_target: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        for row in item.judgement.syscalls:
            if row.calls is not None:
                counts = per_target[row.side, row.target]
                counts[row.syscall] = counts.get(row.syscall, 0) + row.calls
        for target, counts in per_target.items():
            self.calls[target].add(counts)


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


def first_groups(store: Store, plan: Plan, doubled: Mapping[str, str]) -> tuple[list[Group], int]:
    """The first groups of a plan, and how many there are."""
    count = 0

    def counted() -> Iterable[Series]:
        nonlocal count
        for series in plan.steps.series():
            count += 1
            yield series

    first = nsmallest(MOST_GROUPS, counted(), key=lambda series: (*series[:4], series[4] or 0))
    return [group_of(series, with_records(store, plan.steps.runs_of(series), doubled)) for series in first], count


def group_of(series: Series, items: Iterable[JudgedRun]) -> Group:
    """A group of these runs."""
    group = Group(series)
    for item in items:
        group.add(item)
    return group
