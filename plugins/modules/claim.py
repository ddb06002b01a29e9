#!/usr/bin/python
# Copyright the pairbench maintainers. MIT licence (see LICENSE).

from __future__ import annotations

DOCUMENTATION = r"""
module: claim
short_description: Claim a host for a sweep, or give it back
version_added: 0.1.0
description:
  - A claimed host belongs to one sweep until it is given back, or until the claim has not been renewed for its lease.
    Each session renews it. A claim of the same sweep is taken over.
  - Waits for a session of the same sweep that a former controller left running.
  - Removes the locks, expired claims and run folders that killed processes left, and those of former versions.
  - Returns what the host keeps of runs whose results have not become records yet.
options:
  state:
    description: Whether to claim the host or to give it back.
    type: str
    choices: [present, absent]
    default: present
  sweep:
    description: Unique id of the sweep.
    type: str
    required: true
  claim:
    description: Name of the claim, where several controllers share one sweep; the id of the sweep when it is empty.
    type: str
    default: ''
  host:
    description: Inventory name of this host.
    type: str
    required: true
  owner:
    description: Who claims it; shown to whoever finds the host claimed.
    type: str
    default: pairbench
  lease_seconds:
    description: How long the claim holds without being renewed.
    type: float
    default: 600
  wait_seconds:
    description: How long to wait for another sweep.
    type: float
    default: 0
  orphan_seconds:
    description: How long a session that a former controller of this sweep left may still run.
    type: float
    default: 60
  spool:
    description: Folder in which the host keeps the outputs of runs.
    type: str
    default: /var/lib/pairbench/spool
  forget:
    description: Names in the spool that have become part of records.
    type: list
    elements: str
    default: []
  root:
    description: Whether a user other than root is refused.
    type: bool
    default: false
author:
  - The pairbench maintainers
"""

EXAMPLES = r"""
- name: Claim the host
  pairbench.lab.claim:
    sweep: 5f0c1d2e3a4b5c6d
    host: vm1
    owner: sweep nightly of me@here
"""

RETURN = r"""
spooled:
  description: What the host keeps, each with name, run_id, execution, role and end.
  type: list
  elements: dict
  returned: success
forgotten:
  description: Names that are not in the spool any more.
  type: list
  elements: str
  returned: success
program:
  description: Path of the program on the host that executes what a step asks for, so that no module has to be sent for it.
  type: str
  returned: when the host is claimed and can keep it
refusal:
  description: C(held) where another sweep has the host, C(refused) where it cannot be claimed.
  type: str
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pairbench.lab.plugins.module_utils._resident import code, program
from ansible_collections.pairbench.lab.plugins.module_utils._resident.claiming import CLAIM_OPTIONS, claim_report


def resident_program():
    """The path of the program that executes what a pass asks for, None where the host cannot keep it."""
    try:
        return code.installed(program.__name__)
    except OSError:
        return None


def main():
    module = AnsibleModule(argument_spec=CLAIM_OPTIONS, supports_check_mode=True)
    if module.check_mode:
        module.exit_json(changed=False, spooled=[], forgotten=[])
    report = claim_report(module.params)
    if report.get("failed"):
        module.fail_json(**report)
    module.exit_json(program=resident_program() if module.params["state"] == "present" else None, **report)


if __name__ == "__main__":
    main()
