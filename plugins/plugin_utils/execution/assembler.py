"""From ends to records: of the two ends of a run as they come back, and of those that hosts kept meanwhile.

An END that a host kept carries the name of the execution it belongs to, so that the two ends of one run are never put
together from two attempts.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..model import SCHEMA_VERSION, SIDES, Plan, Run
from ..planning.plan import planned_runs

NO_END = {"reason": "no_end", "detail": "this end returned nothing"}


class RecordAssembler:
    """Puts the two ends of each run together as they come back, in whatever order."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._runs: dict[str, Run] = {}
        self._open: dict[str, dict[str, Any]] = {}

    def expect(self, runs: Iterable[Run]) -> None:
        """These runs are executed next; what is not expected is not taken."""
        self._runs = {run.run_id: run for run in runs}

    def add_end(self, run_id: str, side: str, end: Mapping[str, Any]) -> dict[str, Any] | None:
        """Take one end; the record when it is the second one, else None."""
        record = self._record(run_id)
        record[_side(side)] = dict(end)
        return self._complete(run_id)

    def add_error(self, run_id: str, side: str, error: Mapping[str, str]) -> dict[str, Any] | None:
        """Take note that one end cannot come; the record when the other one has, else None."""
        record = self._record(run_id)
        record["error"] = dict(error)
        record["_lost"] = [*record.get("_lost", []), _side(side)]
        return self._complete(run_id)

    def flush(self) -> list[dict[str, Any]]:
        """Records of the runs of which only one end has come; nothing more is expected of them."""
        records = []
        for run_id in list(self._open):
            record = self._open.pop(run_id)
            record["error"] = record["error"] or dict(NO_END)
            record.pop("_lost", None)
            records.append(record)
        return records

    def _record(self, run_id: str) -> dict[str, Any]:
        if run_id not in self._open:
            self._open[run_id] = empty_record(self._plan, self._runs[run_id])
        return self._open[run_id]

    def _complete(self, run_id: str) -> dict[str, Any] | None:
        record = self._open[run_id]
        lost = record.get("_lost", [])
        if any(record[side] is None and side not in lost for side in SIDES):
            return None
        record.pop("_lost", None)
        return self._open.pop(run_id)


def _side(side: str) -> str:
    """One of the two keys of a record that are sides, whoever asks. Raises ValueError for any other."""
    if side not in SIDES:
        raise ValueError(f"{side[:80]!r} is no side of a run")
    return side


def empty_record(plan: Plan, run: Run) -> dict[str, Any]:
    """A record to which neither end has contributed yet."""
    return {
        "schema": SCHEMA_VERSION,
        "sweep": plan.sweep,
        "configuration": plan.configuration,
        "run": asdict(run),
        "server": None,
        "client": None,
        "error": None,
    }


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
