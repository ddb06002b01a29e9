# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""How long one end of a session waits for the other, and for the processes of a run."""

from __future__ import annotations

import time

from ansible_collections.pairbench.lab.plugins.module_utils._host.children import KILL_AFTER_SECONDS
from ansible_collections.pairbench.lab.plugins.module_utils._session.observers import ARM_SECONDS, END_SECONDS

PORT_FREE_SECONDS = 3.0
STOP_SECONDS = 12.0  # the longest that Child.stop takes
PATIENCE_SECONDS = 15.0


class Deadlines:
    """How long to wait for the other end: what it may take at most, plus the patience that the session asks for."""

    def __init__(self, spec, run):
        self.patience = spec.get("patience_seconds") or PATIENCE_SECONDS
        self._run = run
        # Only the server end knows whether somebody observes; both wait as if somebody did.
        self._arming = ARM_SECONDS if run["traced"] else 0.0
        self._observed = 2 * END_SECONDS if run["traced"] else 0.0

    def ready(self):
        """A server that listens, and observers that count."""
        return time.monotonic() + self._run["ready_seconds"] + STOP_SECONDS + self._arming + self.patience

    def done(self):
        """A client that has ended, at the latest by its limit."""
        return time.monotonic() + self._run["limit_seconds"] + KILL_AFTER_SECONDS + STOP_SECONDS + 2 * self.patience

    def over(self):
        """A server that has gone: asked twice, then killed."""
        return time.monotonic() + 3 * self.patience + STOP_SECONDS + PORT_FREE_SECONDS + self._observed

    def exit(self):
        """A server that was asked to end."""
        return time.monotonic() + self.patience
