"""Workers that nobody waits for any more are ended, whatever state they are in."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing.connection import Connection

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.controller.processes import end_workers


def willing(ready: Connection) -> None:
    ready.send(True)
    time.sleep(600)


def stopped(ready: Connection) -> None:
    ready.send(True)
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(600)


def stubborn(ready: Connection) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ready.send(True)
    time.sleep(600)


@pytest.mark.parametrize(
    ("work", "seconds", "number"),
    [(willing, 60.0, signal.SIGTERM), (stopped, 60.0, signal.SIGTERM), (stubborn, 0.2, signal.SIGKILL)],
)
def test_no_worker_is_left_behind(work: object, seconds: float, number: signal.Signals) -> None:
    heard, ready = multiprocessing.Pipe(duplex=False)
    # As Ansible does; a spawned one would read this module again.
    worker = multiprocessing.get_context("fork").Process(target=work, args=(ready,))  # type: ignore[arg-type]
    worker.start()
    assert heard.recv()
    end_workers([worker], seconds)
    worker.join(60)
    assert worker.exitcode == -number
