"""Look at the folder of a sweep's records: what has changed since the last look is read and judged, nothing else.

A file that the file system says has not been touched is not opened, as ``git`` does it: size, times in nanoseconds and
number of the file (inode) are those that it had. Every write, also one that puts the old time of modification back, changes
the time of change, which nobody can set. Within the grain of such a clock that is not so: what was touched so shortly
before the look is looked at once more the next time.
"""

from __future__ import annotations

import os
import stat
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeVar

from ..plain_text import printable
from ..records.reading import RECORD_BYTES, StoredRecord, checksum_of, record_content, stored_record
from ..storage.files import UnreadableFile, object_in, shown_path
from ..storage.packing import PACKED
from ..storage.sweep_folder import DOCUMENT, SweepFolder, document_name, record_name
from .columns import ForeignRow
from .judged import JudgedRecord, judged_record
from .store import File, Readable, Store
from .versions import gate_version

ENDINGS = (os.fsencode(DOCUMENT), os.fsencode(f"{DOCUMENT}{PACKED}"))
"""Of the names of files that may hold records."""
RECENT_NS = 20_000_000
"""Twice the coarsest grain in which Linux stamps files (100 ticks a second)."""
AT_ONCE = 256
"""Files that become one transaction: a look that is broken off has kept all before them."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Synced:
    """What a look cost: files that were opened, records that were judged, and a sentence where nothing could be listed."""

    read: int = 0
    judged: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """A file that is to be read."""

    path: Path
    known: frozenset[str]
    """Checksums of contents that need not be judged."""


@dataclass(frozen=True)
class Reading:
    """What is in one file, as far as it is not known already."""

    there: bool = True
    checksum: str = ""
    """Of its content; empty where it could not be read."""
    why: str = ""
    """Why it is no record."""
    found: JudgedRecord | None = None
    placed: bool = False
    """Whether the record stands under its own name."""


Apply = Callable[[Callable[[Wanted], Reading], Iterable[Wanted]], Iterable[Reading]]
"""Applies a function to several files, as ``map`` does; perhaps in several processes."""


@dataclass
class _Look:
    sweep_dir: Path
    store: Store
    apply: Apply
    gone: dict[str, File]
    """By checksum, files that are not there any more: what has only another name is not judged again."""
    read: int = 0
    judged: int = 0
    changed: bool = False
    now_ns: int = field(default_factory=time.time_ns)


def look(sweep_dir: Path, store: Store, apply: Apply = map, at_once: int = AT_ONCE) -> Synced:
    """Bring a store up to date with the files that are there. Nothing that is there makes it fail."""
    problems: list[str] = []
    listed = _listed(SweepFolder(sweep_dir).records, problems)
    touched, names = _differences(listed, store.stamps())
    gone = [file for name in names if (file := store.id_of(name))]
    named_anew = {file.checksum: file for file in gone if file.checksum and file.gate == gate_version()}
    it = _Look(sweep_dir, store, apply, named_anew)
    for batch in _batches(touched, at_once):
        _take(it, batch)
    if gone:
        with store.changing():
            for file in gone:
                if store.id_of(file.name) is not None:  # else it was found under another name
                    store.remove(file)
        it.changed = True
    if it.changed:
        _compare_rivals(it)
    return Synced(it.read, it.judged, tuple(problems))


def put(store: Store, written: Iterable[tuple[Path, StoredRecord, JudgedRecord]]) -> None:
    """Put in what has just been written and judged: the next look does not open it."""
    with store.changing():
        for path, stored, found in written:
            try:
                stamp = stamp_of(path.lstat())
            except OSError:
                continue  # the next look sees what is there
            name = os.fsencode(path.name)
            known = store.id_of(name)
            if known is not None:
                store.remove(known)
            store.put_record(name, stamp, stored.checksum, gate_version(), found, placed=True)


def stamp_of(status: os.stat_result) -> bytes:
    """What the file system says of a file; another one where it was touched."""
    return struct.pack(
        "<QqqQI", status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_mode & 0xFFFFFFFF
    )


def _listed(folder: Path, problems: list[str]) -> list[tuple[bytes, bytes]]:
    """Name and stamp of every file that may hold a record, sorted by name."""
    found = []
    try:
        with os.scandir(os.fsencode(folder)) as entries:
            for entry in entries:
                if not entry.name.startswith(b".") and entry.name.endswith(ENDINGS):
                    try:
                        found.append((entry.name, stamp_of(entry.stat(follow_symlinks=False))))
                    except FileNotFoundError:
                        continue
    except FileNotFoundError:
        return []
    except OSError as error:
        unreadable = UnreadableFile(folder, str(error.strerror))
        problems.append(f"{unreadable}: its records are left out, and their runs count as missing.")
        return []
    return sorted(found)


def _differences(
    listed: Sequence[tuple[bytes, bytes]], known: Iterator[tuple[bytes, bytes, str]]
) -> tuple[list[tuple[bytes, bytes]], list[bytes]]:
    """Name and stamp of files that are new or were touched, and the names of those that are gone. Raises ForeignRow."""
    touched: list[tuple[bytes, bytes]] = []
    gone: list[bytes] = []
    current = gate_version()
    one = next(known, None)
    try:
        for name, stamp in listed:
            while one is not None and one[0] < name:
                gone.append(one[0])
                one = next(known, None)
            if one is None or one[0] != name:
                touched.append((name, stamp))
                continue
            if one[1] != stamp or one[2] != current:
                touched.append((name, stamp))
            one = next(known, None)
    except TypeError:  # SQLite keeps anything in any column
        raise ForeignRow("a name that is none") from None
    return touched, gone + ([] if one is None else [one[0], *(name for name, _stamp, _gate in known)])


def _batches(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch


def _take(it: _Look, touched: Sequence[tuple[bytes, bytes]]) -> None:
    """Read some files and put in what they say."""
    batch = [(name, stamp, it.store.id_of(name)) for name, stamp in touched]
    folder = SweepFolder(it.sweep_dir).records
    gate = gate_version()
    spare = frozenset(it.gone)
    wanted = [
        Wanted(folder / os.fsdecode(name), spare | {known.checksum} if known and known.gate == gate else spare)
        for name, _stamp, known in batch
    ]
    readings = list(it.apply(reading_of, wanted))
    it.read += len(readings)
    it.judged += sum(reading.found is not None for reading in readings)
    with it.store.changing():
        for (name, stamp, known), reading in zip(batch, readings, strict=True):
            if reading.there:
                _put(it, name, _trusted(it, stamp, readable=bool(reading.checksum)), known, reading)


def _put(it: _Look, name: bytes, stamp: bytes, known: File | None, reading: Reading) -> None:
    """Put in what one file says."""
    gate = gate_version()
    if known is not None and reading.checksum and known.checksum == reading.checksum and known.gate == gate:
        it.store.stamp(known.id, stamp)
        return
    it.changed = True
    if known is not None:
        it.store.remove(known)
    moved = it.gone.pop(reading.checksum, None) if reading.found is None else None
    if moved is not None:
        _rename(it, moved, name, stamp)
        return
    if reading.found is None and not reading.why:  # a second copy of what has another name now
        reading = reading_of(Wanted(SweepFolder(it.sweep_dir).records / os.fsdecode(name), frozenset()))
        it.judged += reading.found is not None
    if reading.found is not None:
        it.store.put_record(name, stamp, reading.checksum, gate, reading.found, placed=reading.placed)
    else:
        it.store.put_unreadable(name, stamp, reading.checksum, gate, reading.why)


def reading_of(wanted: Wanted) -> Reading:
    """Read a file, and judge the record in it where its content is not known. Never raises for what is in the file."""
    path = wanted.path
    try:
        content = record_content(path)
    except FileNotFoundError:
        return Reading(there=False)
    except UnreadableFile as error:
        return Reading(why=error.why)
    checksum = checksum_of(content)
    if checksum in wanted.known:
        return Reading(checksum=checksum)
    try:
        stored = stored_record(object_in(path, content), checksum)
    except ValueError as error:
        return Reading(checksum=checksum, why=error.why if isinstance(error, UnreadableFile) else str(error))
    return Reading(True, checksum, "", judged_record(stored), document_name(path) == stored.name)


def _rename(it: _Look, moved: File, name: bytes, stamp: bytes) -> None:
    """A file has another name, and says what it said."""
    placed = (
        moved.run_id is not None
        and moved.attempt is not None
        and document_name(Path(os.fsdecode(name))) == record_name(moved.run_id, moved.attempt)
    )
    it.store.rename(moved, name, stamp, placed=placed)


def _trusted(it: _Look, stamp: bytes, *, readable: bool) -> bytes:
    """The stamp, or an empty one where the next look has to open the file again.

    That is so where it could be touched once more without getting another stamp, and where it could not be read for a
    reason that may pass without anybody touching it.
    """
    size, modified, changed, _number, mode = struct.unpack("<QqqQI", stamp)
    lasting = readable or not stat.S_ISREG(mode) or size > RECORD_BYTES
    return stamp if lasting and max(modified, changed) < it.now_ns - RECENT_NS else b""


# Files of one run that say different things


def _compare_rivals(it: _Look) -> None:
    """Compare what stands under a wrong name with what counts, where either of the two is another one than before."""
    news = [
        (one, None if own is None else own.checksum, own is not None and _says_the_same(it, one, own))
        for one, own in it.store.rivals()
        if one.rival != (None if own is None else own.checksum)
    ]
    if news:
        with it.store.changing():
            for one, checksum, same in news:
                it.store.set_rival(one, checksum, same=same)


def _says_the_same(it: _Look, one: Readable, own: Readable) -> bool:
    if one.checksum == own.checksum:
        return True
    it.read += 2
    folder = SweepFolder(it.sweep_dir).records
    try:
        documents = [
            object_in(path, record_content(path))
            for path in (folder / os.fsdecode(name) for name in (one.name, own.name))
        ]
    except (OSError, ValueError):
        return False
    return documents[0] == documents[1]


def left_out(sweep_dir: Path, store: Store) -> tuple[list[str], dict[str, str]]:
    """A sentence for every file that is left out, sorted by file name; and by run, one about a file that contradicts it."""
    folder = SweepFolder(sweep_dir).records
    sentences: list[tuple[bytes, str]] = []
    doubled: dict[str, str] = {}
    for name, why in store.unreadable():
        path = folder / os.fsdecode(name)
        says = f"{shown_path(path)} is not a record ({why}): it is left out, and its run counts as missing."
        sentences.append((name, says))
    for one, own in store.rivals():
        sentence = _about(folder / os.fsdecode(one.name), one, own, doubled)
        sentences += [(one.name, sentence)] if sentence else []
    return [sentence for name, sentence in sorted(sentences, key=lambda item: in_order(item[0]))], doubled


def in_order(name: bytes) -> tuple[bytes, bool]:
    """By what names of files are sorted: by their documents, a packed one before its other form."""
    ending = os.fsencode(PACKED)
    return name.removesuffix(ending), not name.endswith(ending)


def _about(path: Path, one: Readable, own: Readable | None, doubled: dict[str, str]) -> str:
    """A sentence about a record that does not count, as copying by hand leaves them."""
    stored = StoredRecord(one.run_id, one.attempt, {}, None, one.checksum)
    left = f"{shown_path(path)} is left out: it is"
    if own is None:
        own_name = f"{stored.name}{PACKED}" if path.name.endswith(PACKED) else stored.name
        return f"{left} {stored} under another name than {own_name}; rename it if it is to count."
    own_name = printable(os.fsdecode(own.name))
    if one.same:
        return "" if one.placed else f"{left} a copy of {own_name}."
    difference = f"{stored} with other content than"
    # Tables say the same of it whatever form the one that counts has.
    doubled[one.run_id] = f"{shown_path(path.name)} is {difference} the one that counts"
    return f"{left} {difference} {own_name}, which counts."
