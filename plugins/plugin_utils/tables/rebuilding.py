"""Everything that is derived of a sweep, made again from its records alone, and compared with what was stored."""

from __future__ import annotations

import multiprocessing
import os
import secrets
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..planning.stored import load_plan
from ..records.reading import record_files
from ..storage.sweep_folder import SweepFolder
from ..store.columns import ForeignRow
from ..store.database import discarded
from ..store.looking import Synced, look
from ..store.store import Store
from .overview import Overview
from .tables import tables_from

FEWEST_FOR_WORKERS = 500
CHUNK = 16
"""Records that a worker is given at once."""


@dataclass(frozen=True)
class Rebuilt:
    """What came of it: how many records were judged, and of how many the judgement was stored."""

    overview: Overview
    judged: int
    compared: int
    differing: Sequence[str]
    """Runs of which something else was stored than their records say, by this code."""


def rebuild(sweep_dir: Path) -> Rebuilt:
    """Make store and tables of a sweep again. Raises PlanError and StorageError.

    The new store is made beside the old one and takes its place once the tables are written.
    """
    plan = load_plan(sweep_dir)
    derived = SweepFolder(sweep_dir).derived
    fresh = derived.with_name(f".{derived.name}.{secrets.token_hex(4)}.tmp")
    try:
        with Store.of(fresh) as store:
            synced = _looked(sweep_dir, store)
            compared, differing = _compared(store, derived)
            overview, _written = tables_from(store, synced, sweep_dir, plan)
        with suppress(OSError):
            _replace(fresh, derived)
    finally:
        discarded(fresh)
    return Rebuilt(overview, synced.judged, compared, differing)


def _looked(sweep_dir: Path, store: Store) -> Synced:
    """Judge everything, with as many processes as there are CPUs where that is worth their start."""
    workers = len(os.sched_getaffinity(0))
    if workers == 1 or len(record_files(sweep_dir, [])) < FEWEST_FOR_WORKERS:
        return look(sweep_dir, store)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork")) as pool:
        return look(sweep_dir, store, partial(pool.map, chunksize=CHUNK), at_once=CHUNK * workers * 8)


def _replace(fresh: Path, derived: Path) -> None:
    """Put the new store in the place of the old one, of which nothing must be left beside it."""
    if fresh.exists():
        discarded(derived)
        fresh.replace(derived)


def _compared(store: Store, stored: Path) -> tuple[int, list[str]]:
    """How many records both stores have of the same content and judged by this code, and the runs that differ."""
    compared, differing = 0, []
    if not stored.is_file():
        return 0, []
    with suppress(sqlite3.DatabaseError, ForeignRow), Store.of(stored) as old:
        for run_id, one, other in store.beside(old):
            compared += 1
            if one != other:
                differing.append(run_id)
    return compared, differing
