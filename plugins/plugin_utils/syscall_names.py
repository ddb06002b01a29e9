"""System-call numbers to the names of the kernel's tracepoints, per architecture.

The table is written by tools/make_syscall_names.py from the kernel's own tables.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path

SAME_TABLE = {"amd64": "x86_64", "arm64": "aarch64", "i386": "i686", "i586": "i686", "armv8l": "armv7l"}


@functools.cache
def _tables() -> Mapping[str, Mapping[str, str]]:
    document = json.loads(Path(__file__).with_name("syscall_names.json").read_text(encoding="utf-8"))
    names: Mapping[str, Mapping[str, str]] = document["names"]
    return names


def resolve(number: int, arch: str) -> str | None:
    """The tracepoint of a system call, for example ``sys_enter_newfstat`` for 5 on ``x86_64``.

    ``arch`` is what ``uname -m`` says on the host that counted. None where the number or architecture is not known.
    """
    name = _tables().get(SAME_TABLE.get(arch, arch), {}).get(str(number))
    return None if name is None else f"sys_enter_{name}"
