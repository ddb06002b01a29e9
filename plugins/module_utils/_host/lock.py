# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Who may use a host: one session at a time, and one sweep until it is done or has been silent for too long.

``HostLock`` is a lock of the kernel (flock), so a dead session holds nothing. ``Claim`` belongs to a sweep: it lasts from
one session of the sweep to the next, so that no other sweep slips in between, and it expires when nobody renews it. Both
are keyed by the network namespace, because the hosts of a namespace lab share one file system, and both lie in a folder
that only we can write to (``private_files.state_folder``). Whoever gives one back removes its file. A claim is believed
only if it says what we can have written.
"""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import re
import socket
import stat
import struct
import time
from datetime import datetime, timedelta, timezone

from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import (
    LockedFile,
    printable,
    read_own,
    remove,
    state_folder,
)

FORMER_DIRECTORY = "/run/lock"  # of versions whose folder anybody could write to
FORMER_NAME = re.compile(r"pairbench-[0-9]+\.(lock|claim)")
NAME = re.compile(r"[0-9]+\.(lock|claim)")
POLL_SECONDS = 0.2
LOOK_POLL_SECONDS = 0.01
LOOK_SECONDS = 10.0
PATIENCE_SECONDS = 1.0  # a lock is also held for the moment in which somebody looks whether it is
LONGEST_LEASE_SECONDS = 7 * 86400.0
MOST_BYTES = 4096
MOST_NAME = 300
MOST_OWNER = 200
SO_NETNS_COOKIE = 71  # include/uapi/asm-generic/socket.h


class HostBusy(Exception):
    """Somebody else holds this host; the text says who and since when."""


def utc_now():
    """The current time in UTC as ISO 8601, to the microsecond."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def network_namespace():
    """A number of this network namespace. The kernel's cookie is never used twice; inode numbers of dead ones are."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as any_socket:
        try:
            return struct.unpack("=Q", any_socket.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8))[0]
        except OSError:  # kernels before 5.14
            return os.stat("/proc/self/ns/net").st_ino


def _path(directory, suffix):
    return os.path.join(directory or state_folder(), "%d.%s" % (network_namespace(), suffix))


class HostLock:
    """At most one session on a host at a time. Entering raises HostBusy and OSError."""

    def __init__(self, owner, directory=None):
        self._directory = directory
        self._owner = owner
        self._file = None

    def __enter__(self):
        path = _path(self._directory, "lock")
        try:
            self._file = _locked(path, PATIENCE_SECONDS)
        except BlockingIOError:
            raise HostBusy("this host is held by %s" % _holder(path)) from None
        owner = "%s (pid %d since %s)" % (printable(self._owner, MOST_OWNER), os.getpid(), utc_now())
        self._file.write(owner.encode("utf-8", "replace"))
        return self

    def __exit__(self, *_details):
        self._file.remove()
        self._file.close()


def _locked(path, seconds):
    """A locked file, as soon as it can be had. Raises BlockingIOError after that many seconds, OSError."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return LockedFile(path)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(LOOK_POLL_SECONDS)


def _holder(path):
    try:
        text = read_own(path, MOST_BYTES).decode("utf-8", "replace").strip()
    except OSError:
        text = ""
    return printable(text, MOST_NAME) or "an unknown owner"


def await_idle(deadline, directory=None):
    """Wait until no session runs on this host. Raises HostBusy when one still does at the deadline."""
    while True:
        try:
            with HostLock("a look", directory):
                return
        except HostBusy:
            if time.monotonic() >= deadline:
                raise
        time.sleep(POLL_SECONDS)


