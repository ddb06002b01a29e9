# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""What stops a run or a session, as the data that an END carries: a word of the gate's list and a sentence."""

from __future__ import annotations

import errno

from ansible_collections.pairbench.lab.plugins.module_utils._control.peer import PeerLost
from ansible_collections.pairbench.lab.plugins.module_utils._host.children import Interrupted
from ansible_collections.pairbench.lab.plugins.module_utils._host.lock import HostBusy


class RunProblem(Exception):
    """One run cannot go on. ``reason`` is a word of the gate's list."""

    def __init__(self, reason, detail):
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def problem_of(error):
    """An exception as the problem of a run or a session: whatever it is, it becomes data."""
    if isinstance(error, RunProblem):
        return {"reason": error.reason, "detail": error.detail}
    if isinstance(error, HostBusy):
        return {"reason": "host_busy", "detail": str(error)}
    if isinstance(error, PeerLost):
        return {"reason": error.reason, "detail": str(error)}
    if isinstance(error, Interrupted):
        return {"reason": "interrupted", "detail": "the session was stopped: %s" % error}
    if isinstance(error, OSError):
        reason = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "host_error"
        return {"reason": reason, "detail": "%s" % error}
    return {"reason": "host_error", "detail": "%s: %s" % (type(error).__name__, error)}
