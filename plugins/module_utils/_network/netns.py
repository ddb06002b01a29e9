# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Network namespaces of this host: entered, looked at, and changed with ip(8) and tc(8)."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import subprocess

from ansible_collections.pairbench.lab.plugins.module_utils._host.programs import run_program

DIRECTORY = "/run/netns"
CLONE_NEWNET = 0x40000000
LIMIT_SECONDS = 60


class NotEntered(OSError):
    """A network namespace cannot be entered; ``filename`` is its path."""


class NetnsError(Exception):
    """A namespace, or something in it, could not be changed. The text is a sentence for the user."""


def path_of(name):
    """The path of a namespace, which may be given by its name or by its path."""
    return os.path.join(DIRECTORY, name)


def exists(name):
    """Whether there is a namespace of this name."""
    return os.path.exists(path_of(name))


def enter(name):
    """Move this thread into a namespace, given by name or path. Raises NotEntered."""
    try:
        with open(path_of(name)) as handle:
            _set_namespace(handle.fileno())
    except OSError as error:
        raise NotEntered(error.errno, error.strerror, path_of(name)) from None


@contextlib.contextmanager
def inside(name):
    """Run the body in a namespace and come back afterwards; an empty name stays where we are. Raises NotEntered."""
    if not name:
        yield
        return
    with open("/proc/self/ns/net") as home:
        enter(name)
        try:
            yield
        finally:
            _set_namespace(home.fileno())


def _set_namespace(descriptor):
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def ask(*argv):
    """What a command of ip or tc prints; empty when it fails. Raises NetnsError when it cannot be run to its end."""
    done = _run(argv)
    return done.stdout if done.returncode == 0 else ""


def links(name):
    """The interfaces of a namespace by name, each as ``ip -json addr show`` describes it; none when it does not exist."""
    shown = ask("ip", "-n", name, "-json", "addr", "show") if exists(name) else ""
    return {link["ifname"]: link for link in json.loads(shown.strip() or "[]")}


def _run(argv):
    try:
        return run_program(argv, LIMIT_SECONDS)
    except OSError as error:
        raise NetnsError("%s cannot be run: %s" % (argv[0], error.strerror)) from None
    except subprocess.TimeoutExpired:
        raise NetnsError("%s did not end within %d s" % (" ".join(argv), LIMIT_SECONDS)) from None


class Changes:
    """Commands of ip and tc that change something. All are collected in ``commands``; none is run with ``check``."""

    def __init__(self, check=False):
        self.check = check
        self.commands = []

    def do(self, *argv):
        """Run one command. Raises NetnsError with what it said when it fails."""
        self.commands.append(" ".join(argv))
        if self.check:
            return
        done = _run(argv)
        if done.returncode != 0:
            raise NetnsError("%s failed: %s" % (" ".join(argv), (done.stderr or done.stdout).strip()))

    def make(self, name):
        """Have a namespace whose loopback interface is up."""
        if not exists(name):
            self.do("ip", "netns", "add", name)
        if not is_up(links(name).get("lo")):
            self.do("ip", "-n", name, "link", "set", "lo", "up")

    def remove(self, name):
        """Have no namespace of this name, and nothing of what was in it."""
        if exists(name):
            self.do("ip", "netns", "delete", name)


def is_up(link):
    """Whether an interface, as ``links`` describes it, is up; None is one that does not exist."""
    return "UP" in (link or {}).get("flags", ())
