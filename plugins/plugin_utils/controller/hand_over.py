"""The last moment of a worker, when the host has answered and the controller has not heard it yet."""

from __future__ import annotations

import os

from .processes import be_killed_with_parent


def end_with_controller(controller: int) -> None:
    """End this process where its controller has gone, now or from now on: it would wait for ever to hand its result over.

    ``controller`` is the pid of the process that started this one. The hosts have kept what was measured.
    """
    be_killed_with_parent()
    if os.getppid() != controller:
        os._exit(1)
