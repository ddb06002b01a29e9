# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Find the process that carries a guest on its hypervisor: by libvirt name, by pid file, or by a rule.

Nothing here knows how a guest was made; qemu, firecracker, cloud-hypervisor and others are all a process with a
command line. A process is identified by its pid together with its start time, so that a later process with the same
number is not mistaken for it.
"""

from __future__ import annotations

import os
import re

from ansible_collections.pairbench.lab.plugins.module_utils._host.children import all_pids, process_comm, process_stat
from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import read_small

LIBVIRT_PID_FILES = ("/run/libvirt/qemu/%s.pid", "/var/run/libvirt/qemu/%s.pid", "/run/libvirt/ch/%s.pid")
SELECTORS = ("libvirt", "pid_file", "match")


class VmmNotFound(Exception):
    """The process that carries a guest cannot be determined; the text says what was looked for and what to fix."""


def command_line(pid):
    """The arguments of a process joined by spaces; empty for kernel threads and processes that are gone."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as handle:
            return handle.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""


def start_time(pid):
    """Clock ticks from boot to the start of a process, None when it is gone or a zombie."""
    fields = process_stat(pid)
    return None if fields is None or fields[0] in (b"Z", b"X") else int(fields[19])


def find(selector):
    """The process that carries a guest: a dict with ``pid``, ``start_time``, ``comm`` and ``command``.

    ``selector`` has one of ``libvirt`` (a domain's name), ``pid_file`` (a path), ``match`` (a regular expression that
    is searched for in the command lines and matches one process only). Raises VmmNotFound.
    """
    chosen = [name for name in SELECTORS if selector.get(name)]
    if len(chosen) != 1:
        raise VmmNotFound("give one of %s to find the process of a guest" % ", ".join(SELECTORS))
    pid = {"libvirt": _by_libvirt, "pid_file": _by_pid_file, "match": _by_rule}[chosen[0]](selector[chosen[0]])
    started = start_time(pid)
    if started is None:
        raise VmmNotFound("process %d of the guest has ended" % pid)
    return {"pid": pid, "start_time": started, "comm": process_comm(pid), "command": command_line(pid)[:2000]}


def still_there(found):
    """Whether a process that was found still exists."""
    return start_time(found["pid"]) == found["start_time"]


def _by_pid_file(path):
    try:
        text = read_small(path, 64).decode("ascii", "replace").strip()
    except OSError as error:
        raise VmmNotFound("the pid file %s cannot be read: %s" % (path, error.strerror)) from error
    if not text.isdigit():
        raise VmmNotFound("the pid file %s holds %r, which is no process number" % (path, text[:40]))
    if start_time(int(text)) is None:
        raise VmmNotFound("the pid file %s names process %s, which does not run: is the guest up?" % (path, text))
    return int(text)


def _by_libvirt(name):
    for pattern in LIBVIRT_PID_FILES:
        path = pattern % name
        if os.path.exists(path):
            return _by_pid_file(path)
    return _by_rule(r"-name guest=%s[, ]" % re.escape(name), "no running libvirt domain is named %s" % name)


def _by_rule(rule, nobody=None):
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise VmmNotFound("%r is no regular expression: %s" % (rule, error)) from error
    ours = _ancestors()
    found = [pid for pid in all_pids() if pid not in ours and pattern.search(command_line(pid) + " ")]
    if not found:
        raise VmmNotFound(nobody or "the command line of no process has %r in it" % rule)
    if len(found) > 1:
        shown = "; ".join("%d: %s" % (pid, command_line(pid)[:80]) for pid in sorted(found)[:4])
        raise VmmNotFound(
            "%r fits %d processes, it must fit one (%s): begin it with ^ and the program, so that it does not fit what "
            "started the program" % (rule, len(found), shown)
        )
    return found[0]


def _ancestors():
    """This process and those that started it: the rule may be part of their command lines."""
    found, pid = set(), os.getpid()
    while pid > 1 and pid not in found:
        found.add(pid)
        fields = process_stat(pid)
        pid = int(fields[1]) if fields else 0
    return found
