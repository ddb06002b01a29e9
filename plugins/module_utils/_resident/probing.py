# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""What a host is and can do, and what stands in the way of measuring on it."""

from __future__ import annotations

import os

from ansible_collections.pairbench.lab.plugins.module_utils._host import fingerprint, settings
from ansible_collections.pairbench.lab.plugins.module_utils._host.boot import boot_id
from ansible_collections.pairbench.lab.plugins.module_utils._host.children import process_comm
from ansible_collections.pairbench.lab.plugins.module_utils._host.privileges import root_problem
from ansible_collections.pairbench.lab.plugins.module_utils._network.ports import listening_inodes, socket_owners
from ansible_collections.pairbench.lab.plugins.module_utils._tracing import tracer as _tracer

PORT_OPTIONS = {
    "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
    "port": {"type": "int", "required": True},
    "variable": {"type": "str", "default": ""},
}
PROBE_OPTIONS = {
    "address": {"type": "str", "default": ""},
    "kind": {"type": "str", "choices": ["", *fingerprint.KINDS], "default": ""},
    "ports": {"type": "list", "elements": "dict", "default": [], "options": PORT_OPTIONS},
    "tools": {"type": "list", "elements": "str", "default": []},
    "version_arguments": {"type": "dict", "default": {}},
    "trace": {"type": "bool", "default": True},
    "family": {"type": "bool", "default": False},
    "root": {"type": "bool", "default": False},
}


def probe_report(arguments, change=True):
    """Look at this host; what the module probe returns. Without ``change`` nothing of a killed session is put back."""
    problem = root_problem("no root. Tracing needs it") if arguments["root"] else None
    if problem:
        return {"failed": True, "msg": problem}
    restored, unrestored = _restore() if change else (None, None)
    asked = arguments["version_arguments"]
    tools = {name: fingerprint.tool(name, asked.get(name, fingerprint.VERSION_ARGUMENTS)) for name in arguments["tools"]}
    problems = [unrestored, address_problem(arguments["address"], fingerprint.addresses())]
    problems += [port_problem(item["protocol"], item["port"], item["variable"]) for item in arguments["ports"]]
    tracer = {"available": False, "reason": "tracing was not asked for"}
    if arguments["trace"]:
        tracer = _tracer.self_test(arguments["family"])
        tools["bpftrace"] = fingerprint.tool("bpftrace")
        tracer["version"] = (tools["bpftrace"] or {}).get("version")
    return {
        "changed": restored is not None,
        "restored": restored,
        "euid": os.geteuid(),
        "boot_id": boot_id(),
        "fingerprint": fingerprint.fingerprint(arguments["address"], arguments["kind"]),
        "tools": tools,
        "tracer": tracer,
        "problems": [problem for problem in problems if problem],
    }


def address_problem(address, found):
    """A sentence when the data address is not on this host, else None."""
    if not address or any(address == item for item, _interface in found):
        return None
    have = ", ".join("%s (%s)" % item for item in found) or "none"
    return "the address %s is not on this host, which has: %s. Mend pairbench_address in the inventory" % (
        address,
        have,
    )


def port_problem(protocol, port, variable):
    """A sentence when something listens on the port, else None."""
    inodes = listening_inodes(protocol, port)
    if not inodes:
        return None
    owners = ", ".join("%s (pid %d)" % (process_comm(pid), pid) for pid in socket_owners(inodes))
    return "%s port %d is taken by %s. Stop it, or choose another port%s" % (
        protocol,
        port,
        owners or "a process that cannot be seen",
        " with " + variable if variable else "",
    )


def _restore():
    """(what was put back, what stands in its way): sentences or None."""
    try:
        return settings.restore_leftovers(), None
    except OSError as error:
        return None, error.strerror
