"""What a sweep on disk still has to do."""

from __future__ import annotations

from pathlib import Path

from .model import Step
from .plan import remaining
from .plan_store import load_plan
from .records import completed


def remaining_steps(sweep_dir: str | Path) -> tuple[Step, ...]:
    """Steps with the runs that have no measured record yet."""
    directory = Path(sweep_dir)
    return remaining(load_plan(directory), completed(directory))
