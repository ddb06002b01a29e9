# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""The data network of a lab of virtual machines: a bridge in a namespace of its own, or a network of libvirt."""

from __future__ import annotations

import ipaddress
import os

# It reads what the libvirtd of this very host prints, and nothing else.
from xml.etree import ElementTree  # nosec B405

from ansible_collections.pairbench.lab.plugins.module_utils._network.netns import Changes, NetnsError, exists, is_up, links
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab import libvirt
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.errors import GuestError

# Where libvirt notes the hardware addresses of the guests of every network. libvirt itself makes the folder only when it
# first starts dnsmasq, which an isolated network does without.
LIBVIRT_NOTES = "/var/lib/libvirt/dnsmasq"


class NamespaceNetwork:
    """A bridge in a namespace of its own. ``params`` are the options of the module vm_network."""

    def __init__(self, params, check=False):
        self._params = params
        self._changes = Changes(check)
        self.commands = self._changes.commands

    def present(self):
        """Make what is missing. Raises NetnsError."""
        name, bridge, address = (self._params[key] for key in ("name", "bridge", "address"))
        self._changes.make(name)
        link = links(name).get(bridge)
        if link is None:
            self._in("link", "add", bridge, "type", "bridge", "stp_state", "0", "forward_delay", "0")
        if not is_up(link):
            self._in("link", "set", bridge, "up")
        have = ["%s/%s" % (one["local"], one["prefixlen"]) for one in (link or {}).get("addr_info", ())]
        if address not in have:
            self._in("addr", "add", address, "dev", bridge)

    def _in(self, *words):
        self._changes.do("ip", "-n", self._params["name"], *words)

    def absent(self):
        """Remove the namespace, and with it everything inside. Raises NetnsError."""
        self._changes.remove(self._params["name"])

    def exists(self):
        """Whether there is a namespace of this name."""
        return exists(self._params["name"])


class LibvirtNetwork:
    """A network of libvirt that leads nowhere. ``params`` are the options of the module vm_network."""

    def __init__(self, params, check=False):
        self._params = params
        self._check = check
        self.commands = []

    def present(self):
        """Define and start it. Raises GuestError."""
        defined, active = libvirt.network_state(self._params["name"])
        if defined and not self._has_address():
            self.absent()
            defined = active = False
        if not self._check:
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
        """Stop it and have libvirt forget it. Raises GuestError."""
        defined, active = libvirt.network_state(self._params["name"])
        if active:
            self._do("net-destroy", self._params["name"])
        if defined:
            self._do("net-undefine", self._params["name"])

    def _do(self, *words, **options):
        self.commands.append("virsh " + " ".join(words))
        if not self._check:
            libvirt.must(*words, **options)


def make_whole(network):
    """Have the network. When it was not there and cannot be made, nothing is left of it.

    Raises GuestError or NetnsError.
    """
    there = network.exists()
    try:
        network.present()
    except (GuestError, NetnsError):
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