class Claim:
    """A sweep's claim to this host.

    ``sweep`` is the sweep's unique id; a second controller of the same sweep takes the claim over, because the sweep's
    own lock lets only one work at a time. Expiry is counted on the boot clock, which also runs while a machine sleeps;
    the file does not survive a reboot.
    """

    def __init__(self, sweep, owner, directory=None):
        self._sweep = printable(sweep, MOST_NAME)
        self._owner = printable(owner, MOST_OWNER)
        self._directory = directory

    def take(self, lease_seconds, deadline):
        """Take or renew the claim, waiting for another sweep until the deadline. Raises HostBusy, OSError."""
        while True:
            try:
                return self._try(min(lease_seconds, LONGEST_LEASE_SECONDS))
            except HostBusy:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(POLL_SECONDS)

    def release(self):
        """Give the claim back where it is ours, and not that of another controller of the same sweep. Raises OSError."""
        try:
            file = _looked_at(_path(self._directory, "claim"))
        except HostBusy:
            return  # it expires by itself
        try:
            held = _read(file)
            if held is None or (held["sweep"], held["owner"]) == (self._sweep, self._owner):
                file.remove()
        finally:
            file.close()

    def _try(self, lease_seconds):
        file = _looked_at(_path(self._directory, "claim"))
        try:
            held = _read(file)
            if held and held["sweep"] != self._sweep:
                raise HostBusy(
                    "this host is held by %s since %s; without a sign of life the claim expires in %d s"
                    % (held["owner"], held["since"], held["expires"] - _boot_seconds())
                )
            until = datetime.now(timezone.utc) + timedelta(seconds=lease_seconds)
            content = {
                "sweep": self._sweep, "owner": self._owner, "since": held["since"] if held else utc_now(),
                "expires": _boot_seconds() + lease_seconds, "expires_at": until.isoformat(timespec="seconds"),
            }
            file.write(json.dumps(content).encode())
        finally:
            file.close()


def _looked_at(path):
    """The file of a claim, locked for the few microseconds that a look or a change takes. Raises HostBusy, OSError."""
    try:
        return _locked(path, LOOK_SECONDS)
    except BlockingIOError:
        raise HostBusy("a process of ours has held %s for %g s and does not go on" % (path, LOOK_SECONDS)) from None


def _read(file):
    return believed_claim(file.read(MOST_BYTES), _boot_seconds())


def believed_claim(content, now):
    """What a claim's file says (bytes), or None: it is empty, has expired, or is nothing that we would have written.

    ``now`` is in seconds of the boot clock. ``sweep``, ``owner`` and ``since`` are text that may be shown, ``expires``
    is later than now, and not by more than the longest lease.
    """
    if len(content) > MOST_BYTES:
        return None
    try:
        found = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):  # cut off by a crash, or never ours
        return None
    if not isinstance(found, dict):
        return None
    for name, most in (("sweep", MOST_NAME), ("owner", MOST_OWNER), ("since", 40)):
        text = found.get(name)
        # What we shorten ends with three dots.
        if not isinstance(text, str) or not text.isprintable() or len(text) > most + 3 or (name != "owner" and not text):
            return None
    expires = found.get("expires")
    if isinstance(expires, bool) or not isinstance(expires, (int, float)):
        return None
    try:
        left = float(expires) - now
    except OverflowError:
        return None
    if not math.isfinite(left) or not 0 < left <= LONGEST_LEASE_SECONDS:
        return None
    return {name: found[name] for name in ("sweep", "owner", "since", "expires")}


def _boot_seconds():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


# What others have left


def tidy(directory=None, former=FORMER_DIRECTORY):
    """Remove what nobody holds any more: locks and claims of namespaces that are gone, and files of former versions.

    Whether a namespace still exists is not asked, because an open file alone can keep one. A lock that nobody holds means
    nothing, and neither does a claim that has expired.
    """
    directory = directory or state_folder()
    for name in os.listdir(directory):
        if NAME.fullmatch(name):
            _remove_if_idle(os.path.join(directory, name))
    try:
        names = os.listdir(former)
    except OSError:
        return
    for name in names:
        if FORMER_NAME.fullmatch(name):
            _remove_former(os.path.join(former, name))


def _remove_if_idle(path):
    try:
        file = LockedFile(path)
    except OSError:  # it is held, or not ours to remove
        return
    try:
        if path.endswith(".lock") or _read(file) is None:
            file.remove()
    finally:
        file.close()


def _remove_former(path):
    """A file of a former version is not believed; it is removed when it is ours and no session holds it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(path)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EPERM):
            raise
    finally:
        os.close(descriptor)
