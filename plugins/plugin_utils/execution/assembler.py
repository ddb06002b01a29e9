"""From ends to records: of the two ends of a run as they come back, and of those that hosts kept meanwhile.

An END that a host kept carries the name of the execution it belongs to, so that the two ends of one run are never put
together from two attempts.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..model import SIDES, Plan, Run, Side
from ..planning.plan import planned_runs
from ..records.record import Record, Trouble, new_record

NO_END = Trouble("no_end", "this end returned nothing")


@dataclass
class _Halves:
    """What is known of one run while an end of it is still expected."""

    ends: dict[Side, Mapping[str, Any]] = field(default_factory=dict)
    lost: set[Side] = field(default_factory=set)
    error: Trouble | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing more is expected."""
        return all(side in self.ends or side in self.lost for side in SIDES)


class RecordAssembler:
    """Puts the two ends of each run together as they come back, in whatever order."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._runs: dict[str, Run] = {}
        self._open: dict[str, _Halves] = {}

    def expect(self, runs: Iterable[Run]) -> None:
        """These runs are executed next; what is not expected is not taken."""
        self._runs = {run.run_id: run for run in runs}

    def add_end(self, run_id: str, side: str, end: Mapping[str, Any]) -> Record | None:
        """Take one END; the record when it is the second one, else None."""
        halves = self._halves(run_id)
        halves.ends[_side(side)] = dict(end)
        return self._record(run_id) if halves.complete else None

    def add_error(self, run_id: str, side: str, error: Trouble) -> Record | None:
        """Take note that one end cannot come; the record when the other one has, else None."""
        halves = self._halves(run_id)
        halves.lost.add(_side(side))
        halves.error = error
        return self._record(run_id) if halves.complete else None

    def flush(self) -> list[Record]:
        """Records of the runs of which only one end has come; nothing more is expected of them."""
        for halves in self._open.values():
            halves.error = halves.error or NO_END
        return [self._record(run_id) for run_id in list(self._open)]

    def _halves(self, run_id: str) -> _Halves:
        if run_id not in self._runs:
            raise KeyError(run_id)
        return self._open.setdefault(run_id, _Halves())

    def _record(self, run_id: str) -> Record:
        halves = self._open.pop(run_id)
        return planned_record(self._plan, self._runs[run_id], halves.ends, halves.error)


def _side(side: str) -> Side:
    """One of the two keys of a record that are sides, whoever asks. Raises ValueError for any other."""
    if side not in SIDES:
        raise ValueError(f"{side[:80]!r} is no side of a run")
    return side


@dataclass(frozen=True)
class Kept:
    """One END in the spool of one host."""

    host: str
    name: str
    run_id: str
    role: Side
    execution: str
    end: Mapping[str, Any]

    @classmethod
    def from_module(cls, host: str, entry: Mapping[str, Any]) -> Kept:
        """From what the claim module returns."""
        return cls(host, entry["name"], entry["run_id"], entry["role"], entry["execution"], entry["end"])


def records_of(
    plan: Plan, kept: Iterable[Kept], done: Container[str], written: Mapping[str, Record | None]
) -> Iterator[Record]:
    """Records of the runs that hosts kept and that are not done.

    ``written`` has the latest record of a run where there is one: an end that came back then belongs to the end that
    was kept. A half whose other half is nowhere becomes a record all the same, which says so.
    """
    halves: dict[tuple[str, str], dict[Side, Kept]] = {}
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


def _record(plan: Plan, run: Run, execution: str, kept: Mapping[Side, Kept], before: Record | None) -> Record | None:
    """None when the written record already holds everything that was kept."""
    ends = {end.side: before.document[end.side] for end in before.ends if end.execution == execution} if before else {}
    if set(kept) <= set(ends):
        return None
    ends |= {side: item.end for side, item in kept.items()}
    error = None if len(ends) == len(SIDES) else NO_END
    return planned_record(plan, run, ends, error, collected=sorted(kept))


def planned_record(
    plan: Plan, run: Run, ends: Mapping[Side, Mapping[str, Any]], error: Trouble | None, **said: Any
) -> Record:
    """The record of a run of the plan, of the ENDs that there are."""
    return new_record(plan.sweep, plan.configuration, asdict(run), ends, error, **said)
