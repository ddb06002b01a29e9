"""The planned runs of a sweep, each with what became of it, read from the store a few hundred at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..model import Judgement, Plan, Run
from ..records.reading import other_run
from ..store.judged import JudgedRecord
from ..store.store import Store

Row = dict[str, Any]
AT_ONCE = 500
"""Runs whose figures are in memory at once."""


@dataclass(frozen=True)
class JudgedRun:
    """One planned run and what became of it; ``found`` is None when there is no record, or it is not what it should be."""

    run: Run
    found: JudgedRecord | None
    judgement: Judgement

    @property
    def traced(self) -> bool:
        """Whether it belongs to the traced runs; a host that cannot trace goes on untraced.

        A traced run that failed before its tracer could leave anything is a traced one that was tried.
        """
        if self.found is not None and self.found.traced:
            return True
        return self.run.traced and not (self.found is not None and self.found.untraceable)


def judged_run(run: Run, found: JudgedRecord | None, doubled: str | None = None) -> JudgedRun:
    """A planned run with what counts of it; ``doubled`` is a sentence about a file that says something else of it."""
    if found is None:
        return JudgedRun(run, None, Judgement("failed", "not_run", "this run has not been executed"))
    difference = other_run(run, found.identity)
    if difference:
        judgement = Judgement("invalid", "malformed", f"The record is of another run than the plan's: {difference}.")
        return JudgedRun(run, None, judgement)
    judgement = found.judgement
    if doubled:
        judgement = replace(judgement, checks={**judgement.checks, "two_records": doubled})
    return JudgedRun(run, found if found.readable else None, judgement)


def judged_runs(store: Store, plan: Plan, positions: range, doubled: Mapping[str, str]) -> Iterator[JudgedRun]:
    """The runs of these steps of a plan, in its order."""
    steps = (plan.steps[position] for position in positions)
    return with_records(store, (run for step in steps for session in step.sessions for run in session.runs), doubled)


def with_records(store: Store, runs: Iterable[Run], doubled: Mapping[str, str]) -> Iterator[JudgedRun]:
    """Runs with what is stored of them."""
    for part in parts_of(runs):
        found = store.judged([run.run_id for run in part])
        yield from (judged_run(run, found.get(run.run_id), doubled.get(run.run_id)) for run in part)


def parts_of(runs: Iterable[Run], size: int = AT_ONCE) -> Iterator[list[Run]]:
    """Runs in lists of that size."""
    part: list[Run] = []
    for run in runs:
        part.append(run)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
