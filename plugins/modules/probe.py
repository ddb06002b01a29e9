#!/usr/bin/python
# Copyright the pairbench maintainers. MIT licence (see LICENSE).

from __future__ import annotations

DOCUMENTATION = r"""
module: probe
short_description: Say what a host under test is and what it can do
version_added: 0.1.0
description:
  - Reads the environment fingerprint, the versions of the tools, whether the data address is on this host, which of
    the ports are free, and proves that the tracer counts exactly.
  - Changes nothing, except that it puts back an MTU that a killed session has left.
options:
  address:
    description: Data-plane address that this host must have; empty for a hypervisor, which takes no part in the traffic.
    type: str
    default: ''
  kind:
    description: What this host is, where what it looks like is wrong; empty to find out.
    type: str
    choices: ['', vm, bare-metal, container, namespace]
    default: ''
  ports:
    description: Ports that have to be free.
    type: list
    elements: dict
    default: []
    options:
      protocol: {description: Transport., type: str, choices: [tcp, udp], default: tcp}
      port: {description: Port number., type: int, required: true}
      variable: {description: Name of the variable that chooses the port., type: str, default: ''}
  tools:
    description: Tools to look for.
    type: list
    elements: str
    default: []
  version_arguments:
    description: >-
      With which arguments a tool prints its version, by its name; V(--version) for those not named. Known of every benchmark
      where the task does not say it.
    type: dict
    default: {}
  trace:
    description: Whether to test the tracer.
    type: bool
    default: true
  family:
    description: >-
      Whether the tracer has to count the system calls of a benchmark's children too. Known of every benchmark where the task
      does not say it.
    type: bool
    default: false
  root:
    description: Whether a user other than root is refused.
    type: bool
    default: false
author:
  - The pairbench maintainers
"""

EXAMPLES = r"""
- name: Say what this host can do
  pairbench.lab.probe:
    address: 10.10.1.1
    ports:
      - {protocol: tcp, port: 5201}
"""

RETURN = r"""
fingerprint:
  description: Facts about the host, flat.
  type: dict
  returned: always
boot_id:
  description: Changes with every start of the host's kernel.
  type: str
  returned: always
tools:
  description: Path, version and sha256 of each tool; null when it is not installed.
  type: dict
  returned: always
tracer:
  description: Result of the tracer's self-test.
  type: dict
  returned: always
restored:
  description: What was put back, null when there was nothing.
  type: str
  returned: always
problems:
  description: Sentences about what stands in the way of a measurement on this host.
  type: list
  elements: str
  returned: always
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pairbench.lab.plugins.module_utils._host import fingerprint, settings
from ansible_collections.pairbench.lab.plugins.module_utils._host.children import process_comm
from ansible_collections.pairbench.lab.plugins.module_utils._host.privileges import require_root
from ansible_collections.pairbench.lab.plugins.module_utils._network.ports import listening_inodes, socket_owners
from ansible_collections.pairbench.lab.plugins.module_utils._tracing import tracer as _tracer


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


def restore(check_mode):
    """(what was put back, what stands in its way): sentences or None."""
    if check_mode:
        return None, None
    try:
        return settings.restore_leftovers(), None
    except OSError as error:
        return None, error.strerror


def main():
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "default": ""},
            "kind": {"type": "str", "choices": ["", *fingerprint.KINDS], "default": ""},
            "ports": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
                    "port": {"type": "int", "required": True},
                    "variable": {"type": "str", "default": ""},
                },
            },
            "tools": {"type": "list", "elements": "str", "default": []},
            "version_arguments": {"type": "dict", "default": {}},
            "trace": {"type": "bool", "default": True},
            "family": {"type": "bool", "default": False},
            "root": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params = module.params
    if params["root"]:
        require_root(module, "no root. Tracing needs it")
    restored, unrestored = restore(module.check_mode)
    asked = params["version_arguments"]
    tools = {name: fingerprint.tool(name, asked.get(name, fingerprint.VERSION_ARGUMENTS)) for name in params["tools"]}
    problems = [unrestored, address_problem(params["address"], fingerprint.addresses())]
    problems += [port_problem(item["protocol"], item["port"], item["variable"]) for item in params["ports"]]
    tracer = {"available": False, "reason": "tracing was not asked for"}
    if params["trace"]:
        tracer = _tracer.self_test(params["family"])
        tools["bpftrace"] = fingerprint.tool("bpftrace")
        tracer["version"] = (tools["bpftrace"] or {}).get("version")
    module.exit_json(
        changed=restored is not None,
        restored=restored,
        euid=os.geteuid(),
        boot_id=fingerprint.read_line("/proc/sys/kernel/random/boot_id"),
        fingerprint=fingerprint.fingerprint(params["address"], params["kind"]),
        tools=tools,
        tracer=tracer,
        problems=[problem for problem in problems if problem],
    )


if __name__ == "__main__":
    main()
