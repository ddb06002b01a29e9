"""The machine on which a benchmark of this folder runs."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def machine() -> str:
    """What the figures depend on."""
    with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown CPU")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    python, load = platform.python_version(), os.getloadavg()[0]
    return f"{os.cpu_count()} CPUs ({model}), {memory} GiB, kernel {platform.release()}, Python {python}, load {load:.2f}"
