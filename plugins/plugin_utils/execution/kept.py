"""What hosts kept of runs whose results did not come back: from halves to records.

An END that a host kept carries the name of the execution it belongs to, so that the two ends of one run are never put
together from two attempts.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..model import Plan, Run
from ..planning.plan import planned_runs
from .assembler import NO_END, empty_record


@dataclass(frozen=True)
class Kept:
    """One END in the spool of one host."""

    host: str
    name: str
    run_id: str
    role: str
    execution: str
    end: Mapping[str, Any]

    @classmethod
    def from_module(cls, host: str, entry: Mapping[str, Any]) -> Kept:
        """From what the claim module returns."""
        return cls(host, entry["name"], entry["run_id"], entry["role"], entry["execution"], entry["end"])


def records_of(
    plan: Plan, kept: Iterable[Kept], done: Container[str], written: Mapping[str, Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Records of the runs that hosts kept and that are not done.

    ``written`` has the latest record of a run where there is one: an end that came back then belongs to the end that
    was kept. A half whose other half is nowhere becomes a record all the same, which says so.
    """
    halves: dict[tuple[str, str], dict[str, Kept]] = {}
    for item in kept:
        if item.run_id not in done:
            halves.setdefault((item.run_id, item.execution), {})[item.role] = item
    runs = _runs(plan, {run_id for run_id, _execution in halves})
    for (run_id, execution), ends in sorted(halves.items()):
        if run_id in runs and run_id not in done:  # done too by what another execution of it has just given
            record = _record(plan, runs[run_id], execution, ends, written.get(run_id))
            if record is not None:
                yield record


def _runs(plan: Plan, wanted: set[str]) -> dict[str, Run]:
    if not wanted:
        return {}
    return {run.run_id: run for run in planned_runs(plan) if run.run_id in wanted}


def _record(
    plan: Plan, run: Run, execution: str, ends: Mapping[str, Kept], before: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """None when the written record already holds everything that was kept."""
    known = {
        side: before[side]
        for side in ("server", "client")
        if before and isinstance(before.get(side), Mapping) and before[side].get("execution") == execution
    }
    if set(ends) <= set(known):
        return None
    record = empty_record(plan, run)
    record |= known | {side: dict(item.end) for side, item in ends.items()}
    record["collected"] = sorted(ends)
    if record["server"] is None or record["client"] is None:
        record["error"] = dict(NO_END)
    return record
