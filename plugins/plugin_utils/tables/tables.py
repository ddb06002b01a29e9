"""The tables of a sweep on disk, and what is told of it: made anew where something has changed, kept where nothing has.

What lies in rows of single runs is written part by part (a block of the plan), so that one part is in memory at a time; a
part of which nothing has changed is copied from the file as it is, unread. What a part depends on is in its basis: the
design of the plan, and the code that makes tables.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..model import Plan
from ..planning.document import plan_to_json
from ..planning.stored import load_plan
from ..records.reading import read_hosts
from ..storage.files import UnreadableFile, open_kept, read_bytes, shown_path, write_whole
from ..storage.streamed import Rewritten
from ..storage.sweep_folder import SweepFolder
from ..store.asking import asked
from ..store.columns import ForeignRow
from ..store.looking import Synced, in_order, left_out, stamp_of
from ..store.store import ALL_BLOCKS, Store
from ..store.versions import tables_version
from .figures import frames_of
from .outcomes import Outcomes, Tally, outcomes_of
from .overview import Group, Overview, first_series, group_from, stored_group
from .results import Row, judged_runs
from .rows import BY_RUN, fact_rows, header_of, to_csv
from .summary import SUMMARY_COLUMNS, summarise

WHOLE = -1
"""The part under which what is true of all parts is remembered."""
LARGEST_SMALL_TABLE = 256 << 20
"""Bytes of a table that is compared with what is there before it is written."""


@dataclass(frozen=True)
class Written:
    """What writing the tables cost: parts of the plan whose lines were made anew, and bytes of them."""

    parts: int = 0
    formatted_bytes: int = 0


@dataclass(frozen=True)
class _Sweep:
    """A sweep while its store is open."""

    folder: SweepFolder
    store: Store
    plan: Plan
    basis: str
    changes: Mapping[int, int]
    doubled: Mapping[str, str]

    def changed(self, part: int) -> int:
        """At which change something of a part last became different; of all parts together for 0."""
        return self.changes.get(part, 0) if part > 0 else max(self.changes.values(), default=0)

    @property
    def state(self) -> tuple[int, str]:
        """What everything depends on that is made of all runs together: also on how many are planned."""
        return self.changed(0), f"{self.basis}/{self.plan.blocks}"

    def blocks(self, part: int) -> tuple[int, int]:
        """The blocks of the store that a part has."""
        return (part, part) if part else ALL_BLOCKS


def update_tables(sweep_dir: Path, plan: Plan | None = None) -> tuple[Overview, Written]:
    """Bring the tables of a sweep up to date, and tell what it came to.

    ``plan`` saves reading the plan where it is at hand. Raises PlanError and StorageError.
    """
    known = plan or load_plan(sweep_dir)
    return asked(sweep_dir, lambda store, synced: tables_from(store, synced, sweep_dir, known))


def tables_from(store: Store, synced: Synced, sweep_dir: Path, plan: Plan) -> tuple[Overview, Written]:
    """The same out of this store."""
    sweep, sentences = _sweep_of(store, sweep_dir, plan)
    written = _write_parts(sweep)
    told = _overview(sweep, [*synced.problems, *sentences])
    _write_small(sweep.folder.table("hosts"), to_csv("hosts", fact_rows(told.hosts)))
    if plan.mode == "concurrent":
        _write_small(sweep.folder.table("levels"), to_csv("levels", told.outcomes.levels))
    if not told.notes:
        _write_small(sweep.folder.table("summary"), to_csv("summary", told.summary))
    return told, written


def overview_of(sweep_dir: Path, plan: Plan | None = None) -> Overview:
    """What a sweep came to. It writes no table. Raises PlanError."""
    known = plan or load_plan(sweep_dir)

    def tell(store: Store, synced: Synced) -> Overview:
        sweep, sentences = _sweep_of(store, sweep_dir, known)
        return _overview(sweep, [*synced.problems, *sentences])

    return asked(sweep_dir, tell)


def outcomes_of_sweep(store: Store, sweep_dir: Path, plan: Plan) -> Outcomes:
    """What became of the runs of a sweep, out of this store."""
    return _outcomes(_sweep_of(store, sweep_dir, plan)[0])


def _sweep_of(store: Store, sweep_dir: Path, plan: Plan) -> tuple[_Sweep, list[str]]:
    sentences, doubled = left_out(sweep_dir, store)
    return _Sweep(SweepFolder(sweep_dir), store, plan, _basis(plan), store.changes(), doubled), sentences


def _basis(plan: Plan) -> str:
    """What every part depends on: more blocks leave the earlier ones as they are."""
    design = {name: value for name, value in plan_to_json(plan).items() if name != "blocks"}
    text = json.dumps([design, tables_version()], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


# Tables by run, part by part.


def _write_parts(sweep: _Sweep) -> Written:
    """Write the tables by run where something of them has changed."""
    before = _Before.of(sweep)
    wanted = {part: sweep.changed(part) for part, _positions in sweep.plan.steps.parts()}
    if wanted == {part: changed for part, (changed, _spans) in before.parts.items()}:
        return Written()
    spans: dict[int, dict[str, tuple[int, int]]] = {}
    counted: dict[int, Outcomes] = {}
    with ExitStack() as stack, before:
        files = _begun(sweep.folder, stack)
        for part, positions in sweep.plan.steps.parts():
            begins = {name: file.length for name, file in files.items()}
            if not before.copy(part, wanted[part], files):
                counted[part] = _format(sweep, part, positions, files)
            spans[part] = {name: (begins[name], file.length) for name, file in files.items()}
        stamps = [stamp_of(file.commit()).hex() for file in files.values()]
    _remember_outcomes(sweep, counted)
    _remember_parts(sweep, wanted, spans, stamps)
    return Written(len(counted), sum(end - begin for part in counted for begin, end in spans[part].values()))


def _begun(folder: SweepFolder, stack: ExitStack) -> dict[str, Rewritten]:
    """New files for the tables by run, with their first lines."""
    files = {name: stack.enter_context(Rewritten(folder.table(name))) for name in BY_RUN}
    for name, file in files.items():
        file.write(header_of(name).encode("utf-8"))
    return files


def _remember_parts(
    sweep: _Sweep, wanted: Mapping[int, int], spans: Mapping[int, Mapping[str, tuple[int, int]]], stamps: list[str]
) -> None:
    rows = [(part, changed, sweep.basis, spans[part]) for part, changed in wanted.items()]
    with sweep.store.changing():
        sweep.store.note_made("tables", [*rows, (WHOLE, 0, sweep.basis, stamps)])


def _format(sweep: _Sweep, part: int, positions: range, files: Mapping[str, Rewritten]) -> Outcomes:
    """Make the lines of a part, and count what became of its runs on the way."""
    tally = Tally(sweep.plan, dict(_counting(sweep, part)))
    for item in judged_runs(sweep.store, sweep.plan, positions, sweep.doubled):
        tally.see(item)
        for name, file in files.items():
            file.write(BY_RUN[name](sweep.plan, item).encode("utf-8"))
    return tally.outcomes()


class _Before:
    """The tables by run as they were written the last time, as far as they are still that."""

    def __init__(self, folder: SweepFolder) -> None:
        self._folder = folder
        self._stamps = ""
        self.parts: Mapping[int, tuple[int, Mapping[str, tuple[int, int]]]] = {}
        """By part, at which change it was written, and where it stands in each table."""
        self._files: dict[str, IO[bytes]] = {}
        self._stack = ExitStack()

    @classmethod
    def of(cls, sweep: _Sweep) -> _Before:
        """What is known of them; nothing where somebody else has touched them."""
        before = cls(sweep.folder)
        made = sweep.store.made("tables")
        _changed, basis, before._stamps = made.pop(WHOLE, (0, "", ""))
        with before:  # not by their names: another process may put others in their place
            if basis == sweep.basis and before._files:
                before.parts = {part: (changed, _spans_from(said)) for part, (changed, _basis, said) in made.items()}
        return before

    def __enter__(self) -> _Before:
        with suppress(OSError):
            files = {name: self._opened(name) for name in BY_RUN}
            stamps = [stamp_of(os.fstat(file.fileno())).hex() for file in files.values()]
            self._files = files if json.dumps(stamps) == self._stamps else {}
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()
        self._files = {}

    def _opened(self, name: str) -> IO[bytes]:
        descriptor = open_kept(self._folder.table(name), os.O_RDONLY)
        return self._stack.enter_context(os.fdopen(descriptor, "rb"))

    def copy(self, part: int, changed: int, files: Mapping[str, Rewritten]) -> bool:
        """Write a part as it was, where it was written at that change; whether it was."""
        was, spans = self.parts.get(part, (None, {}))
        if was != changed or not self._files:
            return False
        for name, file in files.items():
            file.copy(self._files[name], *spans[name])
        return True


def _spans_from(said: str) -> dict[str, tuple[int, int]]:
    try:
        found = json.loads(said)
        spans = {name: (int(found[name][0]), int(found[name][1])) for name in BY_RUN}
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as fault:
        raise ForeignRow(f"spans: {fault}") from None
    if not all(0 <= begin <= end for begin, end in spans.values()):
        raise ForeignRow("no spans")
    return spans


# What became of the runs.


def _overview(sweep: _Sweep, sentences: list[str]) -> Overview:
    outcomes = _outcomes(sweep)
    hosts, host_problems = read_hosts(sweep.folder.path)
    problems = [*sentences, *_about_strangers(sweep, outcomes.strangers), *host_problems]
    groups, count = _groups(sweep)
    try:
        rows, notes = _summary(sweep), []
    except ImportError as error:
        rows = []
        notes = [f"summary.csv is not written: {error.name} is not installed beside Ansible (pip install pandas scipy)."]
    return Overview(sweep.plan, outcomes, groups, count, hosts, problems, rows, notes)


def _groups(sweep: _Sweep) -> tuple[list[Group], int]:
    """The groups that are shown, counted again where a record has changed; and how many there are."""
    first, count = first_series(sweep.plan)
    known = sweep.store.made("groups")
    if [made[:2] for made in known.values()] == [sweep.state] * len(first):
        return [group_from(series, known[number][2]) for number, series in enumerate(first)], count
    groups = [stored_group(sweep.store, sweep.plan, series) for series in first]
    with sweep.store.changing():
        sweep.store.note_made("groups", [(number, *sweep.state, group.as_document()) for number, group in enumerate(groups)])
    return groups, count


def _about_strangers(sweep: _Sweep, strangers: list[tuple[str, str]]) -> Iterator[str]:
    for name, run_id in sorted(strangers, key=lambda item: in_order(os.fsencode(item[0]))):
        yield f"{shown_path(sweep.folder.records / name)} is left out: the plan has no run {run_id}."


def _outcomes(sweep: _Sweep) -> Outcomes:
    """Of the whole sweep; parts that have changed are counted again."""
    made = sweep.store.made("outcomes")
    total = Outcomes()
    counted: dict[int, Outcomes] = {}
    last = 0
    for part, positions in sweep.plan.steps.parts():
        changed, basis, said = made.get(part, (0, "", ""))
        if (changed, basis) == (sweep.changed(part), sweep.basis):
            total.add(outcomes_of(said))
        else:
            counted[part] = _counted(sweep, part, positions)
            total.add(counted[part])
        last = part
    _remember_outcomes(sweep, counted)
    if last:  # a plan by blocks has nothing behind its last one
        total.strangers.extend((name, run) for run, name in sweep.store.counting_beyond(last))
    return total


def _counted(sweep: _Sweep, part: int, positions: range) -> Outcomes:
    tally = Tally(sweep.plan, dict(_counting(sweep, part)))
    for item in judged_runs(sweep.store, sweep.plan, positions, sweep.doubled):
        tally.see(item)
    return tally.outcomes()


def _counting(sweep: _Sweep, part: int) -> Iterator[tuple[str, str]]:
    return sweep.store.counting(sweep.blocks(part))


def _remember_outcomes(sweep: _Sweep, counted: Mapping[int, Outcomes]) -> None:
    """Keep what was counted of some parts, in one transaction."""
    if counted:
        rows = [(part, sweep.changed(part), sweep.basis, found.as_document()) for part, found in counted.items()]
        with sweep.store.changing():
            sweep.store.note_made("outcomes", rows, alone=False)


# The summary.


def _summary(sweep: _Sweep) -> list[Row]:
    """Rows of the summary; made anew where a record has changed. Raises ImportError."""
    known = sweep.store.made("summary").get(WHOLE)
    if known is not None and known[:2] == sweep.state:
        return _rows_from(known[2])
    rows = summarise(*frames_of(sweep.store, sweep.plan), sweep.plan.configuration, sweep.plan.mode == "imported")
    with sweep.store.changing():
        sweep.store.note_made("summary", [(WHOLE, *sweep.state, rows)])
    return rows


def _rows_from(said: str) -> list[Row]:
    try:
        rows = json.loads(said)
    except (ValueError, RecursionError) as fault:
        raise ForeignRow(f"summary: {fault}") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and set(row) == set(SUMMARY_COLUMNS) for row in rows):
        raise ForeignRow("no summary")
    return rows


def _write_small(path: Path, text: str) -> None:
    """Write a table where it is not there as it should be."""
    with suppress(FileNotFoundError, UnreadableFile):
        if read_bytes(path, LARGEST_SMALL_TABLE) == text.encode("utf-8"):
            return
    write_whole(path, text)
