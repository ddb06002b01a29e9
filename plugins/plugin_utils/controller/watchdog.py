"""Waits on hosts come to an end: who has not answered at its deadline is cut off, and the play goes on without it.

Every task of every host runs in a worker, a process forked from Ansible's main process, and waits there for as long as
the host likes: for ever, where a module was stopped, a guest frozen, a file system hangs. This watch is one thread of
the main process. It sleeps until the earliest deadline, so it disturbs no measurement. What it does then is little at
first: it ends what the worker started (the connection and, where the host is a namespace of this machine, the module),
so that the worker comes back by itself and only this host has given no answer. Only a worker that does not come back
then, or is stopped itself, is killed; Ansible ends the play over that.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from .processes import STOPPED, descendants, send, state_of

CUT_SECONDS = 20.0
"""How long a module that is told to end may take to stop its children and to put back what it changed."""
AGAIN_SECONDS = 5.0
CUTS = 12
"""How often what a worker started is ended: Ansible connects again to clean up, or to try again."""
OVERSLEPT_SECONDS = 5.0
"""Waking later than this means that this process was stopped itself: then everybody gets that time on top."""


@dataclass
class _Wait:
    """One worker that waits for one host."""

    host: str
    task: str
    what: str
    allowed: float
    due: float
    cuts: int = 0
    killed: bool = False

    @property
    def sentence(self) -> str:
        return f"it gave no answer within {self.allowed:.0f} s at: {self.what}"


class Watchdog:
    """Deadlines of the tasks that are under way.

    ``worker_of`` maps the names of host and task to the pid of the living worker, or None; ``interrupt`` ends the play where
    even the death of a worker did not. Both are called from the watch's own thread.
    """

    def __init__(self, worker_of: Callable[[str, str], int | None], interrupt: Callable[[], None]) -> None:
        self._worker_of = worker_of
        self._interrupt = interrupt
        self._waits: dict[str, _Wait] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self.killed: list[str] = []
        """Sentences about workers that had to be killed."""

    def begin(self, host: str, task: str, what: str, seconds: float) -> None:
        """A worker is started for this host; what it does (``what``, for people) may take this long.

        ``task`` tells the tasks of a host apart.
        """
        with self._changed:
            self._waits[host] = _Wait(host, task, what, seconds, time.monotonic() + seconds)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="pairbench-watchdog", daemon=True)
                self._thread.start()
            self._changed.notify()

    def hasten(self, host: str, seconds: float) -> None:
        """The rest of what this host does takes no longer than this from now on; nothing where nothing is awaited."""
        with self._changed:
            wait = self._waits.get(host)
            due = time.monotonic() + seconds
            if wait is not None and not wait.cuts and due < wait.due:
                wait.allowed -= wait.due - due
                wait.due = due
                self._changed.notify()

    def end(self, host: str) -> str:
        """The worker has come back. Why the host counts as one that gave no answer; empty when it answered in time."""
        with self._changed:
            wait = self._waits.pop(host, None)
        return wait.sentence if wait is not None and wait.cuts else ""

    def stop(self) -> None:
        """Watch no more."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._stopping:
                due = min((wait.due for wait in self._waits.values()), default=None)
                if due is None or due > time.monotonic():
                    self._changed.wait(None if due is None else due - time.monotonic())
                late = 0.0 if due is None else time.monotonic() - due
                for wait in list(self._waits.values()):
                    if late > OVERSLEPT_SECONDS:
                        wait.due += late + CUT_SECONDS
                    elif wait.due <= time.monotonic() and not self._stopping:
                        self._act(wait)

    def _act(self, wait: _Wait) -> None:
        """The next measure against one worker; harder than the one before."""
        pid = self._worker_of(wait.host, wait.task)
        if pid is None or wait.cuts > CUTS + 3:
            if wait.killed:
                self._interrupt()
            self._waits.pop(wait.host, None)  # it has come back, or Ansible has seen by itself that it is dead
            return
        wait.cuts += 1
        wait.due = time.monotonic() + (CUT_SECONDS if wait.cuts == 1 else AGAIN_SECONDS)
        if state_of(pid) in STOPPED or wait.cuts > CUTS:
            # What it started finds out by itself that nobody listens any more, and keeps what it has measured.
            send([pid], signal.SIGKILL)
            if not wait.killed:
                self.killed.append(f"The process of Ansible that waited for {wait.host} was stopped, or did not come back: "
                                   f"{wait.sentence}")  # fmt: skip
            wait.killed = True
            wait.due = time.monotonic() + CUT_SECONDS
        elif wait.cuts == 1:
            send(descendants(pid), signal.SIGTERM, signal.SIGCONT)
        else:
            send(descendants(pid), signal.SIGKILL)
