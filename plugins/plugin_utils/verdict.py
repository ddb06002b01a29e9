"""Is a sweep complete, and if not, what is missing?"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .gate import judge
from .plan_store import load_plan
from .records import read_records


@dataclass(frozen=True)
class Verdict:
    """``valid`` of ``planned`` runs may be believed; ``sentence`` says what is wrong with the others."""

    planned: int
    valid: int
    sentence: str

    @property
    def complete(self) -> bool:
        """Whether everything that was planned has a valid run."""
        return self.valid == self.planned


def verdict_of(sweep_dir: str | Path) -> Verdict:
    """Judge every record of a sweep against its plan."""
    directory = Path(sweep_dir)
    plan = load_plan(directory)
    records, problems = read_records(directory)
    judged = {record["run"]["run_id"]: judge(record) for record in records}
    outcomes = Counter[str]()
    for run in plan.runs:
        judgement = judged.get(run.run_id)
        if judgement is None:
            outcomes["not run"] += 1
        elif judgement.status != "valid":
            outcomes[f"{judgement.status}: {judgement.reason}"] += 1
    planned = len(plan.runs)
    valid = planned - sum(outcomes.values())
    sentence = f"{valid} of {planned} planned runs are valid"
    if outcomes:
        sentence += "; " + ", ".join(f"{count} {what}" for what, count in sorted(outcomes.items()))
    if problems:
        sentence += ". " + " ".join(problems)
    return Verdict(planned, valid, sentence)
