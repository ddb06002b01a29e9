"""One controller at a time on one sweep.

The lock is the kernel's, on a file beside the plan, and belongs to one process: it ends with that process however that
ends, and it is not inherited by the processes forked from it. On a network file system it holds between machines too,
where the file system supports such locks (NFS 4 does).
"""

from __future__ import annotations

import fcntl
import getpass
import os
import platform
from datetime import datetime, timezone
from pathlib import Path
from typing import IO

from ..plain_text import printable
from .files import StorageError, open_kept, shown_path
from .sweep_folder import SweepFolder

LONGEST_HOLDER = 1000


class SweepHeld(RuntimeError):
    """Another controller works on this sweep; the text says which and since when."""


def identity() -> str:
    """Who holds a lock, for whoever finds it: ``user@machine, pid 4711``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without an entry, as containers have
        user = str(os.getuid())
    return f"{user}@{platform.node()}, pid {os.getpid()}"


class SweepLock:
    """Held from ``acquire`` until ``release`` or the end of the process."""

    def __init__(self, sweep_dir: Path) -> None:
        self._path = SweepFolder(sweep_dir).lock
        self._handle: IO[bytes] | None = None

    def acquire(self) -> None:
        """Take the lock. Raises SweepHeld, and StorageError when the file cannot be written."""
        handle = _opened(self._path, os.O_CREAT)
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = _read(handle)
            handle.close()
            raise SweepHeld(f"the sweep in {shown_path(self._path.parent)} is held by {holder}") from None
        handle.truncate(0)
        said = f"{identity()}, since {datetime.now(timezone.utc).isoformat(timespec='seconds')}\n"
        handle.write(said.encode("utf-8", "backslashreplace"))
        self._handle = handle

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        if self._handle is not None:
            self._handle.truncate(0)
            self._handle.close()
            self._handle = None


def held_by(sweep_dir: Path) -> str:
    """Who holds the sweep now, in words; empty when nobody does. Raises StorageError where that cannot be found out."""
    path = SweepFolder(sweep_dir).lock
    if not path.parent.is_dir() or not os.path.lexists(path):
        return ""
    with _opened(path, 0) as handle:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return _read(handle)
        return ""


def _opened(path: Path, flags: int) -> IO[bytes]:
    try:
        return os.fdopen(open_kept(path, os.O_RDWR | flags), "r+b", buffering=0)
    except OSError as error:
        raise StorageError(error.errno, f"the lock {shown_path(path)} cannot be used ({error.strerror})") from None


def _read(handle: IO[bytes]) -> str:
    """What the holder said of itself, in one line: anybody who may write there may have written anything."""
    handle.seek(0)
    said = handle.read(LONGEST_HOLDER).decode("utf-8", "replace").strip()
    return printable(said) or "another controller"
