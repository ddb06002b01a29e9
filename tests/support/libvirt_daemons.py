"""libvirtd and virtlogd until this process is told to end; reaps what they leave, as process 1 of a machine would.

libvirtd sends guests to the background and waits until their first parent is gone; where process 1 does not reap, it
would wait in vain. Run as a program.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys

PR_SET_CHILD_SUBREAPER = 36
DAEMONS = ("/usr/sbin/virtlogd", "/usr/sbin/libvirtd")


def main() -> None:
    """Run the daemons until SIGTERM or until one of them ends by itself."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    started = [subprocess.Popen([path]).pid for path in DAEMONS]
    try:
        while True:
            pid, status = os.wait()
            if pid in started:
                started.remove(pid)
                sys.exit(f"a daemon ended with {os.waitstatus_to_exitcode(status)}")
    finally:
        for pid in reversed(started):
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
