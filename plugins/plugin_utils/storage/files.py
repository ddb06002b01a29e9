"""Files that are either there whole or not at all, and reading those that others may have put there.

What is read of a sweep's folder is taken for what it should be only after it has been looked at: a regular file, not
larger and not nested deeper than it can be, UTF-8, JSON without anything that two readers would understand differently.
What is written may be read by its owner and the owner's group, less what the umask takes away.
"""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..plain_text import printable

FILE_MODE, FOLDER_MODE = 0o640, 0o750
LONGEST_PATH = 4096
DEEPEST = 64
"""Lists and objects inside each other; a record has 6."""
FEW_BRACKETS = 4096
"""So many opening brackets any stack carries, if each is inside the one before: a parser may read them unseen."""
LONGEST_WHOLE_NUMBER = 20
"""Digits (and a sign) of a number of 64 bits."""

_CAREFULLY = os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY
"""Opening never waits (a FIFO), never leads elsewhere (a symbolic link), and never takes a terminal over."""
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_TOO_DEEP = f"it is nested deeper than {DEEPEST} levels"
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_ALL_SQUARE = bytes.maketrans(b"{}", b"[]")


class StorageError(OSError):
    """Results could not be written; the text names the path and the remedy."""

    def __str__(self) -> str:
        return str(self.strerror)


class UnreadableFile(ValueError):
    """A file is there and is not what it should be; the text names it, ``why`` is the reason alone."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{shown_path(path)} cannot be read: {why}")
        self.why = why


def shown_path(path: Path | str) -> str:
    """A path as text for people: in one line, whatever characters it has."""
    return printable(str(path), LONGEST_PATH)


def read_bytes(path: Path, most_bytes: int) -> bytes:
    """The content of a regular file of at most that size. Symbolic links are not followed.

    Raises FileNotFoundError where nothing is there, and UnreadableFile for everything else.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _CAREFULLY)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableFile(path, _why_not_opened(error)) from None
    try:
        status = os.fstat(descriptor)
        kind = stat.S_IFMT(status.st_mode)
        if kind != stat.S_IFREG:
            raise UnreadableFile(path, f"it is {_KINDS.get(kind, 'something else')}, not a file")
        if status.st_size > most_bytes:
            raise UnreadableFile(path, f"it has {status.st_size} bytes, more than the {most_bytes} that it may have")
        with os.fdopen(descriptor, "rb", closefd=False) as handle:
            return handle.read(status.st_size)
    except OSError as error:
        raise UnreadableFile(path, str(error.strerror)) from None
    finally:
        os.close(descriptor)


def read_json(path: Path, most_bytes: int) -> Any:
    """The JSON document in a file. Raises FileNotFoundError and UnreadableFile."""
    return _json_in(path, read_bytes(path, most_bytes))


def read_object(path: Path, most_bytes: int) -> dict[str, Any]:
    """The JSON object in a file. Raises FileNotFoundError and UnreadableFile."""
    return object_in(path, read_bytes(path, most_bytes))


def object_in(path: Path, content: bytes) -> dict[str, Any]:
    """The JSON object that has been read from a file. Raises UnreadableFile."""
    document = _json_in(path, content)
    if not isinstance(document, dict):
        raise UnreadableFile(path, "it is JSON, but not an object")
    return document


def _json_in(path: Path, content: bytes) -> Any:
    try:
        return parse_json(content)
    except ValueError as error:
        raise UnreadableFile(path, str(error)) from None


def parse_json(content: bytes) -> Any:
    """A JSON document that has one meaning only. Raises ValueError with a reason.

    Refused are, beside what is not JSON: other encodings than UTF-8, nesting deeper than `DEEPEST`, keys that are there
    twice, NaN, Infinity and numbers that become infinite, whole numbers of more than 64 bits, and halves of surrogate pairs.
    """
    if not content or content.isspace():
        raise ValueError("it is empty")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 at byte {error.start}") from None
    few = content.count(b"[") + content.count(b"{") <= FEW_BRACKETS
    if not few and _too_deep(content):
        raise ValueError(_TOO_DEEP)
    try:
        document = _strictly(text)
    except ValueError:
        if few and _too_deep(content):
            raise ValueError(_TOO_DEEP) from None
        raise
    if few and _is_deep(document):
        raise ValueError(_TOO_DEEP)
    if b"\\u" in content and (b"\\ud" in content or b"\\uD" in content):
        _require_whole_characters(document)
    return document


