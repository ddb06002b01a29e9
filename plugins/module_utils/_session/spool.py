# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""What a host keeps of its runs until the controller has them in records.

There is one file for each end of a run, written as a whole when the run ends. So neither the death of the controller nor
a broken connection loses what was measured: the next pass of the same sweep collects it. The folders are ours alone
(``private_files``), and what is read back is checked before it is handed on.

The age of a spool is counted on the boot clock, which nobody sets; only across a reboot does the wall clock count.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shutil
import time

from ansible_collections.pairbench.lab.plugins.module_utils._host.boot import boot_id
from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import (
    NotOurs,
    own_folder,
    read_own,
    remove,
    write_own,
)

FORGET_AFTER_SECONDS = 30 * 86400
MOST_ENTRY_BYTES = 64 << 20
MOST_ANSWER_BYTES = 256 << 20
"""Of all entries together that are handed on at once; the next pass takes the rest."""
MOST_NOTE_BYTES = 4096
NOTE = ".kept"
ROLES = ("server", "client")


def _safe(text):
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text).lstrip(".") or "_"


def entry_name(run_id, execution, role):
    """Name of the file of one end of one run."""
    return _safe("%s.%s.%s" % (run_id, execution, role)) + ".json"


class Spool:
    """The spool of one host for one sweep, below ``directory``. Its methods raise OSError."""

    def __init__(self, directory, sweep, host):
        self._root = directory
        self._sweep = _safe(sweep)
        self._path = os.path.join(directory, self._sweep, _safe(host))
        self._folders = (directory, os.path.dirname(self._path), self._path)

    def keep(self, run_id, execution, role, end):
        """Write one END so that it is there whole or not at all; returns its name."""
        content = json.dumps({"run_id": run_id, "execution": execution, "role": role, "end": end}, ensure_ascii=False)
        content = content.encode("utf-8", "replace")
        if len(content) > MOST_ENTRY_BYTES:
            raise OSError(errno.EFBIG, "%d bytes of one run are more than the %d that are kept" % (
                len(content), MOST_ENTRY_BYTES))
        for folder in self._folders:
            own_folder(folder)
        name = entry_name(run_id, execution, role)
        write_own(os.path.join(self._path, name), content)
        _note_use(self._path)
        return name

    def entries(self):
        """Everything that is kept and can be read: dicts with ``name``, ``run_id``, ``execution``, ``role``, ``end``."""
        self._require_ours()
        found, left = [], MOST_ANSWER_BYTES
        for name in self._names():
            try:
                content = read_own(os.path.join(self._path, name), min(left, MOST_ENTRY_BYTES))
            except OSError:
                continue
            entry = _entry(name, content)
            if entry is not None:
                found.append(entry)
                left -= len(content)
        return found

    def forget(self, names):
        """Remove what is in records. Returns the names that are not there any more; none when the spool is not ours."""
        try:
            self._require_ours()
        except NotOurs:
            return []
        for name in names:
            remove(os.path.join(self._path, _safe(name)))
        left = set(self._names())
        if not left and os.path.isdir(self._path):
            remove(os.path.join(self._path, NOTE))
            for path in (self._path, os.path.dirname(self._path)):
                try:
                    os.rmdir(path)
                except OSError:
                    break
        return [name for name in names if name not in left]

    def prune(self):
        """Remove the spools of other sweeps that nobody has collected for a month."""
        self._require_ours()
        for name in os.listdir(self._root) if os.path.isdir(self._root) else ():
            path = os.path.join(self._root, name)
            if name != self._sweep and _seconds_unused(path) > FORGET_AFTER_SECONDS:
                shutil.rmtree(path, ignore_errors=True)

    def _require_ours(self):
        for folder in self._folders:
            if os.path.lexists(folder):
                own_folder(folder)

    def _names(self):
        try:
            return sorted(name for name in os.listdir(self._path) if name.endswith(".json") and name[0] != ".")
        except OSError:
            return []


def _entry(name, content):
    """One entry as it was kept, or None where it is not what ``keep`` writes under that name."""
    try:
        found = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("end"), dict) or found.get("role") not in ROLES:
        return None
    run_id, execution = found.get("run_id"), found.get("execution")
    if not isinstance(run_id, str) or not isinstance(execution, str) or name != entry_name(run_id, execution, found["role"]):
        return None
    return {"name": name, "run_id": run_id, "execution": execution, "role": found["role"], "end": found["end"]}


# How old a spool is


def _now():
    """(boot, seconds since it, wall clock): which start of the kernel this is, and both clocks."""
    return boot_id(), time.clock_gettime(time.CLOCK_BOOTTIME), time.time()


def _note_use(path):
    boot, since_boot, wall = _now()
    write_own(os.path.join(path, NOTE), json.dumps({"boot": boot, "since_boot": since_boot, "wall": wall}).encode())


def _seconds_unused(sweep_path):
    """For how many seconds nothing has been added to the spool of a sweep; 0 when that is not known."""
    try:
        ages = [_seconds_since(os.path.join(sweep_path, host)) for host in os.listdir(sweep_path)]
    except OSError:
        return 0.0
    return min(ages, default=0.0)


def _seconds_since(path):
    """Seconds since the note of one host's spool. A spool without one (of a former version) gets one and counts as new."""
    boot, since_boot, wall = _now()
    try:
        note = json.loads(read_own(os.path.join(path, NOTE), MOST_NOTE_BYTES).decode("utf-8"))
        before = note["since_boot"] if note["boot"] == boot else note["wall"]
        seconds = (since_boot if note["boot"] == boot else wall) - before
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    except (OSError, ValueError, RecursionError, TypeError, KeyError, OverflowError):
        pass
    try:
        _note_use(path)
    except OSError:
        pass
    return 0.0
