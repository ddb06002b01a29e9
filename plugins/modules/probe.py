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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pairbench.lab.plugins.module_utils._resident.probing import PROBE_OPTIONS, probe_report


def main():
    module = AnsibleModule(argument_spec=PROBE_OPTIONS, supports_check_mode=True)
    report = probe_report(module.params, change=not module.check_mode)
    if report.get("failed"):
        module.fail_json(**report)
    module.exit_json(**report)


if __name__ == "__main__":
    main()
