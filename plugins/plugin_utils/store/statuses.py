"""What became of runs: which are done, and which may be believed."""

from __future__ import annotations

from pathlib import Path

from ..model import Run, Status
from .asking import asked
from .columns import said_from
from .store import Stated, Store

Outcome = tuple[Status, str]
"""Status and reason."""


def completed(sweep_dir: Path) -> set[str]:
    """Runs that were measured, whether valid or not. A failed run was not: it may be tried again.

    Invalid runs are not repeated, because measuring until a run looks good biases the figures.
    """
    return asked(sweep_dir, lambda store, _synced: store.done())


def outcome_of(store: Store, run: Run, stated: Stated | None) -> Outcome:
    """What became of a planned run, with the reason: a record of another run under its name is malformed.

    Raises ForeignRow.
    """
    if stated is None:
        return "failed", "not_run"
    if not store.matches(run, stated.shared, stated.own):
        return "invalid", "malformed"
    return said_from(stated.status, stated.said)[:2]
