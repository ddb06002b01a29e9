"""Is a sweep complete, and if not, what is missing?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from ..planning.plan import planned_runs
from ..planning.stored import load_plan
from .statuses import outcome_of, read_statuses

MOST_PROBLEMS = 12


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


def completeness_of(sweep_dir: str | Path, only: Container[str] | None = None) -> Completeness:
    """Judge every record of a sweep against its plan; ``only`` limits it to pairs of these hosts."""
    directory = Path(sweep_dir)
    statuses, problems = read_statuses(directory)
    outcomes = Counter[str]()
    planned = 0
    for run in planned_runs(load_plan(directory)):
        if only is not None and not (run.server in only and run.client in only):
            continue
        planned += 1
        status, reason = outcome_of(run, statuses.get(run.run_id))
        if reason == "not_run":
            outcomes["not run"] += 1
        elif status != "valid":
            outcomes[f"{status}: {reason}"] += 1
    valid = planned - sum(outcomes.values())
    sentence = f"{valid} of {planned} planned runs are valid"
    if outcomes:
        sentence += "; " + ", ".join(f"{count} {what}" for what, count in sorted(outcomes.items()))
    if problems:
        sentence += ". " + " ".join(problems[:MOST_PROBLEMS])
    if len(problems) > MOST_PROBLEMS:
        sentence += f" {len(problems) - MOST_PROBLEMS} more files are left out."
    return Completeness(planned, valid, sentence)
