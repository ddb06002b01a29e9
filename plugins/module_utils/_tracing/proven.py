# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""What the tracer's self-test has proved on this host since it was started: it is proved once, not before every pass.

It holds for the very tracer and the very host that were tested: the same start of the kernel, the same bpftrace (SHA-256),
no package changed since, the same privileges and namespaces, and the same text of our programs. Only what was proved is
kept, never a failure: what helps against one may have been done meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import os

from ansible_collections.pairbench.lab.plugins.module_utils._host.boot import boot_id
from ansible_collections.pairbench.lab.plugins.module_utils._host.fingerprint import file_digest
from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import read_own, state_folder, write_own

MOST_BYTES = 16384
PACKAGES = (  # what changes whenever a package does, by package manager: bpftrace is nothing without its libraries
    "/var/lib/dpkg/status", "/var/lib/rpm/rpmdb.sqlite", "/var/lib/rpm/Packages", "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/Packages.db", "/lib/apk/db/installed", "/var/lib/pacman/local",
)  # fmt: skip
PRIVILEGES = ("CapEff:", "Seccomp:")
NAMESPACES = ("cgroup", "mnt", "pid", "user")


def conditions(programs, scripts):
    """A text that is equal as long as a proof holds. ``programs`` are paths, ``scripts`` texts. Raises OSError."""
    parts = [boot_id(), list(scripts)]
    parts += [[path, file_digest(path)] for path in programs]
    parts += [[path, _state_of(path)] for path in PACKAGES]
    with open("/proc/self/status") as handle:
        parts += [line.split() for line in handle if line.startswith(PRIVILEGES)]
    parts += [os.readlink("/proc/self/ns/%s" % name) for name in NAMESPACES]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _state_of(path):
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ino]


def recall(name, wanted):
    """What was proved under these conditions, or None."""
    try:
        note = json.loads(read_own(_path(name), MOST_BYTES).decode("utf-8"))
        return note["proved"] if note["conditions"] == wanted and isinstance(note["proved"], dict) else None
    except (OSError, ValueError, RecursionError, TypeError, KeyError):
        return None


def remember(name, wanted, proved):
    """Keep what was proved under these conditions; it is no loss when this fails."""
    try:
        write_own(_path(name), json.dumps({"conditions": wanted, "proved": proved}).encode())
    except OSError:
        return


def _path(name):
    return os.path.join(state_folder(), "%s.proven.json" % name)
