"""Processes of guests, told and kept to their CPUs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.emulator import pin_vhost

NAMED = "open('/proc/self/comm', 'w').write('vhost-77777'); print(flush=True); input()"


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs to tell them apart")
def test_the_threads_that_move_packets_keep_to_the_guests_cpus() -> None:
    allowed = os.sched_getaffinity(0)
    thread = subprocess.Popen([sys.executable, "-c", NAMED], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert thread.stdout is not None and thread.stdout.readline()
        assert Path(f"/proc/{thread.pid}/comm").read_text(encoding="ascii") == "vhost-77777\n"
        pin_vhost(7777, [max(allowed)])
        assert os.sched_getaffinity(thread.pid) == allowed
        pin_vhost(77777, [max(allowed)])
        assert os.sched_getaffinity(thread.pid) == {max(allowed)}
    finally:
        thread.kill()
        thread.wait()
