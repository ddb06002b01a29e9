#!/usr/bin/python
# Copyright the pairbench maintainers. MIT licence (see LICENSE).

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_network
short_description: Make or remove the isolated data network of a lab of virtual machines
version_added: 0.1.0
description:
  - Runs on the hypervisor. For plain QEMU it is a bridge in a network namespace of its own, so that nothing of the
    hypervisor's own network is touched; for libvirt it is an isolated network of libvirt.
  - The hypervisor has an address on it, so that a helper process can meet the guests.
  - A network that cannot be made leaves nothing behind.
options:
  state: {description: Whether the network is there., type: str, choices: [present, absent], default: present}
  backend: {description: What runs the guests., type: str, choices: [qemu, libvirt], required: true}
  name: {description: Name of the namespace (qemu) or of the network (libvirt)., type: str, required: true}
  bridge: {description: Name of the bridge., type: str, required: true}
  address: {description: The hypervisor's address with prefix length., type: str, default: ''}
author:
  - The pairbench maintainers
"""

EXAMPLES = r"""
- name: Make the data network
  pairbench.lab.vm_network:
    backend: qemu
    name: pairbench-vm_lab
    bridge: br0
    address: 10.10.1.254/24
"""

RETURN = r"""
commands:
  description: What was done, or would be in check mode.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pairbench.lab.plugins.module_utils._network.netns import NetnsError
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.errors import GuestError
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.network import (
    LibvirtNetwork,
    NamespaceNetwork,
    make_whole,
)


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "backend": {"type": "str", "choices": ["qemu", "libvirt"], "required": True},
            "name": {"type": "str", "required": True},
            "bridge": {"type": "str", "required": True},
            "address": {"type": "str", "default": ""},
        },
        required_if=[("state", "present", ["address"])],
        supports_check_mode=True,
    )
    kind = LibvirtNetwork if module.params["backend"] == "libvirt" else NamespaceNetwork
    network = kind(module.params, module.check_mode)
    try:
        if module.params["state"] == "present":
            make_whole(network)
        else:
            network.absent()
    except (GuestError, NetnsError) as error:
        module.fail_json(msg=str(error), commands=network.commands)
    module.exit_json(changed=bool(network.commands), commands=network.commands)


if __name__ == "__main__":
    main()
