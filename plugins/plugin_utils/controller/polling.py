"""When Ansible's main process looks whether a worker has come back: while hosts measure, when one of them has ended.

Else it looks every millisecond (``internal_poll_interval``) for as long as anything is under way, which changes the figures
of benchmarks on the same CPUs: those that need the CPUs lose some ten percent, and latencies get better, because CPUs that
are woken that often are awake sooner. (On a virtual machine whose own process did nothing but sleep for a millisecond again
and again, the median of a ping-pong fell by 11 %; with sleeps of 50 ms by 3 %.)
"""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import wait
from typing import Any

OPTION = "DEFAULT_INTERNAL_POLL_INTERVAL"
"""The attribute of ``ansible.constants`` that Ansible reads before each pause (core 2.17 to 2.21)."""
LONGEST_SECONDS = 1.0
"""Between two looks although no worker ends. What goes wrong with one that does not end is seen so much later."""
ARRIVAL_SECONDS = 0.05
"""After a worker's end it is looked as often as configured: another thread takes what the worker has sent."""


class UntilWorkerEnds:
    """Stands where the seconds of a pause are, and lasts until a worker ends.

    ``time.sleep`` asks what is not a float for a whole number of seconds (``__index__``): this one waits, and says 0.
    """

    def __init__(self, configured: float) -> None:
        """``configured`` are the seconds of a pause in which results may arrive."""
        self._configured = configured
        self._workers = set(multiprocessing.active_children())
        self._ended = time.monotonic()

    def __index__(self) -> int:
        workers = set(multiprocessing.active_children())
        if self._workers - workers:
            self._ended = time.monotonic()
        self._workers = workers
        if not workers or time.monotonic() - self._ended < ARRIVAL_SECONDS:
            time.sleep(self._configured)
        elif wait([worker.sentinel for worker in workers], max(self._configured, LONGEST_SECONDS)):
            self._ended = time.monotonic()  # it may be a while until it counts as ended, and waiting for it returns at once
        return 0


class Polling:
    """The pause between two looks: until a worker ends while hosts measure, else as the user has configured it."""

    def __init__(self, constants: Any) -> None:
        """``constants`` is ``ansible.constants``."""
        self._constants = constants
        self._configured: float = getattr(constants, OPTION)

    def wait_for_workers(self) -> None:
        """Hosts are about to measure."""
        setattr(self._constants, OPTION, UntilWorkerEnds(self._configured))

    def restore(self) -> None:
        """Nobody measures now."""
        setattr(self._constants, OPTION, self._configured)
