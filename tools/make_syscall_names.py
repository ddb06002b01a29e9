"""Write plugins/plugin_utils/syscall_names.json from the system-call tables of a kernel source tree.

The kernel names its tracepoints after the function that a table entry points to (``sys_newfstat``), not after the
call (``fstat``), so the entry point is what is kept. On Debian the tree comes with a package:

    apt-get install linux-source && tar xf /usr/src/linux-source-*.tar.xz
    python tools/make_syscall_names.py linux-source-6.12
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "plugins" / "plugin_utils" / "syscall_names.json"

GENERIC = "scripts/syscall.tbl"
TABLES: dict[str, tuple[str, frozenset[str]]] = {
    # Architecture as uname -m says it: the table, and which of its ABIs that architecture's kernel offers.
    "x86_64": ("arch/x86/entry/syscalls/syscall_64.tbl", frozenset({"common", "64"})),
    "i686": ("arch/x86/entry/syscalls/syscall_32.tbl", frozenset({"i386"})),
    "aarch64": (GENERIC, frozenset({"common", "64", "renameat", "rlimit", "memfd_secret"})),
    "riscv64": (GENERIC, frozenset({"common", "64", "riscv", "memfd_secret", "rlimit"})),
    "loongarch64": (GENERIC, frozenset({"common", "64"})),
    "armv7l": ("arch/arm/tools/syscall.tbl", frozenset({"common", "eabi"})),
    "ppc64le": ("arch/powerpc/kernel/syscalls/syscall.tbl", frozenset({"common", "64", "nospu"})),
    "s390x": ("arch/s390/kernel/syscalls/syscall.tbl", frozenset({"common", "64"})),
}


def entry_points(table: str, abis: frozenset[str]) -> dict[str, str]:
    """Number to entry point (without ``sys_``) of the calls that a table gives these ABIs."""
    names = {}
    for line in table.splitlines():
        fields = line.partition("#")[0].split()
        if len(fields) < 4 or fields[1] not in abis:
            continue
        entry = re.sub(r"^(__\w+?_)?sys_", "", fields[3])
        names[fields[0]] = fields[2] if entry == "ni_syscall" else entry
    return names


def kernel_version(makefile: str) -> str:
    """The version that a kernel's top Makefile states."""
    found = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL) = (\d+)$", makefile, re.M))
    return f"{found['VERSION']}.{found['PATCHLEVEL']}.{found['SUBLEVEL']}"


def main(source: Path) -> None:
    """Read the tables below ``source`` and write the data file."""
    names = {
        machine: entry_points((source / path).read_text(encoding="utf-8"), abis)
        for machine, (path, abis) in TABLES.items()
    }
    document = {"kernel": kernel_version((source / "Makefile").read_text(encoding="utf-8")), "names": names}
    TARGET.write_text(json.dumps(document, indent=0, sort_keys=True) + "\n", encoding="utf-8")
    for machine, found in names.items():
        print(f"{machine}: {len(found)} system calls")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
