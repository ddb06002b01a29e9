"""What is stored of the records of a sweep, read and changed by name: the only place that speaks SQL about records.

Whoever wants to know something of a sweep asks `asked`, which looks at the folder first (`looking.look`).
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, TracebackType
from typing import Any, NamedTuple

from .columns import Columns, ForeignRow, Matching, Names, columns_of, counts_from, judged_from, packed_values
from .database import in_memory, kept_in_memory, opened
from .judged import JudgedRecord

MOST_NAMES = 500
"""Names in one question: SQLite takes 999 in its oldest form."""
_BLOCK = re.compile(r"b(\d{3,9})-")
_COLUMNS = (
    "SELECT f.run_id, f.attempt, f.shared, f.own, f.status, f.said, g.client, g.flags, g.metrics, g.exact, g.samples, "
    "g.calls, g.transfer FROM files f LEFT JOIN figures g USING (id)"
)
_CALLS = "SELECT f.run_id, f.shared, f.own, f.status, g.exact, g.calls FROM files f LEFT JOIN figures g USING (id)"
ALL_BLOCKS = (0, 2**62)
_FILES = "SELECT id, name, stamp, checksum, gate, run_id, attempt FROM files"
_READABLE = "SELECT id, name, run_id, attempt, placed, checksum, rival, same FROM files"


class File(NamedTuple):
    """A file of the records' folder, as it was when it was looked at."""

    id: int
    name: bytes
    stamp: bytes
    checksum: str
    gate: str
    run_id: str | None
    attempt: int | None


class Stated(NamedTuple):
    """What became of a run."""

    run_id: str
    shared: int
    own: str
    status: int
    said: str | None
    """As `columns.said_from` takes it."""


class Called(NamedTuple):
    """Which system calls a run made."""

    run_id: str
    shared: int
    own: str
    valid: bool
    counts: dict[tuple[str, str], dict[str, int]]
    """By side and target, and by call, of those whose number is known."""


class Measured(NamedTuple):
    """What the summary needs of the record that counts for a run."""

    run_id: str
    shared: int
    own: str
    valid: bool
    flags: int
    """As in `columns`."""
    metrics: int
    """Which metrics it has, as a number."""
    values: bytes
    """Of these metrics, packed."""


@dataclass(frozen=True)
class Readable:
    """A file that can be read as a record: of which attempt it is, and whether it stands under the name of that one."""

    id: int
    name: bytes
    run_id: str
    attempt: int
    placed: bool
    checksum: str
    rival: str | None
    same: bool


def block_of(run_id: str) -> int:
    """The block that a run's name begins with; 0 where it begins with none."""
    found = _BLOCK.match(run_id)
    return int(found[1]) if found else 0


