"""Files that are either there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
from pathlib import Path
from typing import Any


class StorageError(OSError):
    """Results could not be written; the text names the path and the mend."""

    def __str__(self) -> str:
        return str(self.strerror)


def write_whole(path: Path, content: str) -> None:
    """Write a file so that a crash at any moment leaves the old content or the new: temp file, fsync, rename."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("x", encoding="utf-8", newline="") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):  # where nothing can be written, nothing can be removed either
            temporary.unlink(missing_ok=True)
        raise _not_written(path, error) from error


def make_directory(path: Path) -> None:
    """Make a folder and those above it, where they are not there. Raises StorageError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_written(path, error) from error


def _not_written(path: Path, error: OSError) -> StorageError:
    mend = "free some space there" if error.errno == errno.ENOSPC else "check that the folder may be written"
    return StorageError(error.errno, f"{path} could not be written ({error.strerror}): {mend} and run again")


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document whole."""
    write_whole(path, json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
