"""System-call numbers to the names of the kernel's tracepoints, for the architecture of the traced host.

The numbers are in ``syscall_names.json``, which ``tools/make_syscall_names.py`` writes from the kernel's own
tables.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ..model import JsonObject

_DATA = Path(__file__).with_name("syscall_names.json")

_ALIASES = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "ppc64le": "ppc64",
    "i486": "i386",
    "i586": "i386",
    "i686": "i386",
    "x86": "i386",
    "armhf": "arm",
    "armv6l": "arm",
    "armv7l": "arm",
    "armv8l": "arm",
}


def resolve(number: int, arch: str) -> str | None:
    """The tracepoint of a system call, for example 5 on ``x86_64`` is ``sys_enter_newfstat``.

    ``arch`` is what ``uname -m`` prints on the host that was traced. None where the architecture is not known
    or the kernel has no entry function under that number.
    """
    name = names(arch).get(number)
    return None if name is None else f"sys_enter_{name}"


@cache
def names(arch: str) -> Mapping[int, str]:
    """The numbers of one architecture with the names of their entry functions; empty for an unknown one."""
    table = _document()["architectures"].get(_ALIASES.get(arch, arch), {})
    return {int(number): name for number, name in table.items()}


def optional() -> frozenset[str]:
    """Entry functions that a kernel may be configured without, and then has no tracepoint for."""
    return frozenset(_document()["optional"])


def source() -> str:
    """The kernel versions that the table was generated from."""
    return str(_document()["source"])


@cache
def _document() -> JsonObject:
    document: JsonObject = json.loads(_DATA.read_text(encoding="utf-8"))
    return document
