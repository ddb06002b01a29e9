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

import ipaddress
import json
import os

# It reads what the libvirtd of this very host prints, and nothing else.
from xml.etree import ElementTree  # nosec B405

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab import libvirt
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.emulator import NETNS_DIRECTORY, GuestError


class NamespaceNetwork:
    """A bridge in a namespace of its own."""

    def __init__(self, module):
        self._module = module
        self._params = module.params
        self.commands = []

    def present(self):
        """Make what is missing."""
        name, bridge, address = (self._params[key] for key in ("name", "bridge", "address"))
        if not self.exists():
            self._do("ip", "netns", "add", name)
        links = self._links()
        if "UP" not in links.get("lo", {}).get("flags", ()):
            self._do("ip", "-n", name, "link", "set", "lo", "up")
        if bridge not in links:
            self._do("ip", "-n", name, "link", "add", bridge, "type", "bridge", "stp_state", "0", "forward_delay", "0")
        if "UP" not in links.get(bridge, {}).get("flags", ()):
            self._do("ip", "-n", name, "link", "set", bridge, "up")
        have = ["%s/%s" % (one["local"], one["prefixlen"]) for one in links.get(bridge, {}).get("addr_info", ())]
        if address not in have:
            self._do("ip", "-n", name, "addr", "add", address, "dev", bridge)

    def absent(self):
        """Remove the namespace, and with it everything inside."""
        if self.exists():
            self._do("ip", "netns", "delete", self._params["name"])

    def exists(self):
        """Whether there is a namespace of this name."""
        return os.path.exists(os.path.join(NETNS_DIRECTORY, self._params["name"]))

    def _links(self):
        if not self.exists():
            return {}
        _code, out, _err = self._module.run_command(["ip", "-n", self._params["name"], "-json", "addr", "show"])
        return {link["ifname"]: link for link in json.loads(out or "[]")}

    def _do(self, *argv):
        self.commands.append(" ".join(argv))
        if not self._module.check_mode:
            code, out, err = self._module.run_command(list(argv))
            if code != 0:
                raise GuestError("%s failed: %s" % (" ".join(argv), (err or out).strip()))


# Where libvirt notes the hardware addresses of every network's guests. It makes the folder only when it first starts
# dnsmasq, which an isolated network does without.
LIBVIRT_NOTES = "/var/lib/libvirt/dnsmasq"


class LibvirtNetwork:
    """A network of libvirt that leads nowhere."""

    def __init__(self, module):
        self._module = module
        self._params = module.params
        self.commands = []

    def present(self):
        """Define and start it."""
        defined, active = libvirt.network_state(self._params["name"])
        if defined and not self._has_address():
            self.absent()
            defined = active = False
        if not self._module.check_mode:
            os.makedirs(LIBVIRT_NOTES, mode=0o755, exist_ok=True)
        if not defined:
            self._do("net-define", "/dev/stdin", stdin=network_xml(**{
                key: self._params[key] for key in ("name", "bridge", "address")
            }))
        if not active:
            self._do("net-start", self._params["name"])

    def exists(self):
        """Whether libvirt knows a network of this name."""
        return libvirt.network_state(self._params["name"])[0]

    def _has_address(self):
        text = libvirt.must("net-dumpxml", self._params["name"])
        found = ElementTree.fromstring(text).find("ip")  # nosec B314
        have = None if found is None else "%s/%s" % (found.get("address"), found.get("prefix"))
        return have == self._params["address"]

    def absent(self):
        """Stop and forget it."""
        defined, active = libvirt.network_state(self._params["name"])
        if active:
            self._do("net-destroy", self._params["name"])
        if defined:
            self._do("net-undefine", self._params["name"])

    def _do(self, *words, **options):
        self.commands.append("virsh " + " ".join(words))
        if not self._module.check_mode:
            libvirt.must(*words, **options)


def make_whole(network):
    """Have the network; where it was not there and cannot be made, nothing is left of it. Raises GuestError."""
    there = network.exists()
    try:
        network.present()
    except GuestError:
        if not there:
            network.absent()
        raise


def network_xml(name, bridge, address):
    """The XML of an isolated network of libvirt: no forwarding, no DHCP, no name server."""
    interface = ipaddress.ip_interface(address)
    return (
        "<network><name>%s</name><bridge name='%s' stp='off' delay='0'/><dns enable='no'/>"
        "<ip address='%s' prefix='%d'/></network>" % (name, bridge, interface.ip, interface.network.prefixlen)
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
    network = (LibvirtNetwork if module.params["backend"] == "libvirt" else NamespaceNetwork)(module)
    try:
        if module.params["state"] == "present":
            make_whole(network)
        else:
            network.absent()
    except GuestError as error:
        module.fail_json(msg=str(error), commands=network.commands)
    module.exit_json(changed=bool(network.commands), commands=network.commands)


if __name__ == "__main__":
    main()
