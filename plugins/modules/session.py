#!/usr/bin/python
# Copyright the pairbench maintainers. MIT licence (see LICENSE).

from __future__ import annotations

DOCUMENTATION = r"""
module: session
short_description: Execute one end of all runs of one benchmark on one pair
version_added: 0.1.0
description:
  - Runs on both hosts of a pair at the same time, on one as the server end and on the other as the client end.
  - The two ends meet on a control connection bound to the data addresses, authenticated by a token of the session.
  - Every run has a fresh server process and a fresh client process, each under a time limit, traced or not.
  - A run that fails does not fail the task; what happened is returned.
options:
  role:
    description: Which end this host is.
    type: str
    choices: [server, client]
    required: true
  host:
    description: Inventory name of this host, for the records.
    type: str
    required: true
  address:
    description: Data-plane address of this host.
    type: str
    required: true
  peer_address:
    description: Data-plane address of the other end.
    type: str
    required: true
  control_port:
    description: TCP port on which the two ends meet.
    type: int
    default: 5200
  token:
    description: Secret of this session that both ends know.
    type: str
    required: true
  owner:
    description: Who runs this session; shown to whoever finds the host locked.
    type: str
    default: pairbench
  rendezvous_seconds:
    description: How long one end waits for the other to come.
    type: float
    default: 60
  patience_seconds:
    description:
      - How long is waited, on top of what a run may take, for what takes no time on a host that is not busy. That is a word
        of the other end that is due, and the end of a server that was asked to end.
    type: float
    default: 15
  tool_version:
    description: Version line of the benchmark on this host, for the records.
    type: str
    default: ''
  tracer:
    description: Result of the tracer's self-test on this host, from M(pairbench.lab.probe).
    type: dict
    default: {}
  trace_mode:
    description: Count calls, or count calls and measure the time spent in them.
    type: str
    choices: [count, time]
    default: count
  sweep:
    description: Unique id of the sweep whose claim to this host is renewed; empty for none.
    type: str
    default: ''
  claim:
    description: Name of the claim, where several controllers share one sweep; the id of the sweep when it is empty.
    type: str
    default: ''
  lease_seconds:
    description: How long the claim holds without being renewed.
    type: float
    default: 600
  boot_id:
    description: Boot id that the host had when it was probed; empty for any.
    type: str
    default: ''
  spool:
    description: Folder in which the outputs of each run are kept until they are in records; empty for none.
    type: str
    default: ''
  forget:
    description: Names in the spool that have become part of records.
    type: list
    elements: str
    default: []
  runs:
    description: The runs in the order in which they are executed.
    type: list
    elements: dict
    required: true
    suboptions:
      run_id: {description: Name of the run., type: str, required: true}
      argv: {description: Command of this end., type: list, elements: str, required: true}
      protocol: {description: Transport of the port to watch., type: str, choices: [tcp, udp], default: tcp}
      port: {description: Port on which the server listens., type: int, required: true}
      other_ports:
        description: Further ports of the server, free before the run and after it.
        type: list
        elements: dict
        default: []
        suboptions:
          protocol: {description: Transport., type: str, choices: [tcp, udp], default: tcp}
          port: {description: Port number., type: int, required: true}
      stop:
        description: Whether the server ends by itself or has to be interrupted.
        type: str
        choices: [exits, interrupt]
        default: interrupt
      traced: {description: Whether system calls are counted., type: bool, default: false}
      family: {description: Whether those of processes that it makes are counted too., type: bool, default: false}
      limit_seconds: {description: Longest life of a process of this run., type: float, required: true}
      ready_seconds: {description: Longest time until the server listens., type: float, default: 30}
      mtu:
        description: MTU in bytes of the interface of the data address during the run; 0 leaves it alone.
        type: int
        default: 0
      cpus:
        description: CPUs on which the benchmark of this end runs, like V(0-3,6); empty for all.
        type: str
        default: ''
      user:
        description: User of the benchmark's process, where the host allows it; empty for that of this module.
        type: str
        default: ''
      congestion:
        description: Algorithm of TCP that the benchmark asks for, which the kernel may keep for the privileged.
        type: str
        default: ''
      capabilities:
        description: What the benchmark keeps of root's privileges when it is another user's.
        type: list
        elements: str
        choices: [net_admin, net_raw]
        default: []
  observers:
    description:
      - Sides whose guest is observed on its hypervisor, for the server end.
      - Maps V(server) or V(client) to an empty text when somebody will join, else to why nobody does.
    type: dict
    default: {}
author:
  - The pairbench maintainers
"""

EXAMPLES = r"""
- name: Execute one run as the server end
  pairbench.lab.session:
    role: server
    host: vm1
    address: 10.10.1.1
    peer_address: 10.10.1.2
    token: "{{ token_of_this_session }}"
    runs:
      - run_id: b001-benchmark-vm1-vm2-case-untraced
        argv: [benchmark, --server, --port, "5201"]
        port: 5201
        stop: exits
        limit_seconds: 60
"""

RETURN = r"""
ends:
  description: What this end left of each run, verbatim, by run_id (docs/data.md describes an END).
  type: dict
  returned: always
met:
  description: Whether the two ends met.
  type: bool
  returned: always
kept:
  description: Name in the spool of what was kept of each run, by run_id.
  type: dict
  returned: always
forgotten:
  description: Names that are not in the spool any more.
  type: list
  elements: str
  returned: always
spool_problem:
  description: Why the outputs of a run could not be kept on the host.
  type: str
  returned: when it happened
problem:
  description: Why the session ended early.
  type: dict
  returned: when it did
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pairbench.lab.plugins.module_utils._resident.measuring import SESSION_OPTIONS, session_report


def main():
    module = AnsibleModule(argument_spec=SESSION_OPTIONS, supports_check_mode=True)
    if module.check_mode:
        module.exit_json(changed=True, role=module.params["role"], ends={}, problem=None)
    module.exit_json(**session_report(module.params))


if __name__ == "__main__":
    main()
