#!/usr/bin/python
# Copyright the pairbench maintainers. MIT licence (see LICENSE).

from __future__ import annotations

DOCUMENTATION = r"""
module: netns_lab
short_description: Make or remove a lab of network namespaces
version_added: 0.1.0
description:
  - Two namespaces are joined by a veth pair; more than two hang on a bridge in a namespace of its own.
  - Every link is made inside the namespaces, so nothing of the machine's own network is touched.
options:
  state:
    description: Whether the lab is there.
    type: str
    choices: [present, absent]
    default: present
  hosts:
    description: The namespaces.
    type: list
    elements: dict
    required: true
    options:
      netns: {description: Name of the namespace., type: str, required: true}
      address: {description: Its data-plane address., type: str, required: true}
  prefix_length:
    description: Length of the network prefix of the addresses.
    type: int
    default: 24
  interface:
    description: Name of the data interface in each namespace.
    type: str
    default: data0
  switch:
    description: Name of the namespace that holds the bridge when there are more than two hosts.
    type: str
    default: pairbench-switch
  rate:
    description: Rate limit of each host's sending side for tc-tbf(8), for example 1gbit; empty for none.
    type: str
    default: ''
author:
  - The pairbench maintainers
"""

EXAMPLES = r"""
- name: Make two hosts joined by a wire
  pairbench.lab.netns_lab:
    hosts:
      - {netns: pairbench-vm1, address: 10.10.1.1}
      - {netns: pairbench-vm2, address: 10.10.1.2}
"""

RETURN = r"""
commands:
  description: What was done, or would be in check mode, one ip(8) or tc(8) command each.
  type: list
  elements: str
  returned: always
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pairbench.lab.plugins.module_utils._network.netns import NetnsError
from ansible_collections.pairbench.lab.plugins.module_utils._network.netns_lab import Lab, complaint


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "hosts": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "netns": {"type": "str", "required": True},
                    "address": {"type": "str", "required": True},
                },
            },
            "prefix_length": {"type": "int", "default": 24},
            "interface": {"type": "str", "default": "data0"},
            "switch": {"type": "str", "default": "pairbench-switch"},
            "rate": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    if os.geteuid() != 0:
        module.fail_json(msg="network namespaces need root: run as root, or set ansible_become: true")
    wrong = complaint(module.params)
    if wrong:
        module.fail_json(msg=wrong)
    module.get_bin_path("ip", required=True)
    lab = Lab(module.params, module.check_mode)
    try:
        getattr(lab, module.params["state"])()
    except NetnsError as error:
        module.fail_json(msg=str(error), commands=lab.changes.commands)
    commands = lab.changes.commands
    text = "".join(command + "\n" for command in commands)
    module.exit_json(changed=bool(commands), commands=commands, diff={"before": "", "after": text})


if __name__ == "__main__":
    main()
