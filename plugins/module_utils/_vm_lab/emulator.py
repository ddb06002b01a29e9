# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Start and end the emulator of a guest without libvirt: taps, descriptors, namespaces, pid files."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import time

from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import read_small
from ansible_collections.pairbench.lab.plugins.module_utils._host.programs import run_program
from ansible_collections.pairbench.lab.plugins.module_utils._network.netns import NotEntered, inside
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.command_line import command_line, is_guest
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.errors import GuestError

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, IFF_MULTI_QUEUE = 0x0002, 0x1000, 0x4000, 0x0100
STOP_SECONDS = 10
START_SECONDS = 60


def open_taps(name, queues, netns, bridge):
    """File descriptors of a new tap on a bridge, one per queue; the tap goes away with the last of them."""
    flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (IFF_MULTI_QUEUE if queues > 1 else 0)
    descriptors = []
    try:
        with inside(netns):
            for _queue in range(queues):
                descriptors.append(_open_tap(name, flags))
            _join(name, bridge)
    except BaseException as error:
        close_all(descriptors)
        if isinstance(error, NotEntered):
            raise GuestError(
                "the network namespace %s cannot be entered: %s" % (error.filename, error.strerror)
            ) from None
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
    """Start the emulator of a guest and leave it running. Raises GuestError with what it said."""
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
    """What a child does before it becomes the emulator, to keep to some CPUs; None when it may use all."""
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
    """End the emulator of a guest: ask first, kill after ten seconds. Returns whether there was one."""
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
