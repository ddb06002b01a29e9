"""A file that is written piece by piece, and is there whole or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from .files import FILE_MODE, StorageError, make_directory, shown_path

_CHUNK = 16 << 20


class Rewritten:
    """A new content of a file, beside the old one until `commit`; without it nothing has happened.

    Used in a ``with``. Raises StorageError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.tmp")
        make_directory(path.parent)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._handle: IO[bytes] = os.fdopen(os.open(self._temporary, flags, FILE_MODE), "wb", buffering=1 << 20)
        except OSError as error:
            raise self._not_written(error) from error
        self.length = 0
        """Bytes so far."""

    def __enter__(self) -> Rewritten:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, way: TracebackType | None) -> None:
        with suppress(OSError):
            self._handle.close()
        with suppress(OSError):
            self._temporary.unlink(missing_ok=True)

    def write(self, content: bytes) -> None:
        """Add this."""
        try:
            self._handle.write(content)
        except OSError as error:
            raise self._not_written(error) from error
        self.length += len(content)

    def copy(self, source: IO[bytes], begin: int, end: int) -> None:
        """Add what another file has between two positions, without looking at it."""
        try:
            source.seek(begin)
            left = end - begin
            while left > 0:
                piece = source.read(min(left, _CHUNK))
                if not piece:
                    raise OSError(None, "what was there before has become shorter")
                self._handle.write(piece)
                left -= len(piece)
        except OSError as error:
            raise self._not_written(error) from error
        self.length += end - begin

    def commit(self) -> os.stat_result:
        """Put it in the place of the old one; what the file system says of it, also where it is replaced at once."""
        try:
            self._handle.flush()
            os.fsync(self._handle.fileno())
            self._temporary.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
            return os.fstat(self._handle.fileno())
        except OSError as error:
            raise self._not_written(error) from error

    def _not_written(self, error: OSError) -> StorageError:
        mend = "check that there is space and that the folder may be written"
        what = f"{shown_path(self._path)} could not be written ({error.strerror}): {mend} and run again"
        return StorageError(error.errno, what)