def _strictly(text: str) -> Any:
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_finite, parse_int=_whole
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON ({error})") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _is_deep(document: Any) -> bool:
    """Whether a document that has been read is deeper than `DEEPEST`."""
    level = [document] if isinstance(document, (dict, list)) else []
    for _ in range(DEEPEST):
        items = [parent.values() if isinstance(parent, dict) else parent for parent in level]
        level = [item for some in items for item in some if isinstance(item, (dict, list))]
        if not level:
            return False
    return True


def _too_deep(content: bytes) -> bool:
    """Whether a parser would be led deeper than `DEEPEST`: seen without a parser, so that no stack depends on it.

    Outside of strings the innermost pairs of brackets are taken away, level by level. What is then left open, in a
    document that was cut off, is as deep as it is long.
    """
    outside = b"".join(content.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    if outside.count(b"[") + outside.count(b"{") <= DEEPEST:
        return False  # as of every record: most brackets are in the outputs, which are texts
    brackets = outside.translate(_ALL_SQUARE, _NOT_BRACKETS)
    levels = 0
    while levels < DEEPEST:
        fewer = brackets.replace(b"[]", b"")
        if fewer == brackets:
            break
        brackets = fewer
        levels += 1
    return levels + brackets.count(b"[") > DEEPEST


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _value in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {printable(twice, 60)!r} is there twice")
    return found


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number that JSON has")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {printable(text, 30)} is beyond all bounds")
    return value


def _whole(text: str) -> int:
    if len(text) > LONGEST_WHOLE_NUMBER:
        raise ValueError(f"a whole number in it has {len(text)} digits")
    return int(text)


def _require_whole_characters(document: Any) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("a text in it has half of a surrogate pair") from None


def _why_not_opened(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "it is a symbolic link, which is not followed: put the file itself there"
    if error.errno == errno.ENXIO:
        return "it is a socket, not a file"
    return str(error.strerror)


def list_files(folder: Path, *suffixes: str) -> list[Path]:
    """What is in a folder under names with one of these endings, sorted; nothing where there is no folder.

    Names that begin with a dot are what editors and copying programs leave, and writing that was broken off. Raises
    UnreadableFile where the folder is none or cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UnreadableFile(folder, str(error.strerror)) from None
    return [folder / name for name in names if name.endswith(suffixes) and not name.startswith(".")]


def write_whole(path: Path, content: str) -> None:
    """Write a text as `write_whole_bytes` writes bytes, in UTF-8."""
    write_whole_bytes(path, content.encode("utf-8"))


def write_whole_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a crash at any moment leaves the old content or the new: temp file, fsync, rename.

    Raises StorageError.
    """
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.tmp")
    try:
        _make_folders(path.parent)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CAREFULLY, FILE_MODE)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        with suppress(OSError):  # where nothing can be written, nothing can be removed either
            temporary.unlink(missing_ok=True)
        raise _not_written(path, error) from error


def make_directory(path: Path) -> None:
    """Make a folder and those above it, where they are not there. Raises StorageError."""
    try:
        _make_folders(path)
    except OSError as error:
        raise _not_written(path, error) from error


def open_kept(path: Path, flags: int) -> int:
    """A descriptor of a regular file that is kept under its name and changed in place.

    ``flags`` are those of ``os.open``. Raises OSError, also where something else than a file is there.
    """
    descriptor = os.open(path, flags | _CAREFULLY, FILE_MODE)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a file: remove it", str(path))
    return descriptor


def append(path: Path, content: str) -> None:
    """Add to the end of a file in one piece, so that several writers do not mix. Raises OSError."""
    descriptor = open_kept(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, content.encode("utf-8"))
    finally:
        os.close(descriptor)


def _make_folders(path: Path) -> None:
    """As ``mkdir -p``, with our mode for every folder that is made."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(FOLDER_MODE, exist_ok=True)
    if not missing and not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


def _not_written(path: Path, error: OSError) -> StorageError:
    mend = "free some space there" if error.errno == errno.ENOSPC else "check that the folder may be written"
    return StorageError(error.errno, f"{shown_path(path)} could not be written ({error.strerror}): {mend} and run again")


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document whole."""
    write_whole(path, json_text(document))


def json_text(document: Any) -> str:
    """A JSON document as it is kept: equal documents give equal texts."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
