"""Ask the store of a sweep something, whatever state it is in."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from ..records.reading import StoredRecord
from ..storage.sweep_folder import SweepFolder
from .columns import ForeignRow
from .database import discarded, is_damage
from .judged import JudgedRecord
from .looking import Synced, look, put
from .store import Store

Answer = TypeVar("Answer")
FAULTS = (sqlite3.Error, ForeignRow, UnicodeError)
Question = Callable[[Store, Synced], Answer]
"""What is asked of a store that has just been brought up to date; it may be asked again of another one."""


def asked(sweep_dir: Path, question: Question[Answer]) -> Answer:
    """The answer to a question about a sweep, out of its store and what has changed in its folder since.

    A store that is damaged, or that somebody else has made, is made anew; where none can be kept there is one in memory.
    """
    folder = SweepFolder(sweep_dir)
    if not (folder.records.exists() or folder.derived.exists()):
        return _answer(sweep_dir, Store.unkept(), question)  # nothing is measured yet, and a look leaves no file
    for _try in range(2):
        try:
            return _answer(sweep_dir, Store.of(folder.derived), question)
        except FAULTS as fault:
            if not (is_damage(fault) and discarded(folder.derived)):
                break
    return _answer(sweep_dir, Store.unkept(), question)


def _answer(sweep_dir: Path, store: Store, question: Question[Answer]) -> Answer:
    with store:
        return question(store, look(sweep_dir, store))


def remember(sweep_dir: Path, written: Iterable[tuple[Path, StoredRecord, JudgedRecord]]) -> None:
    """Put in what has just been written and judged, in one transaction. Nothing is lost where that fails."""
    with suppress(*FAULTS), Store.of(SweepFolder(sweep_dir).derived, goes_on=False) as store:
        put(store, written)
