# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Start and end the emulator of a guest without libvirt: taps, descriptors, namespaces, pid files."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import struct
import subprocess
import time

from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import read_small
from ansible_collections.pairbench.lab.plugins.module_utils._host.programs import run_program
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.command_line import command_line, is_guest

NETNS_DIRECTORY = "/run/netns"
CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, IFF_MULTI_QUEUE = 0x0002, 0x1000, 0x4000, 0x0100
STOP_SECONDS = 10
START_SECONDS = 60


class GuestError(Exception):
    """A guest could not be started or ended; the message is a sentence for the user."""


class InNamespace:
    """Run the body in a named network namespace; the empty name means where we are."""

    def __init__(self, netns):
        self._netns = netns
        self._home = None

    def __enter__(self):
        if self._netns:
            self._home = os.open("/proc/self/ns/net", os.O_RDONLY)
            self._enter(os.path.join(NETNS_DIRECTORY, self._netns))
        return self

    def __exit__(self, *_details):
        if self._home is not None:
            _set_namespace(self._home)
            os.close(self._home)

    @staticmethod
    def _enter(path):
        try:
            there = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise GuestError("the network namespace %s cannot be entered: %s" % (path, error.strerror)) from None
        try:
            _set_namespace(there)
        finally:
            os.close(there)


def _set_namespace(descriptor):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise GuestError("a network namespace cannot be entered: %s" % os.strerror(ctypes.get_errno()))


def open_taps(name, queues, netns, bridge):
    """File descriptors of a new tap on a bridge, one per queue; it goes away with its last descriptor."""
    flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (IFF_MULTI_QUEUE if queues > 1 else 0)
    descriptors = []
    try:
        with InNamespace(netns):
            for _queue in range(queues):
                descriptors.append(_open_tap(name, flags))
            _join(name, bridge)
    except BaseException:
        close_all(descriptors)
        raise
    return descriptors


def _open_tap(name, flags):
    try:
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    except OSError as error:
        raise GuestError(
            "the tap %s of the data network cannot be made: %s. It needs root and /dev/net/tun" % (name, error.strerror)
        ) from None
    return descriptor


def _join(name, bridge):
    try:
        done = run_program(["ip", "link", "set", name, "master", bridge, "up"], START_SECONDS, merged=True)
    except subprocess.TimeoutExpired:
        raise GuestError("ip did not end within %d s" % START_SECONDS) from None
    if done.returncode != 0:
        raise GuestError("the tap %s cannot join the bridge %s: %s" % (name, bridge, done.stdout.strip()))


def close_all(descriptors):
    """Close file descriptors."""
    for descriptor in descriptors:
        os.close(descriptor)


def start(qemu, guest, files):
    """Start the emulator of a guest and leave it running; raises GuestError with what it said."""
    descriptors = open_taps(guest["tap"], guest["queues"], guest["netns"], guest["bridge"])
    try:
        done = run_program(
            command_line(qemu, guest, files, descriptors), START_SECONDS, merged=True,
            pass_fds=descriptors, preexec_fn=pinned(guest["cpus"]),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise GuestError("the emulator of %s did not start within %d s" % (guest["domain"], START_SECONDS)) from None
    finally:
        close_all(descriptors)
    if done.returncode != 0:
        raise GuestError("the emulator of %s did not start: %s" % (guest["domain"], done.stdout.strip()))
    if guest["vhost"] and guest["cpus"]:
        pin_vhost(running_pid(files["pid_file"], guest["uuid"]), guest["cpus"])


def pinned(cpus):
    """What a child does before it becomes the emulator: keep to some CPUs; None where all are allowed."""
    return (lambda: os.sched_setaffinity(0, cpus)) if cpus else None


def pin_vhost(pid, cpus):
    """Have the threads that move a guest's packets keep to its CPUs too.

    Since Linux 6.4 they are threads of the emulator, before that they are the kernel's own and run anywhere.
    """
    for found in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/comm" % found) as name:
                if name.read().strip() == "vhost-%d" % pid:
                    os.sched_setaffinity(int(found), cpus)
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has ended meanwhile


def running_pid(pid_file, uuid):
    """The process that a pid file names, if it runs and is the emulator of this guest; otherwise 0."""
    try:
        pid = int(read_small(pid_file, 64))
        with open("/proc/%d/cmdline" % pid, "rb") as words:
            return pid if is_guest(words.read(), uuid) else 0
    except (OSError, ValueError):
        return 0


def stop(pid_file, uuid):
    """End the emulator of a guest: ask first, kill after ten seconds. Whether there was one."""
    stopped = False
    for number in (signal.SIGTERM, signal.SIGKILL):
        pid = running_pid(pid_file, uuid)
        if not pid:
            return stopped
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return stopped
        stopped = True
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline and running_pid(pid_file, uuid):
            time.sleep(0.05)
    if running_pid(pid_file, uuid):
        raise GuestError("the emulator in %s does not end, not even killed" % pid_file)
    return stopped
