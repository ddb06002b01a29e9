"""Puts the two ends of each run together as they come back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ..model import SCHEMA_VERSION, SIDES, Plan, Run

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
