"""What became of runs: which are done, and which may be believed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..model import Run, Status
from ..records.reading import identity_of
from .asking import asked
from .columns import said_from

Outcome = tuple[Status, str]
"""Status and reason."""


def completed(sweep_dir: Path) -> set[str]:
    """Runs that were measured, whether valid or not. A failed run was not: it may be tried again.

    Invalid runs are not repeated, because measuring until a run looks good biases the figures.
    """
    return asked(sweep_dir, lambda store, _synced: store.done())


def outcome_of(run: Run, stored: tuple[int, str | None, Mapping[str, Any]] | None) -> Outcome:
    """What became of a planned run, with the reason: a record of another run under its name is malformed.

    ``stored`` is what `Store.statuses` has of it. Raises ForeignRow.
    """
    if stored is None:
        return "failed", "not_run"
    number, said, identity = stored
    if identity != identity_of(vars(run)):
        return "invalid", "malformed"
    return said_from(number, said)[:2]
