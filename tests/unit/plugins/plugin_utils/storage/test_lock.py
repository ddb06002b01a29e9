"""One controller at a time on one sweep."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.lock import SweepHeld, SweepLock, held_by


def holder(sweep: Path) -> subprocess.Popen[str]:
    """Another process that holds the sweep."""
    code = (
        "import sys, time; from pathlib import Path\n"
        "from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.lock import SweepLock\n"
        "lock = SweepLock(Path(sys.argv[1])); lock.acquire(); print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(sweep)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_held_sweep_names_its_holder_and_a_dead_holder_holds_nothing(tmp_path: Path) -> None:
    assert held_by(tmp_path) == ""
    process = holder(tmp_path)
    try:
        assert f"pid {process.pid}, since 20" in held_by(tmp_path)
        with pytest.raises(SweepHeld, match=f"is held by .*pid {process.pid}"):
            SweepLock(tmp_path).acquire()
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    lock = SweepLock(tmp_path)
    lock.acquire()
    lock.release()
    assert held_by(tmp_path) == ""
