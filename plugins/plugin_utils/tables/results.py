"""Everything that a sweep came to: its plan, the records of its runs and what may be believed of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..model import Judgement, Plan, Run
from ..planning.stored import load_plan
from ..records.reading import StoredRecord, other_run, read_hosts, read_records
from ..records.record import Record
from ..storage.files import shown_path
from ..storage.sweep_folder import SweepFolder
from ..validity.statuses import Judgements

Row = dict[str, Any]


@dataclass(frozen=True)
class JudgedRun:
    """One planned run and what became of it; ``record`` is None when there is none, or it is not what it should be."""

    run: Run
    record: Record | None
    judgement: Judgement

    @property
    def traced(self) -> bool:
        """Whether it belongs to the traced runs; a host that cannot trace goes on untraced.

        A traced run that failed before its tracer could leave anything is a traced one that was tried.
        """
        ends = () if self.record is None else self.record.ends
        if any(end.trace for end in ends):
            return True
        return self.run.traced and not any(end.trace_unavailable for end in ends)


@dataclass(frozen=True)
class SweepResults:
    """Everything that tables, summary and report are made of."""

    plan: Plan
    runs: tuple[JudgedRun, ...]
    hosts: Mapping[str, Mapping[str, Any]]
    problems: tuple[str, ...]


def load_results(sweep_dir: Path, plan: Plan | None = None, judgements: Judgements | None = None) -> SweepResults:
    """Read and judge a sweep. Raises PlanError when there is no plan; no other file in the folder keeps it from it.

    ``plan`` saves reading the plan where it is at hand, and ``judgements`` judging again what has been judged.
    """
    plan, judgements = plan or load_plan(sweep_dir), judgements or Judgements()
    stored = read_records(sweep_dir)
    hosts, host_problems = read_hosts(sweep_dir)
    by_run = {record.run_id: record for record in stored.records}
    judged = tuple(
        _judged(run, by_run.pop(run.run_id, None), stored.doubled.get(run.run_id), judgements) for run in plan.runs
    )
    strangers = [_stranger(sweep_dir, record) for record in by_run.values()]
    return SweepResults(plan, judged, hosts, (*stored.problems, *strangers, *host_problems))


def _stranger(sweep_dir: Path, stored: StoredRecord) -> str:
    path = SweepFolder(sweep_dir).record_there(stored.run_id, stored.attempt)
    return f"{shown_path(path)} is left out: the plan has no run {stored.run_id}."


def _judged(run: Run, stored: StoredRecord | None, doubled: str | None, judgements: Judgements) -> JudgedRun:
    if stored is None:
        return JudgedRun(run, None, Judgement("failed", "not_run", "this run has not been executed"))
    difference = other_run(run, stored)
    if difference:
        judgement = Judgement("invalid", "malformed", f"The record is of another run than the plan's: {difference}.")
        return JudgedRun(run, None, judgement)
    judgement = judgements.of(stored)
    if doubled:
        judgement = replace(judgement, checks={**judgement.checks, "two_records": doubled})
    return JudgedRun(run, stored.record, judgement)
