"""Is a sweep complete, and if not, what is missing?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..model import Status
from ..planning.pairs import within
from ..planning.plan import planned_runs
from ..planning.stored import load_plan
from .statuses import outcome_of, read_statuses

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
    """Judge every record of a sweep against its plan; ``only`` limits it to pairs of these hosts."""
    directory = Path(sweep_dir)
    statuses, problems = read_statuses(directory)
    runs = [run for run in planned_runs(load_plan(directory)) if within((run.server, run.client), only)]
    outcomes = Counter(_outcome(*outcome_of(run, statuses.get(run.run_id))) for run in runs)
    valid = outcomes.pop(VALID, 0)
    return Completeness(len(runs), valid, _sentence(len(runs), valid, outcomes, problems))


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
