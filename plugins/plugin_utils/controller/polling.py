"""How often Ansible's main process looks whether a worker has come back.

It looks every millisecond (``internal_poll_interval``) for as long as anything is under way. Beside benchmarks on the same
CPUs these 800 looks a second cost the figures some ten percent, so while hosts measure it looks less often.
"""

from __future__ import annotations

from typing import Any

OPTION = "DEFAULT_INTERNAL_POLL_INTERVAL"
"""The attribute of ``ansible.constants`` that Ansible reads before each pause (core 2.17 to 2.21)."""
QUIET_SECONDS = 0.05
"""Pause between two looks while hosts measure: 20 a second. A step ends half of it later, on average."""


class PollInterval:
    """The pause between two looks: long while hosts measure, else as the user has configured it."""

    def __init__(self, constants: Any) -> None:
        """``constants`` is ``ansible.constants``."""
        self._constants = constants
        self._configured: float = getattr(constants, OPTION)

    def lengthen(self) -> None:
        """Hosts are about to measure. A pause that is configured to be longer stays."""
        self._set(max(self._configured, QUIET_SECONDS))

    def restore(self) -> None:
        """Nobody measures now."""
        self._set(self._configured)

    def _set(self, seconds: float) -> None:
        setattr(self._constants, OPTION, seconds)
