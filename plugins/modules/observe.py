#!/usr/bin/python
# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Count, on a hypervisor, the system calls of the processes that carry the guests of sessions."""

from __future__ import annotations

DOCUMENTATION = r"""
module: observe
short_description: Count the system calls of the processes under the guests of a step
version_added: 0.1.0
description:
  - Joins the control connection of each session as a third party and counts, with bpftrace, the system calls of the
    process that carries a guest (qemu, firecracker, cloud-hypervisor or any other), from when the server listens to when
    the client has ended.
  - What was counted goes to the server end of the session, which keeps it with its own.
options:
  watches:
    description: Guests of this host that take part in a session of this step.
    type: list
    elements: dict
    required: true
    suboptions:
      guest: {description: Name of the guest in the inventory., type: str, required: true}
      side: {description: Its end of the session., type: str, choices: [server, client], required: true}
      hypervisor: {description: Name of this host in the inventory., type: str, required: true}
      selector:
        description: One of V(libvirt) (name of the domain), V(pid_file), V(match) (a regular expression).
        type: dict
        required: true
      address: {description: Data address of the server end., type: str, required: true}
      control_port: {description: Port of the control connection., type: int, default: 5200}
      namespace:
        description: Network namespace of this host from which the server end is reached; empty for its own.
        type: str
        default: ''
      token: {description: Secret of the session., type: str, required: true}
      rendezvous_seconds: {description: Longest wait for the server end., type: float, default: 60}
      limit_seconds: {description: Longest time between two messages of the server end., type: float, required: true}
      tracer: {description: Result of the tracer's self-test on this host., type: dict, default: {}}
      trace_mode: {description: Whether time is taken too., type: str, choices: [count, time], default: count}
author:
  - The pairbench maintainers
"""

EXAMPLES = r"""
- name: Observe the guest vm1 during a session in which it is the server
  pairbench.lab.observe:
    watches:
      - guest: vm1
        side: server
        hypervisor: hv1
        selector: {libvirt: vm1}
        address: 10.10.1.1
        token: "{{ token_of_this_session }}"
        limit_seconds: 120
        tracer: "{{ probe.tracer }}"
"""

RETURN = r"""
problems:
  description: Why a guest was not observed, by guest.
  type: dict
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pairbench.lab.plugins.module_utils._resident.measuring import OBSERVE_OPTIONS, observe_report


def main():
    module = AnsibleModule(argument_spec=OBSERVE_OPTIONS, supports_check_mode=True)
    if module.check_mode:
        module.exit_json(changed=False, problems={})
    module.exit_json(**observe_report(module.params))


if __name__ == "__main__":
    main()
