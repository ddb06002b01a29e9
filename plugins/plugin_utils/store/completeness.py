"""Is a sweep complete, and if not, what is missing?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ..model import Run, Status
from ..planning.pairs import within
from ..planning.plan import planned_runs
from ..planning.stored import load_plan
from .asking import asked
from .looking import Synced, left_out
from .statuses import outcome_of
from .store import Store

MOST_PROBLEMS = 12
AT_ONCE = 500
"""Runs that the store is asked for at once."""
VALID: Status = "valid"


@dataclass(frozen=True)
class Completeness:
    """``valid`` of ``planned`` runs may be believed; ``sentence`` says what is wrong with the others."""

    planned: int
    valid: int
    sentence: str

    @property
    def complete(self) -> bool:
        """Whether everything that was planned has a valid run."""
        return self.valid == self.planned


def completeness_of(sweep_dir: str | Path, only: frozenset[str] | None = None) -> Completeness:
    """What there is of a sweep against its plan; ``only`` limits it to pairs of these hosts. Raises PlanError."""
    directory = Path(sweep_dir)
    plan = load_plan(directory)

    def compare(store: Store, synced: Synced) -> Completeness:
        outcomes: Counter[str] = Counter()
        for runs in _parts(run for run in planned_runs(plan) if within((run.server, run.client), only)):
            found = store.statuses([run.run_id for run in runs])
            outcomes.update(_outcome(*outcome_of(run, found.get(run.run_id))) for run in runs)
        problems = [*synced.problems, *left_out(directory, store)[0]]
        planned, valid = outcomes.total(), outcomes.pop(VALID, 0)
        return Completeness(planned, valid, _sentence(planned, valid, outcomes, problems))

    return asked(directory, compare)


def _parts(runs: Iterable[Run]) -> Iterator[list[Run]]:
    left = iter(runs)
    while part := list(islice(left, AT_ONCE)):
        yield part


def _outcome(status: Status, reason: str) -> str:
    """What became of one run, in words that are counted."""
    if reason == "not_run":
        return "not run"
    return status if status == VALID else f"{status}: {reason}"


def _sentence(planned: int, valid: int, others: Mapping[str, int], problems: Sequence[str]) -> str:
    sentence = f"{valid} of {planned} planned runs are valid"
    if others:
        sentence += "; " + ", ".join(f"{count} {what}" for what, count in sorted(others.items()))
    if problems:
        sentence += ". " + " ".join(problems[:MOST_PROBLEMS])
    if len(problems) > MOST_PROBLEMS:
        sentence += f" {len(problems) - MOST_PROBLEMS} more files are left out."
    return sentence
