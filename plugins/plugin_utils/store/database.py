"""The file ``derived.sqlite``: opened whoever wrote it, made anew where it is not ours, done without where it cannot be.

Nothing in it is unique: it can be deleted. So no fault of it is an error: what cannot be used as a file is kept in memory
for as long as it is needed. The journal is one that is rolled back, not a write-ahead log, which network file systems do
not bear.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from ..storage.files import open_kept

APPLICATION, VERSION = 0x70626E63, 1
"""What marks the file as ours, and the version of `SCHEMA`: another one is made anew."""
WAIT_SECONDS = 10.0
"""How long another process may be at it: a writer holds it for as long as some hundred rows take."""
MOST_BYTES = 64 << 20
"""Of one value that is read."""
SIDE_FILES = ("-journal", "-wal", "-shm")

SCHEMA = (
    # A text that many records share: what they measured, the names of their metrics, of a system call.
    "CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",
    # A file of the records' folder as it was when it was looked at. `stamp` is what the file system said of it, empty where
    # that is to be looked at again; `why` it is no record; `counts` for the one that stands for its run; `rival` is the
    # checksum of the record that a file of the wrong name was compared with, `same` whether they say the same.
    "CREATE TABLE files (id INTEGER PRIMARY KEY, name BLOB NOT NULL, stamp BLOB NOT NULL, checksum TEXT NOT NULL, "
    "gate TEXT NOT NULL, why TEXT, run_id TEXT, attempt INTEGER, block INTEGER, placed INTEGER NOT NULL, "
    "counts INTEGER NOT NULL, shared INTEGER, own TEXT, status INTEGER, said TEXT, rival TEXT, same INTEGER)",
    # All that a look compares, so that it reads no more of the files that have not changed.
    "CREATE INDEX names ON files (name, stamp, gate)",
    "CREATE INDEX attempts ON files (run_id, attempt)",
    "CREATE INDEX counting ON files (block, run_id, status) WHERE counts = 1",
    "CREATE INDEX odd ON files (placed) WHERE placed = 0",
    # What was measured in a run, as `columns` packs it.
    "CREATE TABLE figures (id INTEGER PRIMARY KEY, client TEXT NOT NULL, flags INTEGER NOT NULL, metrics INTEGER NOT NULL, "
    "exact TEXT, samples BLOB NOT NULL, calls BLOB NOT NULL, transfer BLOB NOT NULL)",
    # At which change of the store something of a block last became different.
    "CREATE TABLE blocks (block INTEGER PRIMARY KEY, changed INTEGER NOT NULL)",
    # What was made of a part of the plan, by its name, out of what was known at that change and by that code.
    "CREATE TABLE made (name TEXT NOT NULL, part INTEGER NOT NULL, changed INTEGER NOT NULL, basis TEXT NOT NULL, "
    "said TEXT NOT NULL, PRIMARY KEY (name, part)) WITHOUT ROWID",
)


def opened(path: Path) -> sqlite3.Connection:
    """The store in this file; one in memory where no file can be used. Raises no error."""
    for _try in range(2):
        try:
            connection = _connected(path)
        except OSError:
            return in_memory()
        except (sqlite3.Error, UnicodeError) as fault:
            if not is_damage(fault):
                return in_memory()
            connection = None
        if connection is not None:
            return connection
        if not discarded(path):
            break
    return in_memory()


def is_damage(fault: Exception) -> bool:
    """Whether an error means that the file is no store, and not that it cannot be used now: held by others, no room left."""
    return not isinstance(fault, sqlite3.OperationalError) or "UTF-8" in str(fault)


def discarded(path: Path) -> bool:
    """Remove what is no store of ours; whether nothing is there any more."""
    with suppress(OSError):
        for name in (path, *_beside(path)):
            name.unlink(missing_ok=True)
        return True
    return False


def in_memory() -> sqlite3.Connection:
    """An empty store that nobody keeps."""
    connection = _configured(sqlite3.connect(":memory:", isolation_level=None))
    _create(connection)
    return connection


def kept_in_memory(connection: sqlite3.Connection) -> sqlite3.Connection:
    """A copy of a store that cannot be written; an empty one where it cannot be read either. The other is closed."""
    copy = _configured(sqlite3.connect(":memory:", isolation_level=None))
    try:
        with closing(connection):
            connection.rollback()
            connection.backup(copy)
    except sqlite3.Error:
        copy.close()
        return in_memory()
    return copy


def _beside(path: Path) -> list[Path]:
    return [path.with_name(path.name + ending) for ending in SIDE_FILES]


def _connected(path: Path) -> sqlite3.Connection | None:
    """A connection to a store of ours; None where the file is something else.

    Raises OSError where no file can be opened there, and sqlite3.Error.
    """
    for name in _beside(path):
        if os.path.lexists(name) and not stat.S_ISREG(os.lstat(name).st_mode):
            return None
    os.close(_descriptor(path))
    place = "file:" + quote(os.fsencode(path.absolute())) + "?mode=rw"
    connection = _configured(sqlite3.connect(place, timeout=WAIT_SECONDS, isolation_level=None, uri=True))
    try:
        if _is_ours(connection):
            return connection
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None


def _descriptor(path: Path) -> int:
    """Of the file, made where there is none. Never waits, never follows a symbolic link."""
    try:
        return open_kept(path, os.O_RDWR | os.O_CREAT)
    except PermissionError:
        return open_kept(path, os.O_RDONLY)


def _configured(connection: sqlite3.Connection) -> sqlite3.Connection:
    """With what guards against a file that somebody has made to do harm (sqlite.org/security.html)."""
    for setting in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {setting}")
    return connection


def _is_ours(connection: sqlite3.Connection) -> bool:
    """Whether the schema is exactly ours: no trigger or view runs in it. An empty file gets it."""
    marks = tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    found = [row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]
    if marks == (0, 0) and not found:
        _create(connection)
        return True
    return marks == (APPLICATION, VERSION) and sorted(found) == sorted(SCHEMA)


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():  # another process may have been quicker
            for statement in SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
