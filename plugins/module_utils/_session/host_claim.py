# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""A host is claimed for a sweep, or given back; either way it tells what it keeps of runs without a record."""

from __future__ import annotations

import time

from ansible_collections.pairbench.lab.plugins.module_utils._host.lock import Claim, await_idle, tidy
from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import remove_stale_run_folders
from ansible_collections.pairbench.lab.plugins.module_utils._session.spool import Spool


def claim_host(params):
    """Claim the host as the options of the module claim say, and remove what killed processes left on it.

    Returns (names that are not in the spool any more, entries of the spool). Raises HostBusy, OSError.
    """
    spool = _spool(params)
    _claim(params).take(params["lease_seconds"], time.monotonic() + params["wait_seconds"])
    await_idle(time.monotonic() + max(params["wait_seconds"], params["orphan_seconds"]))
    tidy()
    remove_stale_run_folders()
    spool.prune()
    return _exchanged(spool, params)


def release_host(params):
    """Give the host back; returns the same as ``claim_host``. Raises OSError."""
    _claim(params).release()
    return _exchanged(_spool(params), params)


def _claim(params):
    return Claim(params["claim"] or params["sweep"], params["owner"])


def _spool(params):
    return Spool(params["spool"], params["sweep"], params["host"])


def _exchanged(spool, params):
    """Remove what has become part of records, and read what is left."""
    return spool.forget(params["forget"]), spool.entries()
