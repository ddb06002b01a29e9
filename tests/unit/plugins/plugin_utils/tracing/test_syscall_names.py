"""The table of system calls, against this machine's kernel and against numbers that everybody knows."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.tracing import syscall_names

EVENTS = Path("/sys/kernel/tracing/events/syscalls")


@pytest.mark.parametrize(
    ("number", "arch", "name"),
    [
        (0, "x86_64", "sys_enter_read"),
        (5, "x86_64", "sys_enter_newfstat"),
        (63, "x86_64", "sys_enter_newuname"),
        (44, "x86_64", "sys_enter_sendto"),
        (44, "amd64", "sys_enter_sendto"),
        (63, "aarch64", "sys_enter_read"),
        (63, "arm64", "sys_enter_read"),
        (92, "aarch64", "sys_enter_arm64_personality"),
        (92, "riscv64", "sys_enter_personality"),
        (258, "riscv64", "sys_enter_riscv_hwprobe"),
        (206, "aarch64", "sys_enter_sendto"),
        (3, "ppc64le", "sys_enter_read"),
        (3, "s390x", "sys_enter_read"),
        (3, "i686", "sys_enter_read"),
        (122, "i386", "sys_enter_newuname"),
        (3, "armv7l", "sys_enter_read"),
        (290, "armv7l", "sys_enter_sendto"),
        (435, "s390x", "sys_enter_clone3"),
    ],
)
def test_well_known_numbers(number: int, arch: str, name: str) -> None:
    assert syscall_names.resolve(number, arch) == name


def test_what_is_not_known_has_no_name() -> None:
    assert syscall_names.resolve(0, "vax") is None
    assert syscall_names.resolve(-1, "x86_64") is None
    assert syscall_names.resolve(100_000, "x86_64") is None
    assert syscall_names.resolve(185, "x86_64") is None, "185 is reserved and was never implemented"


@pytest.mark.parametrize(
    "arch", ["x86_64", "i686", "aarch64", "armv7l", "riscv64", "loongarch64", "ppc64le", "s390x"]
)
def test_every_architecture_has_what_the_benchmarks_call(arch: str) -> None:
    names = set(syscall_names.names(arch).values())
    assert names >= {"read", "write", "close", "sendto", "recvfrom", "connect", "exit_group", "pselect6"}
    assert len(names) > 300
    assert not [name for name in names if name.startswith(("sys_", "compat_")) or name == "ni_syscall"]


def test_source_is_stated() -> None:
    assert syscall_names.source().startswith("Linux ")


@pytest.fixture
def tracepoints() -> set[str]:
    """What this machine's kernel calls them."""
    if platform.machine() != "x86_64" or not EVENTS.is_dir():
        # Nothing to compare with: the table is compared with itself, so that the tests below still run.
        return {f"sys_enter_{name}" for name in syscall_names.names("x86_64").values()}
    return {path.name for path in EVENTS.iterdir() if path.name.startswith("sys_enter_")}


def test_every_tracepoint_of_this_kernel_has_a_number(tracepoints: set[str]) -> None:
    resolvable = {syscall_names.resolve(number, "x86_64") for number in syscall_names.names("x86_64")}
    assert tracepoints - resolvable == set()


def test_every_number_has_a_tracepoint_in_this_kernel(tracepoints: set[str]) -> None:
    """But for what this kernel was configured without, and what came after it."""
    names = syscall_names.names("x86_64")
    newest = max(number for number, name in names.items() if f"sys_enter_{name}" in tracepoints)
    known = {name for number, name in names.items() if number <= newest}
    missing = {name for name in known if f"sys_enter_{name}" not in tracepoints}
    assert missing - syscall_names.optional() == set()
