"""Everything that a sweep came to: its plan, the records of its runs and what may be believed of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..model import Judgement, Plan, Run
from ..planning.stored import load_plan
from ..records.reading import other_run, read_hosts, read_records
from ..records.record import MalformedRecord, record_of
from ..storage.files import shown_path
from ..storage.sweep_folder import SweepFolder
from ..validity.gate import judge

Row = dict[str, Any]


@dataclass(frozen=True)
class JudgedRun:
    """One planned run and what became of it; ``record`` is None when there is none, or it is not what it should be."""

    run: Run
    record: Mapping[str, Any] | None
    judgement: Judgement


@dataclass(frozen=True)
class SweepResults:
    """Everything that tables, summary and report are made of."""

    plan: Plan
    runs: tuple[JudgedRun, ...]
    hosts: Mapping[str, Mapping[str, Any]]
    problems: tuple[str, ...]


def load_results(sweep_dir: Path, plan: Plan | None = None) -> SweepResults:
    """Read and judge a sweep. Raises PlanError when there is no plan; no other file in the folder keeps it from it.

    ``plan`` saves reading the plan where it is at hand.
    """
    plan = plan or load_plan(sweep_dir)
    stored = read_records(sweep_dir)
    hosts, host_problems = read_hosts(sweep_dir)
    by_run = {record["run"]["run_id"]: record for record in stored.records}
    judged = tuple(_judged(run, by_run.pop(run.run_id, None), stored.doubled.get(run.run_id)) for run in plan.runs)
    strangers = [
        f"{shown_path(SweepFolder(sweep_dir).record(run_id, record['attempt']))} is left out: the plan has no run {run_id}."
        for run_id, record in by_run.items()
    ]
    return SweepResults(plan, judged, hosts, (*stored.problems, *strangers, *host_problems))


def _judged(run: Run, record: Mapping[str, Any] | None, doubled: str | None) -> JudgedRun:
    if record is None:
        return JudgedRun(run, None, Judgement("failed", "not_run", "this run has not been executed"))
    difference = other_run(run, record["run"])
    if difference:
        judgement = Judgement("invalid", "malformed", f"The record is of another run than the plan's: {difference}.")
        return JudgedRun(run, None, judgement)
    judgement = judge(record)
    if doubled:
        judgement = replace(judgement, checks={**judgement.checks, "two_records": doubled})
    return JudgedRun(run, record if _has_its_shape(record, judgement) else None, judgement)


def _has_its_shape(record: Mapping[str, Any], judgement: Judgement) -> bool:
    """Whether the record's fields are what they should be, so that tables may look at them."""
    if judgement.reason not in ("malformed", "gate_error"):
        return True  # the gate has looked at all of them
    try:
        record_of(record)
    except MalformedRecord:
        return False
    return True


def was_traced(item: JudgedRun) -> bool:
    """Whether a run belongs to the traced ones; a host that cannot trace goes on untraced.

    A traced run that failed before its tracer could leave anything is a traced one that was tried.
    """
    ends = [(item.record or {}).get(side) or {} for side in ("server", "client")]
    if any(end.get("trace") for end in ends):
        return True
    return item.run.traced and not any(end.get("trace_unavailable") for end in ends)
