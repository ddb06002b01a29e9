#!/usr/bin/env python3
"""Write plugins/plugin_utils/tracing/syscall_names.json from the Linux kernel's own system-call tables.

    apt-get download linux-source-7.2 linux-source-6.1
    for deb in linux-source-*.deb; do dpkg-deb -x "$deb" .; done
    tools/make_syscall_names.py usr/src/linux-source-7.2.tar.xz usr/src/linux-source-6.1.tar.xz

Each argument is a kernel source tree or a tar archive of one, the newest first. Numbers are never reused, so
an older kernel only adds the calls that a newer one has removed.
"""

from __future__ import annotations

import json
import re
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OUTPUT = Path(__file__).resolve().parent.parent / "plugins" / "plugin_utils" / "tracing" / "syscall_names.json"

_ENTRY = re.compile(r"(?:compat_)?_*sys_(\w+)$")
_RENAMED = re.compile(r"^#define\s+__\w+?_sys_(\w+)\s+__\w+?_sys_(\w+)\s*$", re.M)
_MAKE_VARIABLE = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL)\s*=\s*(\d+)\s*$", re.M)
_ABI_LIST = re.compile(r"^syscall_abis_64\s*\+=(.*)$", re.M)


@dataclass(frozen=True)
class Architecture:
    """Where one architecture keeps its table and which rows of it are its own (not another ABI's)."""

    table: str
    abis: frozenset[str]
    sources: str
    """The folder under arch/ that may add ABIs and rename entry points."""


_GENERIC = frozenset({"common", "64"})
ARCHITECTURES = {
    "x86_64": Architecture("arch/x86/entry/syscalls/syscall_64.tbl", frozenset({"common", "64"}), "x86"),
    "i386": Architecture("arch/x86/entry/syscalls/syscall_32.tbl", frozenset({"i386"}), "x86"),
    "aarch64": Architecture("scripts/syscall.tbl", _GENERIC, "arm64"),
    "riscv64": Architecture("scripts/syscall.tbl", _GENERIC, "riscv"),
    "loongarch64": Architecture("scripts/syscall.tbl", _GENERIC, "loongarch"),
    "ppc64": Architecture(
        "arch/powerpc/kernel/syscalls/syscall.tbl", frozenset({"common", "nospu", "64"}), "powerpc"
    ),
    "s390x": Architecture("arch/s390/kernel/syscalls/syscall.tbl", frozenset({"common", "64"}), "s390"),
    "arm": Architecture("arch/arm/tools/syscall.tbl", frozenset({"common"}), "arm"),
}
_OPTIONAL = re.compile(r"^\s*COND_SYSCALL\((\w+)\)", re.M)
_WANTED = re.compile(
    r"(Makefile|kernel/sys_ni\.c|scripts/syscall\.tbl|arch/(?:x86|powerpc|s390|arm)/.*\.tbl"
    r"|arch/\w+/kernel/Makefile\.syscalls|arch/\w+/kernel/sys\w*\.c)$"
)


def main(arguments: list[str]) -> int:
    """Write the table; the exit status for the shell."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    kernels = [dict(_read_tree(Path(name))) for name in arguments]
    document = {
        "source": "Linux " + ", ".join(kernel_version(files) for files in kernels),
        "optional": sorted(
            {name for files in kernels for name in _OPTIONAL.findall(files["kernel/sys_ni.c"])}
        ),
        "architectures": {name: merge(kernels, where) for name, where in ARCHITECTURES.items()},
    }
    OUTPUT.write_text(render(document), encoding="utf-8")
    return 0


def kernel_version(files: dict[str, str]) -> str:
    """The version that the tree's top Makefile states."""
    parts = dict(_MAKE_VARIABLE.findall(files["Makefile"]))
    return f"{parts['VERSION']}.{parts['PATCHLEVEL']}.{parts['SUBLEVEL']}"


def merge(kernels: list[dict[str, str]], where: Architecture) -> dict[str, str]:
    """Number (as text, for JSON) to the name of the kernel's entry function; the newest kernel decides."""
    numbers: dict[int, str] = {}
    for files in kernels:
        if where.table in files:
            for number, name in table(files, where):
                numbers.setdefault(number, name)
    return {str(number): numbers[number] for number in sorted(numbers)}


def table(files: dict[str, str], where: Architecture) -> Iterator[tuple[int, str]]:
    """The implemented calls of one table: ``<number> <abi> <name> <entry point> …``."""
    makefile = files.get(f"arch/{where.sources}/kernel/Makefile.syscalls", "")
    extra = {word for line in _ABI_LIST.findall(makefile) for word in line.split()}
    renamed = dict(
        pair
        for path, text in files.items()
        if path.startswith(f"arch/{where.sources}/kernel/sys")
        for pair in _RENAMED.findall(text)
    )
    for line in files[where.table].splitlines():
        columns = line.partition("#")[0].split()
        if len(columns) < 4 or columns[1] not in where.abis | extra:
            continue
        found = _ENTRY.match(columns[3])
        if found and found.group(1) != "ni_syscall":
            # On arm a few entry points are assembly around the real one, which names the tracepoint.
            name = found.group(1).removesuffix("_wrapper")
            yield int(columns[0]), renamed.get(name, name)


def render(document: dict[str, object]) -> str:
    """JSON with one call a line, so that a new kernel is a readable difference."""
    return json.dumps(document, indent=1) + "\n"


def _read_tree(path: Path) -> Iterator[tuple[str, str]]:
    """The files this program needs: path inside the tree, text."""
    if path.is_dir():
        for file in path.rglob("*"):
            name = file.relative_to(path).as_posix()
            if _WANTED.fullmatch(name) and not name.startswith("tools/") and file.is_file():
                yield name, file.read_text(encoding="utf-8")
        return
    with tarfile.open(path) as archive:
        for member in archive:
            inside = member.name.partition("/")[2]
            if member.isfile() and _WANTED.fullmatch(inside) and not inside.startswith("tools/"):
                handle = archive.extractfile(member)
                if handle is not None:
                    yield inside, handle.read().decode("utf-8")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
