"""Processes of this machine as /proc shows them: whose child one is, and whether it is stopped."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

SPARE_DESCRIPTORS = 16
PR_SET_PDEATHSIG = 1
STOPPED = ("T", "t")
"""States of a process that was stopped, as by SIGSTOP."""


def _fields(pid: int | str) -> list[bytes]:
    """The fields of /proc/PID/stat behind the command name; empty when the process has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rsplit(b")", 1)[1].split()
    except (OSError, IndexError):
        return []


def state_of(pid: int) -> str:
    """The letter of a process's state (``R``, ``S``, ``T`` for stopped, ``Z`` …); empty when it has gone."""
    fields = _fields(pid)
    return fields[0].decode() if fields else ""


def _children_by_parent() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        fields = _fields(entry.name) if entry.name.isdigit() else []
        if fields:
            found.setdefault(int(fields[1]), []).append(int(entry.name))
    return found


def children(pid: int) -> set[int]:
    """Processes whose parent is this one."""
    return set(_children_by_parent().get(pid, ()))


def descendants(pid: int) -> list[int]:
    """Processes that this one started, and those that they started, parents first; not the process itself."""
    by_parent, found = _children_by_parent(), [pid]
    for parent in found:
        found += by_parent.get(parent, ())
    return found[1:]


def be_killed_with_parent() -> None:
    """Have the kernel kill this process when the one that started it dies; not when that is dead already. Raises OSError."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "prctl")


def send(pids: list[int], *numbers: int) -> None:
    """Send signals to processes; who has gone, or belongs to another user, is passed over."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            for number in numbers:
                os.kill(pid, number)


def end_workers(workers: Sequence[BaseProcess], seconds: float) -> None:
    """Leave none of these processes behind, also none that is stopped, or waits to be heard: nobody listens any more.

    Each is asked to end; who has not after that many ``seconds`` is killed.
    """
    for worker in workers:
        worker.terminate()
        if worker.pid is not None:
            os.kill(worker.pid, signal.SIGCONT)
    deadline = time.monotonic() + seconds
    for worker in workers:
        worker.join(max(0.0, deadline - time.monotonic()))
        if worker.is_alive():
            worker.kill()


def descriptors_problem(wanted: int = SPARE_DESCRIPTORS) -> str:
    """A sentence where this process cannot open so many more files, as pipes to its workers; empty where it can."""
    opened: list[int] = []
    try:
        opened += (os.open(os.devnull, os.O_RDONLY) for _number in range(wanted))
    except OSError:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return (
            f"This process may have {most} files open, and needs {wanted - len(opened)} more: raise the limit with "
            f"ulimit -n {max(1024, 2 * (most + wanted))} and run the same command again"
        )
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return ""