class Store:
    """An open store. What is written belongs into a ``with store.changing()``, which is one transaction.

    Where the file cannot be written the store goes on in memory, and nobody notices but by its pace. Every other error of
    SQLite is raised: the file is damaged, and `asked` begins anew.
    """

    def __init__(self, connection: sqlite3.Connection, *, goes_on: bool = True) -> None:
        """``goes_on`` in memory where the file cannot be written; otherwise that raises sqlite3.OperationalError."""
        self._connection = connection
        self._goes_on = goes_on
        self._forget_texts()

    @classmethod
    def of(cls, path: Path, *, goes_on: bool = True) -> Store:
        """The store in this file, or one in memory."""
        return cls(opened(path), goes_on=goes_on)

    @classmethod
    def unkept(cls) -> Store:
        """An empty store in memory."""
        return cls(in_memory())

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, way: TracebackType | None) -> None:
        self._connection.close()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One transaction: all of it is stored, or nothing."""
        self._begin()
        try:
            yield
            self._commit()
        except BaseException:
            self._forget_texts()
            with suppress(sqlite3.Error):
                self._connection.rollback()
            raise

    def _begin(self) -> None:
        try:
            self._begin_change()
        except sqlite3.OperationalError:
            if not self._goes_on:
                raise
            self._connection = kept_in_memory(self._connection)
            self._begin_change()

    def _begin_change(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute(
            "INSERT INTO made VALUES ('changes', 0, 1, '', '') ON CONFLICT DO UPDATE SET changed = changed + 1"
        )

    def _commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except sqlite3.OperationalError:  # the disk is full, or somebody reads for longer than is waited
            with suppress(sqlite3.Error):
                self._connection.rollback()
            raise

    def _forget_texts(self) -> None:
        self._numbers: dict[str, int] = {}
        self._names = Names.of(self._text)
        self.matches = Matching(self._names)
        """Whether an identity, as `Status` and the others below have it, is that of a planned run."""

    # Files

    def stamps(self) -> Iterator[tuple[bytes, bytes, str]]:
        """Name, stamp and gate of all files that were there, sorted by name."""
        return iter(self._connection.execute("SELECT name, stamp, gate FROM files ORDER BY name"))

    def files(self) -> Iterator[File]:
        """All files that were there, sorted by name."""
        return (_file(row) for row in self._connection.execute(f"{_FILES} ORDER BY name"))

    def stamp(self, number: int, stamp: bytes) -> None:
        """A file whose content is as it was has been touched."""
        self._connection.execute("UPDATE files SET stamp = ? WHERE id = ?", (stamp, number))

    def remove(self, file: File) -> None:
        """A file is not there any more."""
        self._connection.execute("DELETE FROM files WHERE id = ?", (file.id,))
        self._connection.execute("DELETE FROM figures WHERE id = ?", (file.id,))
        if file.run_id is not None:
            self._touch(file.run_id)

    def put_unreadable(self, name: bytes, stamp: bytes, checksum: str, gate: str, why: str) -> None:
        """A file is no record, for this reason."""
        self._connection.execute(
            "INSERT INTO files (name, stamp, checksum, gate, why, placed, counts) VALUES (?, ?, ?, ?, ?, 0, 0)",
            (name, stamp, checksum, gate, json.dumps(why)),
        )

    def put_record(
        self, name: bytes, stamp: bytes, checksum: str, gate: str, found: JudgedRecord, *, placed: bool
    ) -> None:
        """A file is the record of an attempt of a run; it counts only where it stands under that one's name."""
        row = columns_of(found, self._intern)
        cursor = self._connection.execute(
            "INSERT INTO files (name, stamp, checksum, gate, run_id, attempt, block, placed, counts, shared, own, status, "
            "said) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?)",
            (
                name, stamp, checksum, gate, row.run_id, row.attempt, block_of(row.run_id), placed, row.shared, row.own,
                row.status, row.said,
            ),
        )  # fmt: skip
        figures = (cursor.lastrowid, *row[6:])
        self._connection.execute(f"INSERT OR REPLACE INTO figures VALUES ({_marks(figures)})", figures)
        self._touch(row.run_id)

    def rename(self, old: File, name: bytes, stamp: bytes, *, placed: bool) -> None:
        """A file has another name, and what it says is as it was."""
        self._connection.execute(
            "UPDATE files SET name = ?, stamp = ?, placed = ? WHERE id = ?", (name, stamp, placed, old.id)
        )
        if old.run_id is not None:
            self._touch(old.run_id)

    def id_of(self, name: bytes) -> File | None:
        """The file of this name."""
        row = self._connection.execute(f"{_FILES} WHERE name = ?", (name,)).fetchone()
        return None if row is None else _file(row)

    def _touch(self, run_id: str) -> None:
        """Something of a run is different: find which of its files counts now, and note that its block has changed."""
        execute = self._connection.execute
        execute("UPDATE files SET counts = 0 WHERE run_id = ? AND counts = 1", (run_id,))
        execute(
            "UPDATE files SET counts = 1 WHERE id = (SELECT id FROM files WHERE run_id = ? AND placed = 1 "
            "ORDER BY attempt DESC, name DESC LIMIT 1)",
            (run_id,),
        )
        self._mark(run_id)

    def _mark(self, run_id: str) -> None:
        self._connection.execute(
            "INSERT INTO blocks SELECT ?, changed FROM made WHERE name = 'changes' "
            "ON CONFLICT DO UPDATE SET changed = excluded.changed",
            (block_of(run_id),),
        )

    # Files that are left out

    def unreadable(self) -> list[tuple[bytes, str]]:
        """Name of every file that is no record, and why it is none."""
        rows = self._connection.execute("SELECT name, why FROM files WHERE placed = 0 AND why IS NOT NULL ORDER BY name")
        return [(name, _plain(why)) for name, why in rows]

    def rivals(self) -> list[tuple[Readable, Readable | None]]:
        """Readable files that do not count for the attempt that they are of, each with the one that does."""
        doubled = (
            "SELECT run_id, attempt FROM files WHERE placed = 1 AND run_id IS NOT NULL GROUP BY run_id, attempt "
            "HAVING count(*) > 1"
        )
        rows = self._connection.execute(
            f"{_READABLE} WHERE placed = 0 AND run_id IS NOT NULL UNION ALL "
            f"{_READABLE} WHERE placed = 1 AND (run_id, attempt) IN ({doubled}) ORDER BY name"
        ).fetchall()
        pairs = [(_readable(row), self._own(row[2], row[3])) for row in rows]
        return [(one, own) for one, own in pairs if own is None or own.id != one.id]

    def _own(self, run_id: str, attempt: int) -> Readable | None:
        row = self._connection.execute(
            f"{_READABLE} WHERE run_id = ? AND attempt = ? AND placed = 1 ORDER BY name DESC LIMIT 1",
            (run_id, attempt),
        ).fetchone()
        return None if row is None else _readable(row)

    def set_rival(self, one: Readable, checksum: str | None, *, same: bool) -> None:
        """With which content a file that does not count was compared, and what came of it."""
        self._connection.execute("UPDATE files SET rival = ?, same = ? WHERE id = ?", (checksum, same, one.id))
        self._mark(one.run_id)

    # Runs

    def done(self) -> set[str]:
        """Runs that were measured, whether valid or not."""
        rows = self._connection.execute("SELECT run_id FROM files WHERE counts = 1 AND status <> 2")
        return {run_id for (run_id,) in rows}

    def statuses(self, run_ids: Sequence[str]) -> dict[str, Stated]:
        """What became of these runs."""
        rows = self._among("SELECT run_id, shared, own, status, said FROM files", run_ids)
        return {row[0]: Stated(*row) for row in rows}

    def called(self, run_ids: Sequence[str]) -> dict[str, Called]:
        """Which system calls these runs made."""
        rows = self._among(_CALLS, run_ids)
        return {
            run_id: Called(run_id, shared, own, status == 0, counts_from(calls, exact, self._names))
            for run_id, shared, own, status, exact, calls in rows
        }

    def judged(self, run_ids: Sequence[str]) -> dict[str, JudgedRecord]:
        """What counts of these runs."""
        rows = self._among(_COLUMNS, run_ids)
        return {row[0]: judged_from(Columns(*row), self._names) for row in rows}

    def of_file(self, number: int) -> JudgedRecord | None:
        """What a file says, whether it counts or not; None where that cannot be told."""
        row = self._connection.execute(f"{_COLUMNS} WHERE id = ?", (number,)).fetchone()
        try:
            return None if row is None else judged_from(Columns(*row), self._names)
        except ForeignRow:
            return None

    def beside(self, other: Store) -> Iterator[tuple[str, JudgedRecord | None, JudgedRecord | None]]:
        """Run of every record that both stores have of one content, judged by one code; what this says, and the other."""
        for file in self.files():
            twin = other.id_of(file.name) if file.run_id is not None else None
            if file.run_id is not None and twin is not None and twin[3:5] == file[3:5]:
                yield file.run_id, self.of_file(file.id), other.of_file(twin.id)

    def _among(self, select: str, run_ids: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        for begin in range(0, len(run_ids), MOST_NAMES):
            part = run_ids[begin : begin + MOST_NAMES]
            blocks = sorted({block_of(run_id) for run_id in part})
            places = f"block IN ({_marks(blocks)}) AND run_id IN ({_marks(part)})"
            yield from self._connection.execute(f"{select} WHERE counts = 1 AND {places}", (*blocks, *part)).fetchall()

    def measured(self, blocks: tuple[int, int] = ALL_BLOCKS) -> Iterator[Measured]:
        """What was measured in the runs of blocks from the first to the last of these, in no order."""
        rows = self._connection.execute(
            "SELECT f.run_id, f.status, f.shared, f.own, g.flags, g.metrics, g.exact, g.samples FROM files f "
            "LEFT JOIN figures g USING (id) WHERE f.counts = 1 AND f.block BETWEEN ? AND ?", blocks,
        )
        for run_id, status, shared, own, flags, metrics, exact, samples in rows:
            values = packed_values(samples, exact)
            yield Measured(run_id, shared, own, status == 0, flags, metrics, values)

    def metrics(self, number: int) -> tuple[tuple[str, str], ...]:
        """Metrics and units of this number."""
        return self._names.metrics(number)

    def counting(self, blocks: tuple[int, int] = ALL_BLOCKS) -> Iterator[tuple[str, str]]:
        """Run and file name of everything that counts, in blocks from the first to the last of these."""
        rows = self._connection.execute(
            "SELECT run_id, name FROM files WHERE counts = 1 AND block BETWEEN ? AND ?", blocks
        )
        return ((run_id, os.fsdecode(name)) for run_id, name in rows)

    def counting_beyond(self, last: int) -> Iterator[tuple[str, str]]:
        """The same in blocks behind the last one of a plan, and of runs whose names tell no block."""
        yield from self.counting((0, 0))
        yield from self.counting((last + 1, ALL_BLOCKS[1]))

    # What was made

    def changes(self) -> dict[int, int]:
        """By block, the number of the change at which something of it last became different."""
        found = dict(self._connection.execute("SELECT block, changed FROM blocks"))
        if not all(isinstance(changed, int) for changed in found.values()):
            raise ForeignRow("no change")
        return found

    def made(self, name: str) -> dict[int, tuple[int, str, str]]:
        """What was made under this name: by part, out of which change, by which code, and the document."""
        rows = self._connection.execute("SELECT part, changed, basis, said FROM made WHERE name = ?", (name,))
        found = {part: (changed, basis, said) for part, changed, basis, said in rows}
        if not all(isinstance(basis, str) and isinstance(said, str) for _changed, basis, said in found.values()):
            raise ForeignRow("nothing that was made")
        return found

    def note_made(self, name: str, rows: Iterable[tuple[int, int, str, Any]], *, alone: bool = True) -> None:
        """Keep what was made; ``alone``: nothing else of this name."""
        if alone:
            self._connection.execute("DELETE FROM made WHERE name = ?", (name,))
        self._connection.executemany(
            "INSERT OR REPLACE INTO made VALUES (?, ?, ?, ?, ?)",
            ((name, part, changed, basis, json.dumps(said)) for part, changed, basis, said in rows),
        )

    # Shared texts

    def _intern(self, text: str) -> int:
        number = self._numbers.get(text)
        if number is None:
            self._connection.execute("INSERT OR IGNORE INTO texts (text) VALUES (?)", (text,))
            (number,) = self._connection.execute("SELECT id FROM texts WHERE text = ?", (text,)).fetchone()
            self._numbers[text] = number
        return int(number)

    def _text(self, number: int) -> str:
        row = self._connection.execute("SELECT text FROM texts WHERE id = ?", (number,)).fetchone()
        if row is None or not isinstance(row[0], str):
            raise ForeignRow(f"there is no text {number}")
        return row[0]


def _marks(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))


def _file(row: tuple[Any, ...]) -> File:
    """A file as it is stored. SQLite keeps anything in any column, so what is compared is looked at. Raises ForeignRow."""
    file = File(*row)
    if not isinstance(file.name, bytes) or not isinstance(file.stamp, bytes) or not isinstance(file.checksum, str):
        raise ForeignRow("no file")
    if not isinstance(file.run_id, (str, NoneType)) or not isinstance(file.attempt, (int, NoneType)):
        raise ForeignRow("no run")
    return file


def _readable(row: tuple[Any, ...]) -> Readable:
    number, name, run_id, attempt, placed, checksum, rival, same = row
    return Readable(number, name, run_id, attempt, bool(placed), checksum, rival, bool(same))


def _plain(why: Any) -> str:
    try:
        return str(json.loads(why))
    except (ValueError, TypeError):
        raise ForeignRow("no reason") from None
