# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""A host is claimed for a sweep, or given back."""

from __future__ import annotations

from ansible_collections.pairbench.lab.plugins.module_utils._host.lock import HostBusy
from ansible_collections.pairbench.lab.plugins.module_utils._host.privileges import root_problem
from ansible_collections.pairbench.lab.plugins.module_utils._session.host_claim import claim_host, release_host

CLAIM_OPTIONS = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "sweep": {"type": "str", "required": True},
    "claim": {"type": "str", "default": ""},
    "host": {"type": "str", "required": True},
    "owner": {"type": "str", "default": "pairbench"},
    "lease_seconds": {"type": "float", "default": 600},
    "wait_seconds": {"type": "float", "default": 0},
    "orphan_seconds": {"type": "float", "default": 60},
    "spool": {"type": "str", "default": "/var/lib/pairbench/spool"},
    "forget": {"type": "list", "elements": "str", "default": []},
    "root": {"type": "bool", "default": False},
}


def claim_report(arguments):
    """Claim this host or give it back; what the module claim returns, but for ``program``."""
    host = arguments["host"]
    problem = root_problem("%s: no root. Installing and tracing need it" % host) if arguments["root"] else None
    if problem:
        return {"failed": True, "msg": problem, "refusal": "refused"}
    change = claim_host if arguments["state"] == "present" else release_host
    try:
        forgotten, spooled = change(arguments)
    except HostBusy as error:
        remedy = "Let it end, or wait for it with -e pairbench_wait_seconds=SECONDS"
        return {"failed": True, "msg": "%s: %s. %s" % (host, error, remedy), "refusal": "held"}
    except OSError as error:
        return {"failed": True, "msg": "%s: the host cannot be claimed: %s" % (host, error), "refusal": "refused"}
    return {"changed": False, "spooled": spooled, "forgotten": forgotten}
