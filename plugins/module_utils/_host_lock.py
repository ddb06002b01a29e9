# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Who may use a host: one session at a time, and one sweep until it is done or has given no sign of life for long.

``HostLock`` is the kernel's (flock), so a dead session holds nothing. ``Claim`` is a sweep's: it lies between the
sessions of a sweep, so that no other sweep slips in between, and it expires when nobody renews it. Both are keyed by
the network namespace, because the hosts of a namespace lab share one file system.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import time
from datetime import datetime, timedelta, timezone

DIRECTORY = "/run/lock"
POLL_SECONDS = 0.2
SO_NETNS_COOKIE = 71  # include/uapi/asm-generic/socket.h


class HostBusy(Exception):
    """Somebody else holds this host; the text says who and since when."""


def utc_now():
    """The time of day in UTC, ISO 8601, microseconds."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def network_namespace():
    """A number of this network namespace. The kernel's cookie is never used twice; inode numbers of dead ones are."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as any_socket:
        try:
            return struct.unpack("=Q", any_socket.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8))[0]
        except OSError:  # kernels before 5.14
            return os.stat("/proc/self/ns/net").st_ino


def _path(directory, suffix):
    os.makedirs(directory, exist_ok=True)
    return os.path.join(directory, "pairbench-%d.%s" % (network_namespace(), suffix))


class HostLock:
    """At most one session on a host at a time."""

    def __init__(self, owner, directory=DIRECTORY):
        self._directory = directory
        self._owner = owner
        self._handle = None

    def __enter__(self):
        self._handle = open(_path(self._directory, "lock"), "a+")
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._handle.seek(0)
            holder = self._handle.read().strip() or "an unknown owner"
            self._handle.close()
            raise HostBusy("this host is held by %s" % holder) from None
        self._handle.seek(0)
        self._handle.truncate()
        self._handle.write("%s (pid %d since %s)" % (self._owner, os.getpid(), utc_now()))
        self._handle.flush()
        return self

    def __exit__(self, *unused):
        self._handle.truncate(0)
        self._handle.close()


def await_idle(deadline, directory=DIRECTORY):
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

    def __init__(self, sweep, owner, directory=DIRECTORY):
        self._sweep = sweep
        self._owner = owner
        self._directory = directory

    def take(self, lease_seconds, deadline):
        """Take or renew the claim, waiting for another sweep until the deadline. Raises HostBusy."""
        while True:
            try:
                return self._try(lease_seconds)
            except HostBusy:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(POLL_SECONDS)

    def release(self):
        """Give the claim back where it is ours, and not that of another controller of the same sweep."""
        with self._opened() as handle:
            held = _read(handle)
            if (held.get("sweep"), held.get("owner")) == (self._sweep, self._owner):
                handle.seek(0)
                handle.truncate()

    def _try(self, lease_seconds):
        with self._opened() as handle:
            held = _read(handle)
            left = held.get("expires", 0) - _boot_seconds()
            if held.get("sweep") not in (None, self._sweep) and left > 0:
                raise HostBusy(
                    "this host is held by %s since %s; without a sign of life the claim expires in %d s"
                    % (held.get("owner"), held.get("since"), left)
                )
            since = held.get("since") if held.get("sweep") == self._sweep else utc_now()
            until = datetime.now(timezone.utc) + timedelta(seconds=lease_seconds)
            handle.seek(0)
            handle.truncate()
            json.dump(
                {"sweep": self._sweep, "owner": self._owner, "since": since,
                 "expires": _boot_seconds() + lease_seconds, "expires_at": until.isoformat(timespec="seconds")},
                handle,
            )

    def _opened(self):
        handle = open(_path(self._directory, "claim"), "a+")  # noqa: SIM115 - the caller closes it
        fcntl.flock(handle, fcntl.LOCK_EX)  # held for the few microseconds of a look or a change
        return handle


def _read(handle):
    handle.seek(0)
    try:
        found = json.loads(handle.read() or "{}")
    except ValueError:  # cut off by a crash
        return {}
    return found if isinstance(found, dict) else {}


def _boot_seconds():
    return time.clock_gettime(time.CLOCK_BOOTTIME)
