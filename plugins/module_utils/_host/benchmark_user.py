# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""The user that a benchmark runs as: an unprivileged one where this host allows it.

``setpriv`` becomes the benchmark: the process keeps its number, so that the tracer counts it from exec to exit, and what
``setpriv`` itself did stands under its own thread name. A new user clears the signal that a process gets when its parent
dies, so it is set again where setpriv knows how to. Whether all of this works here, and whether that user may execute
the benchmark, is tried once; where it does not work, the benchmark runs as the module does, and END says why.
"""

from __future__ import annotations

import functools
import os
import pwd
import shutil
import stat
import subprocess

from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import printable
from ansible_collections.pairbench.lab.plugins.module_utils._host.programs import run_program

TRIAL_SECONDS = 20
MOST_TOLD = 200
ALLOWED_CONGESTION = "/proc/sys/net/ipv4/tcp_allowed_congestion_control"
FIRST_FREE_PORT = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
CAPABILITIES = ("net_admin", "net_raw")
"""Those that a case can ask for."""


def capabilities(run):
    """Names of what the benchmark of a run may do beyond its user's rights.

    They are those that the case asks for (``capabilities`` of ``run``), and those that this kernel requires for the
    ``port`` and for ``congestion``, an algorithm of TCP.
    """
    found = [name for name in CAPABILITIES if name in run.get("capabilities", ())]
    if run.get("port") and run["port"] < _number(FIRST_FREE_PORT, 1024):
        found.append("net_bind_service")
    if run.get("congestion") and run["congestion"] not in _text(ALLOWED_CONGESTION).split():
        found.append("net_admin")
    return sorted(set(found))


def become(user, wanted, program):
    """What runs a program as the user: (command prefix, who).

    ``wanted`` are names of capabilities that it keeps, ``program`` is its path. ``who`` is the user's name, with
    ``+name`` for each capability; where the program cannot run as ``user``, it is our own name with the reason in brackets.
    """
    if os.geteuid() != 0:
        return [], "%s (only root can become %s)" % (_name_of(os.geteuid()), user)
    try:
        entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        return [], "root (this host has no user %s)" % printable(user, 40)
    if entry.pw_uid == 0:
        return [], "root"
    for what, number in (("uid", entry.pw_uid), ("gid", entry.pw_gid)):
        if not _is_mapped(what, number):
            return [], "root (the %s %d of %s is not mapped in this user namespace)" % (what, number, user)
    path = shutil.which("setpriv")
    if path is None:
        return [], "root (setpriv, of util-linux, is not on this host)"
    prefix = (os.path.realpath(path), *_options(path, entry, tuple(wanted)))
    why = _trial(prefix, program)
    if why:
        return [], "root (%s)" % why
    return list(prefix), " ".join([entry.pw_name, *("+" + name for name in wanted)])


def without_private_folder(environment):
    """The environment without a folder for temporary files that only its owner can use."""
    try:
        usable = os.stat(environment["TMPDIR"]).st_mode & stat.S_IWOTH
    except (KeyError, OSError):
        usable = False
    return environment if usable else {name: value for name, value in environment.items() if name != "TMPDIR"}


def _options(path, entry, wanted):
    keep = "".join(",+" + name for name in wanted)
    options = [
        "--reuid=%d" % entry.pw_uid, "--regid=%d" % entry.pw_gid, "--clear-groups", "--no-new-privs",
        "--inh-caps=-all" + keep,
    ]
    if wanted:
        options.append("--ambient-caps=-all" + keep)
    if "--pdeathsig" in _help(path):
        options += ["--pdeathsig", "TERM"]
    return options


@functools.lru_cache(maxsize=None)
def _help(path):
    try:
        return run_program([path, "--help"], TRIAL_SECONDS).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


@functools.lru_cache(maxsize=None)
def _trial(prefix, program):
    """Why the program cannot be executed behind this prefix, None when it can."""
    test = shutil.which("test")
    if test is None:
        return "the program test is not on this host"
    try:
        done = run_program([*prefix, test, "-x", program], TRIAL_SECONDS, merged=True)
    except (OSError, subprocess.TimeoutExpired) as error:
        return printable("setpriv cannot be run: %s" % error, MOST_TOLD)
    if done.returncode == 0:
        return None
    said = done.stdout.strip()
    return printable(said.splitlines()[0], MOST_TOLD) if said else "that user may not execute %s" % program


def _is_mapped(what, number):
    try:
        with open("/proc/self/%s_map" % what) as handle:
            ranges = [[int(field) for field in line.split()] for line in handle]
    except (OSError, ValueError):
        return True  # a kernel without user namespaces
    return any(first <= number < first + count for first, _outside, count in ranges)


def _name_of(uid):
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return "user %d" % uid


def _text(path):
    try:
        with open(path) as handle:
            return handle.read(4096)
    except OSError:
        return ""


def _number(path, otherwise):
    text = _text(path).strip()
    return int(text) if text.isdigit() else otherwise
