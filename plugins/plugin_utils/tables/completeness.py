"""Is a sweep complete, and if not, what is missing?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..model import Plan, Status
from ..planning.pairs import within
from ..planning.plan import planned_runs
from ..planning.stored import load_plan
from ..store.asking import asked
from ..store.looking import Synced, left_out
from ..store.statuses import outcome_of
from ..store.store import Store
from .results import parts_of
from .tables import outcomes_of_sweep

MOST_PROBLEMS = 12
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
        found = _outcomes_among(store, plan, only) if only is not None else _all_outcomes(store, directory, plan)
        outcomes = Counter(found)
        problems = [*synced.problems, *left_out(directory, store)[0]]
        planned, valid = outcomes.total(), outcomes.pop(VALID, 0)
        return Completeness(planned, valid, _sentence(planned, valid, outcomes, problems))

    return asked(directory, compare)


def _all_outcomes(store: Store, directory: Path, plan: Plan) -> Counter[str]:
    """What became of all runs, as it is remembered of what has not changed."""
    found: Counter[str] = Counter()
    for (status, reason, _detail), count in outcomes_of_sweep(store, directory, plan).statuses.items():
        found[_outcome(status, reason)] += count
    return found


def _outcomes_among(store: Store, plan: Plan, only: frozenset[str]) -> Counter[str]:
    """What became of the runs between these hosts."""
    found: Counter[str] = Counter()
    for runs in parts_of(run for run in planned_runs(plan) if within((run.server, run.client), only)):
        stated = store.statuses([run.run_id for run in runs])
        found.update(_outcome(*outcome_of(store, run, stated.get(run.run_id))) for run in runs)
    return found


def _outcome(status: str, reason: str) -> str:
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
