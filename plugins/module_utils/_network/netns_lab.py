# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""A lab of network namespaces: two hosts on a wire, or more of them on a bridge that has a namespace of its own."""

from __future__ import annotations

import ipaddress
import re

from ansible_collections.pairbench.lab.plugins.module_utils._network import netns
from ansible_collections.pairbench.lab.plugins.module_utils._network.netns import is_up, links

BRIDGE = "bridge0"
BITS_PER_SECOND = {"bit": 1, "bps": 8}
PREFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


class Lab:
    """Compares what is there with what is wanted, and makes the difference as ``changes``.

    ``params`` are the options of the module netns_lab. ``present`` and ``absent`` raise NetnsError.
    """

    def __init__(self, params, check=False):
        self.params = params
        self.changes = netns.Changes(check)
        # Hosts whose data interface was taken away, or would be in check mode.
        self._cut = set()

    def present(self):
        """Have every namespace, the wire or the bridge between them, and the addresses and rates."""
        for host in self.params["hosts"]:
            self.changes.make(host["netns"])
        if len(self.params["hosts"]) == 2:
            self._wire()
        else:
            self._bridge()
        for host in self.params["hosts"]:
            self._configure(host)

    def absent(self):
        """Have none of the namespaces."""
        for name in [host["netns"] for host in self.params["hosts"]] + [self.params["switch"]]:
            self.changes.remove(name)

    def _in(self, name, *words):
        self.changes.do("ip", "-n", name, *words)

    def _has_interface(self, name):
        return name not in self._cut and self.params["interface"] in links(name)

    def _cut_off(self, name):
        """Take the data interface of a host away, with whatever is at its other end."""
        if self._has_interface(name):
            self._in(name, "link", "delete", self.params["interface"])
            self._cut.add(name)

    def _connect(self, name, peer, peer_name):
        """Make the data interface of a host, and its other end in another namespace."""
        interface = self.params["interface"]
        self._in(name, "link", "add", interface, "type", "veth", "peer", "name", peer, "netns", peer_name)

    def _wire(self):
        """One veth pair between the two hosts. A switch can only be left over from a larger lab."""
        first, second = (host["netns"] for host in self.params["hosts"])
        left_over = netns.exists(self.params["switch"])
        if left_over or not (self._has_interface(first) and self._has_interface(second)):
            self._cut_off(first)
            if not self.changes.check or left_over:
                self._cut_off(second)
            self._connect(first, self.params["interface"], second)
        self.changes.remove(self.params["switch"])

    def _bridge(self):
        """One veth pair from each host to a bridge, which has a namespace of its own."""
        switch = self.params["switch"]
        self.changes.make(switch)
        if BRIDGE not in links(switch):
            self._in(switch, "link", "add", BRIDGE, "type", "bridge")
        if not is_up(links(switch).get(BRIDGE)):
            self._in(switch, "link", "set", BRIDGE, "up")
        for number, host in enumerate(self.params["hosts"]):
            self._plug_in(host["netns"], switch, "port%d" % number)

    def _plug_in(self, name, switch, port):
        """Have one host on a port of the bridge."""
        if port not in links(switch) or not self._has_interface(name):
            self._cut_off(name)
            self._connect(name, port, switch)
        link = links(switch).get(port, {})
        if link.get("master") != BRIDGE or not is_up(link):
            self._in(switch, "link", "set", port, "master", BRIDGE, "up")

    def _configure(self, host):
        name, interface = host["netns"], self.params["interface"]
        link = links(name).get(interface, {})
        self._address(name, interface, link, interface_address(host, self.params["prefix_length"]))
        if not is_up(link):
            self._in(name, "link", "set", interface, "up")
        self._limit(name, interface)

    def _address(self, name, interface, link, wanted):
        """Have the wanted address on the interface, and no other whose scope is global."""
        have = global_addresses(link)
        for address in have:
            if address != wanted:
                self._in(name, "addr", "del", str(address), "dev", interface)
        if wanted not in have:
            # Nobody else is on the wire, so IPv6 need not wait a second to find a duplicate.
            nodad = ["nodad"] if wanted.version == 6 else []
            self._in(name, "addr", "add", str(wanted), "dev", interface, *nodad)

    def _limit(self, name, interface):
        rate = self.params["rate"]
        limit = re.search(r"qdisc tbf .*?rate (\S+)", netns.ask("tc", "-n", name, "qdisc", "show", "dev", interface))
        if rate and not (limit and bits_per_second(limit.group(1)) == bits_per_second(rate)):
            self.changes.do("tc", "-n", name, "qdisc", "replace", "dev", interface, "root",
                            "tbf", "rate", rate, "burst", "256kb", "latency", "50ms")
        elif limit and not rate:
            self.changes.do("tc", "-n", name, "qdisc", "del", "dev", interface, "root")


def interface_address(host, prefix_length):
    """The address of a host with its network. Raises ValueError when there is no such address."""
    return ipaddress.ip_interface("%s/%d" % (host["address"], prefix_length))


def global_addresses(link):
    """The addresses of an interface, as ``links`` describes it, that are valid beyond the link."""
    return [
        ipaddress.ip_interface("%s/%s" % (item["local"], item["prefixlen"]))
        for item in link.get("addr_info", ())
        if item.get("scope") == "global"
    ]


def bits_per_second(rate):
    """A rate as tc(8) reads and prints it, in bit/s: 1000mbit and 1Gbit are the same. None if it is no such rate."""
    match = re.match(r"^(\d+(?:\.\d+)?)([kmgt]i?|)(bit|bps)$", rate.lower())
    if not match or float(match.group(1)) == 0:
        return None
    return round(float(match.group(1)) * PREFIXES[match.group(2)] * BITS_PER_SECOND[match.group(3)])


def complaint(params):
    """What is wrong with the options, as a sentence; empty if nothing."""
    hosts = params["hosts"]
    if len(hosts) < 2:
        return "a lab has at least two hosts; hosts names %d" % len(hosts)
    wrong = _name_complaint([host["netns"] for host in hosts] + [params["switch"]])
    wrong = wrong or _address_complaint(hosts, params["prefix_length"])
    if not wrong and params["rate"] and bits_per_second(params["rate"]) is None:
        return "netns_lab_rate is %r: give a number and a unit of tc(8), for example 1gbit" % params["rate"]
    return wrong


def _name_complaint(names):
    for name in names:
        if names.count(name) > 1:
            return "the namespace %s is named twice: each host, and the switch, needs a name of its own" % name
    return ""


def _address_complaint(hosts, prefix_length):
    addresses = []
    for host in hosts:
        try:
            addresses.append(interface_address(host, prefix_length))
        except ValueError as error:
            return "the address of the host %s cannot be set: %s; mend pairbench_address" % (host["netns"], error)
        if addresses.count(addresses[-1]) > 1:
            return "the address %s is given to two hosts: each needs one of its own" % host["address"]
    return ""
