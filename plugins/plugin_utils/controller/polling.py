"""How often Ansible's main process looks whether a worker has come back.

It looks every millisecond (``internal_poll_interval``) for as long as anything is under way, which changes the figures of
benchmarks on the same CPUs: those that need the CPUs lose some ten percent, and latencies get better, because CPUs that
are woken that often are awake sooner. (On a virtual machine whose own process did nothing but sleep for a millisecond again
and again, the median of a ping-pong fell by 11 %; with sleeps of 50 ms by 3 %.) So while hosts measure it looks
seldom, and as long as no step can have come to its end it hardly looks at all.
"""

from __future__ import annotations

from threading import Timer
from typing import Any

OPTION = "DEFAULT_INTERNAL_POLL_INTERVAL"
"""The attribute of ``ansible.constants`` that Ansible reads before each pause (core 2.17 to 2.21)."""
QUIET_SECONDS = 0.05
"""Pause between two looks while hosts measure and may come to their end. A step ends half of it later, on average."""
REST_SECONDS = 1.0
"""The same while none can have come to its end. What goes wrong then is seen so much later."""
RESTING_SHARE, AWAKE_SECONDS = 0.8, 3.5
"""Of the seconds that a session is expected to take, this share less these is rest: 22 of 30, 6 of 10, none of a few.

Start and stop are expected to take 2.5 s and mostly do not, so the last of the long pauses would else outlast the session.
"""


class PollInterval:
    """The pause between two looks: long while hosts measure, else as the user has configured it."""

    def __init__(self, constants: Any) -> None:
        """``constants`` is ``ansible.constants``."""
        self._constants = constants
        self._configured: float = getattr(constants, OPTION)
        self._rest: Timer | None = None

    def lengthen(self, expected_seconds: float = 0.0) -> None:
        """Hosts are about to measure, each of them for so long as is expected. A longer pause that is configured stays."""
        self.restore()
        rest = RESTING_SHARE * expected_seconds - AWAKE_SECONDS
        if rest <= 0:
            self._set_at_least(QUIET_SECONDS)
            return
        self._set_at_least(REST_SECONDS)
        self._rest = Timer(rest, self._set_at_least, (QUIET_SECONDS,))
        self._rest.daemon = True
        self._rest.start()

    def restore(self) -> None:
        """Nobody measures now."""
        if self._rest is not None:
            self._rest.cancel()
            self._rest.join()
            self._rest = None
        setattr(self._constants, OPTION, self._configured)

    def _set_at_least(self, seconds: float) -> None:
        setattr(self._constants, OPTION, max(self._configured, seconds))
