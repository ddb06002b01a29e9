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

import ipaddress
import json
import os
import re

from ansible.module_utils.basic import AnsibleModule

NETNS_DIRECTORY = "/run/netns"
BRIDGE = "bridge0"
BITS_PER_SECOND = {"bit": 1, "bps": 8}
PREFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


class Lab:
    """Compares what is there with what is wanted and collects the commands that make the difference."""

    def __init__(self, module):
        self._module = module
        self.params = module.params
        self.commands = []
        # Hosts whose data interface was taken away, or would be in check mode.
        self._cut = set()

    def _do(self, *argv):
        self.commands.append(" ".join(argv))
        if not self._module.check_mode:
            self._module.run_command(list(argv), check_rc=True)

    @staticmethod
    def exists(netns):
        return os.path.exists(os.path.join(NETNS_DIRECTORY, netns))

    def _json(self, *argv):
        code, out, _err = self._module.run_command(list(argv))
        return json.loads(out) if code == 0 and out.strip() else []

    def _links(self, netns):
        if not self.exists(netns):
            return {}
        return {link["ifname"]: link for link in self._json("ip", "-n", netns, "-json", "addr", "show")}

    def present(self):
        for host in self.params["hosts"]:
            self._namespace(host["netns"])
        if len(self.params["hosts"]) == 2:
            self._wire()
        else:
            self._bridge()
        for host in self.params["hosts"]:
            self._configure(host)

    def absent(self):
        names = [host["netns"] for host in self.params["hosts"]] + [self.params["switch"]]
        for netns in names:
            if self.exists(netns):
                self._do("ip", "netns", "delete", netns)

    def _namespace(self, netns):
        if not self.exists(netns):
            self._do("ip", "netns", "add", netns)
        if "UP" not in self._links(netns).get("lo", {}).get("flags", ()):
            self._do("ip", "-n", netns, "link", "set", "lo", "up")

    def _has_interface(self, netns):
        return netns not in self._cut and self.params["interface"] in self._links(netns)

    def _cut_off(self, netns):
        """Take the data interface of a host away, with whatever is at its other end."""
        if self._has_interface(netns):
            self._do("ip", "-n", netns, "link", "delete", self.params["interface"])
            self._cut.add(netns)

    def _wire(self):
        """One veth pair between the two hosts; a switch is what a larger lab left behind."""
        first, second = (host["netns"] for host in self.params["hosts"])
        interface, switch = self.params["interface"], self.params["switch"]
        left_behind = self.exists(switch)
        if left_behind or not (self._has_interface(first) and self._has_interface(second)):
            self._cut_off(first)
            if not self._module.check_mode or left_behind:
                self._cut_off(second)
            self._do("ip", "-n", first, "link", "add", interface, "type", "veth",
                     "peer", "name", interface, "netns", second)
        if left_behind:
            self._do("ip", "netns", "delete", switch)

    def _bridge(self):
        """One veth pair from each host to a bridge, which has a namespace of its own."""
        switch, interface = self.params["switch"], self.params["interface"]
        self._namespace(switch)
        if BRIDGE not in self._links(switch):
            self._do("ip", "-n", switch, "link", "add", BRIDGE, "type", "bridge")
        if "UP" not in self._links(switch).get(BRIDGE, {}).get("flags", ()):
            self._do("ip", "-n", switch, "link", "set", BRIDGE, "up")
        for number, host in enumerate(self.params["hosts"]):
            port = "port%d" % number
            if port not in self._links(switch) or not self._has_interface(host["netns"]):
                self._cut_off(host["netns"])
                self._do("ip", "-n", host["netns"], "link", "add", interface, "type", "veth",
                         "peer", "name", port, "netns", switch)
            link = self._links(switch).get(port, {})
            if link.get("master") != BRIDGE or "UP" not in link.get("flags", ()):
                self._do("ip", "-n", switch, "link", "set", port, "master", BRIDGE, "up")

    def _configure(self, host):
        netns, interface = host["netns"], self.params["interface"]
        link = self._links(netns).get(interface, {})
        wanted = ipaddress.ip_interface("%s/%d" % (host["address"], self.params["prefix_length"]))
        have = [ipaddress.ip_interface("%s/%s" % (item["local"], item["prefixlen"]))
                for item in link.get("addr_info", ()) if item.get("scope") == "global"]
        for address in have:
            if address != wanted:
                self._do("ip", "-n", netns, "addr", "del", str(address), "dev", interface)
        if wanted not in have:
            # Nobody else is on the wire, so IPv6 need not wait a second to find a duplicate.
            nodad = ["nodad"] if wanted.version == 6 else []
            self._do("ip", "-n", netns, "addr", "add", str(wanted), "dev", interface, *nodad)
        if "UP" not in link.get("flags", ()):
            self._do("ip", "-n", netns, "link", "set", interface, "up")
        self._limit(netns, interface)

    def _limit(self, netns, interface):
        rate = self.params["rate"]
        _code, shown, _err = self._module.run_command(["tc", "-n", netns, "qdisc", "show", "dev", interface])
        limit = re.search(r"qdisc tbf .*?rate (\S+)", shown)
        if rate and not (limit and bits_per_second(limit.group(1)) == bits_per_second(rate)):
            self._do("tc", "-n", netns, "qdisc", "replace", "dev", interface, "root",
                     "tbf", "rate", rate, "burst", "256kb", "latency", "50ms")
        elif limit and not rate:
            self._do("tc", "-n", netns, "qdisc", "del", "dev", interface, "root")


def bits_per_second(rate):
    """A rate as tc(8) reads and prints it, in bit/s: 1000mbit and 1Gbit are one. None if it is no such rate."""
    match = re.match(r"^(\d+(?:\.\d+)?)([kmgt]i?|)(bit|bps)$", rate.lower())
    if not match or float(match.group(1)) == 0:
        return None
    return round(float(match.group(1)) * PREFIXES[match.group(2)] * BITS_PER_SECOND[match.group(3)])


def complaint(params):
    """What is wrong with the options, as a sentence; empty if nothing."""
    hosts = params["hosts"]
    if len(hosts) < 2:
        return "a lab has at least two hosts; hosts names %d" % len(hosts)
    names = [host["netns"] for host in hosts] + [params["switch"]]
    for name in names:
        if names.count(name) > 1:
            return "the namespace %s is named twice: each host, and the switch, needs a name of its own" % name
    addresses = []
    for host in hosts:
        try:
            addresses.append(ipaddress.ip_interface("%s/%d" % (host["address"], params["prefix_length"])))
        except ValueError as error:
            return "the address of the host %s cannot be set: %s; mend pairbench_address" % (host["netns"], error)
        if addresses.count(addresses[-1]) > 1:
            return "the address %s is given to two hosts: each needs one of its own" % host["address"]
    if params["rate"] and bits_per_second(params["rate"]) is None:
        return "netns_lab_rate is %r: give a number and a unit of tc(8), for example 1gbit" % params["rate"]
    return ""


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
    lab = Lab(module)
    getattr(lab, module.params["state"])()
    text = "".join(command + "\n" for command in lab.commands)
    module.exit_json(changed=bool(lab.commands), commands=lab.commands, diff={"before": "", "after": text})


if __name__ == "__main__":
    main()
