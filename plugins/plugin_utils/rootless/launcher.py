"""Namespaces of an ordinary user's own, in which a command runs as their root.

A user namespace makes the user root of what is made inside it and of nothing else: mounts, processes and networks of its
own. ``/run`` is an empty file system of this command alone, because named network namespaces, locks and claims belong
there; all other files are the machine's, with the rights that the user has anyway. The command has a network without any
wire, because ip(8) makes named namespaces only from one that it may come back to.

Two processes stand around the command. The outer one is the caller's, in the process namespace of the machine. The inner
one is process 1 of the new process namespace: the kernel ends it with the outer one, and everything inside with it. So
nothing survives, however this ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..controller.processes import be_killed_with_parent

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 0x2, 0x4, 0x8, 0x4000, 0x40000
GRACE_SECONDS = 5.0
"""How long what the command leaves behind has to clean up."""
CANNOT_RUN = 127

SWITCHES = (
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("user.max_user_namespaces", "0", "15000"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
)
"""Settings of the kernel that forbid user namespaces: name, the value that forbids, one that allows."""


class RootlessError(RuntimeError):
    """There can be no such namespaces; the text says why and what to do."""


def setting(name: str) -> str:
    """The value of a setting of the kernel; empty where the kernel has no such setting."""
    try:
        return Path("/proc/sys", *name.split(".")).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def why_forbidden(error: OSError, value_of: Callable[[str], str] = setting) -> str:
    """Why an ordinary user gets no namespaces here, and the two ways out, in one sentence."""
    for name, forbids, allows in SWITCHES:
        if value_of(name) == forbids:
            return (
                f"this machine lets ordinary users make no namespaces of their own ({name} is {forbids}): run the command "
                f"as root or with sudo, or have an administrator allow it with sysctl -w {name}={allows}"
            )
    return (
        f"the kernel gives this user no namespaces ({error.strerror}), as inside most containers: run the command as root "
        "or with sudo, or on a machine that allows unprivileged user namespaces"
    )


def run_inside(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command in new namespaces; its exit status, 128 and the number where a signal ended it.

    The calling process enters them for good, so its own end must follow. It must have one thread. Ctrl-C reaches the
    command by itself; SIGTERM and SIGHUP end it as Ctrl-C does, a second time as SIGTERM. Raises RootlessError.
    """
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        _enter(os.getuid(), os.getgid())
    except OSError as error:
        raise RootlessError(why_forbidden(error)) from error
    passed_on = {signal.SIGTERM, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)  # until whoever gets them can take them
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    alive, held = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    first = os.fork()
    if first == 0:
        os.close(held)
        os._exit(_first_process(argv, environment, alive, interrupt))
    os.close(alive)
    for number in passed_on:
        signal.signal(number, lambda *_: os.kill(first, signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)
    _pid, status = os.waitpid(first, 0)
    return _exit_status(status)


def _enter(uid: int, gid: int) -> None:
    """Become root of new namespaces and give them a ``/run`` of their own. Raises OSError."""
    _call("unshare", CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET)
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    _mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    Path("/run/lock").mkdir(mode=0o755)


def _first_process(argv: Sequence[str], environment: Mapping[str, str], alive: int, interrupt: object) -> int:
    """Be process 1: start the command, take the dead, end what is left; an exit status. Never raises."""
    try:
        be_killed_with_parent()
        if select.select([alive], [], [], 0)[0]:  # the outer process was gone before the kernel knew of us
            return 128 + signal.SIGKILL
        _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        command = os.fork()
        if command == 0:
            _become(argv, environment, interrupt)
        _pass_on(command)
        status = _await(command)
        _end_the_rest()
        return status
    except OSError as error:
        print(f"pairbench: {why_forbidden(error)}", file=sys.stderr, flush=True)
        return CANNOT_RUN


def _become(argv: Sequence[str], environment: Mapping[str, str], interrupt: object) -> None:
    """Turn this process into the command, with signals as the caller had them."""
    ignored = signal.SIG_IGN if interrupt is signal.SIG_IGN else signal.SIG_DFL
    signal.signal(signal.SIGINT, ignored)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGHUP})
    try:
        os.execvpe(argv[0], list(argv), dict(environment))
    except OSError as error:
        print(f"pairbench: {argv[0]} cannot be run: {error.strerror}", file=sys.stderr, flush=True)
    os._exit(CANNOT_RUN)


def _pass_on(command: int) -> None:
    """Hand signals to the command: first what lets it write its tables, then what ends it."""
    numbers = iter([signal.SIGINT])

    def hand_over(*_unused: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(command, next(numbers, signal.SIGTERM))

    signal.signal(signal.SIGTERM, hand_over)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGHUP})


def _await(command: int) -> int:
    while True:
        pid, status = os.wait()
        if pid == command:
            return _exit_status(status)


def _end_the_rest() -> None:
    """Let sessions whose controller has gone stop their children; the kernel kills who does not."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGTERM)
    limit = time.monotonic() + GRACE_SECONDS
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < limit:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.02)


def _exit_status(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    plain = [None if text is None else text.encode() for text in (source, target, kind)]
    _call("mount", *plain, flags, data.encode())


def _call(name: str, *arguments: object) -> None:
    """Call the C library. Raises OSError."""
    library = ctypes.CDLL(None, use_errno=True)
    converted = [ctypes.c_ulong(item) if isinstance(item, int) else item for item in arguments]
    if getattr(library, name)(*converted) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
