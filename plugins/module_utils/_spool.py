# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""What a host keeps of its runs until the controller has them in records.

One file a run and end, written whole as the run ends. So neither the death of the controller nor a cut connection
loses what was measured: the next pass of the same sweep collects it.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import time

FORGET_AFTER_SECONDS = 30 * 86400


def _safe(text):
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text).lstrip(".") or "_"


def entry_name(run_id, execution, role):
    """Name of the file of one end of one run."""
    return _safe("%s.%s.%s" % (run_id, execution, role)) + ".json"


class Spool:
    """The spool of one host for one sweep, below ``directory``."""

    def __init__(self, directory, sweep, host):
        self._root = directory
        self._sweep = _safe(sweep)
        self._path = os.path.join(directory, self._sweep, _safe(host))

    def keep(self, run_id, execution, role, end):
        """Write one END so that it is there whole or not at all. Raises OSError."""
        os.makedirs(self._path, mode=0o700, exist_ok=True)
        name = entry_name(run_id, execution, role)
        temporary = os.path.join(self._path, "." + name)
        try:
            with open(temporary, "w") as handle:
                json.dump({"run_id": run_id, "execution": execution, "role": role, "end": end}, handle)
                handle.flush()
                os.fsync(handle.fileno())
            os.rename(temporary, os.path.join(self._path, name))
        except OSError:
            _remove(temporary)
            raise
        return name

    def entries(self):
        """Everything that is kept: dicts with ``name``, ``run_id``, ``execution``, ``role``, ``end``."""
        found = []
        for name in self._names():
            try:
                with open(os.path.join(self._path, name)) as handle:
                    found.append(dict(json.load(handle), name=name))
            except (OSError, ValueError):
                continue
        return found

    def forget(self, names):
        """Remove what is in records; returns the names that are not there any more."""
        for name in names:
            _remove(os.path.join(self._path, _safe(name)))
        left = set(self._names())
        if not left:
            for path in (self._path, os.path.dirname(self._path)):
                try:
                    os.rmdir(path)
                except OSError:
                    break
        return [name for name in names if name not in left]

    def prune(self):
        """Remove the spools of other sweeps that nobody has collected for a month."""
        try:
            sweeps = os.listdir(self._root)
        except OSError:
            return
        for name in sweeps:
            path = os.path.join(self._root, name)
            if name != self._sweep and time.time() - _modified(path) > FORGET_AFTER_SECONDS:
                shutil.rmtree(path, ignore_errors=True)

    def _names(self):
        try:
            return sorted(name for name in os.listdir(self._path) if name.endswith(".json") and name[0] != ".")
        except OSError:
            return []


def _modified(path):
    try:
        return max([os.stat(path).st_mtime] + [os.stat(os.path.join(path, name)).st_mtime for name in os.listdir(path)])
    except OSError:
        return time.time()


def _remove(path):
    try:
        os.unlink(path)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
