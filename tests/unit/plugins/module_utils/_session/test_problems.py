"""Whatever goes wrong in a session becomes data: a word of the gate's list, and a sentence."""

from __future__ import annotations

import errno

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._control.peer import ControlChanged, PeerLost
from ansible_collections.pairbench.lab.plugins.module_utils._host.children import Interrupted
from ansible_collections.pairbench.lab.plugins.module_utils._host.lock import HostBusy
from ansible_collections.pairbench.lab.plugins.module_utils._session.problems import RunProblem, problem_of


@pytest.mark.parametrize(
    ("error", "reason", "detail"),
    [
        (RunProblem("port_taken", "by whom"), "port_taken", "by whom"),
        (HostBusy("held by a"), "host_busy", "held by a"),
        (PeerLost("gone"), "peer_lost", "gone"),
        (ControlChanged("changed"), "control_changed", "changed"),
        (Interrupted("SIGTERM"), "interrupted", "the session was stopped: SIGTERM"),
        (OSError(errno.ENOSPC, "no space"), "disk_full", "[Errno 28] no space"),
        (OSError(errno.EIO, "broken"), "host_error", "[Errno 5] broken"),
        (KeyError("argv"), "host_error", "KeyError: 'argv'"),
    ],
)
def test_an_exception_becomes_a_problem(error: Exception, reason: str, detail: str) -> None:
    assert problem_of(error) == {"reason": reason, "detail": detail}
