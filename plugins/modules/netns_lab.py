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

import json
import os

from ansible.module_utils.basic import AnsibleModule

NETNS_DIRECTORY = "/run/netns"


class Lab:
    """Compares what is there with what is wanted and collects the commands that make the difference."""

    def __init__(self, module):
        self._module = module
        self.params = module.params
        self.commands = []

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
        self._wires()
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

    def _wires(self):
        hosts, interface = self.params["hosts"], self.params["interface"]
        if len(hosts) == 2:
            first, second = hosts
            if interface not in self._links(first["netns"]):
                self._do("ip", "-n", first["netns"], "link", "add", interface, "type", "veth",
                         "peer", "name", interface, "netns", second["netns"])
            return
        switch = self.params["switch"]
        self._namespace(switch)
        if "bridge0" not in self._links(switch):
            self._do("ip", "-n", switch, "link", "add", "bridge0", "type", "bridge")
            self._do("ip", "-n", switch, "link", "set", "bridge0", "up")
        for number, host in enumerate(hosts):
            port = "port%d" % number
            if interface not in self._links(host["netns"]):
                self._do("ip", "-n", host["netns"], "link", "add", interface, "type", "veth",
                         "peer", "name", port, "netns", switch)
                self._do("ip", "-n", switch, "link", "set", port, "master", "bridge0", "up")

    def _configure(self, host):
        netns, interface = host["netns"], self.params["interface"]
        link = self._links(netns).get(interface, {})
        wanted = "%s/%d" % (host["address"], self.params["prefix_length"])
        have = ["%s/%s" % (item["local"], item["prefixlen"]) for item in link.get("addr_info", ())
                if item.get("scope") == "global"]
        for address in have:
            if address != wanted:
                self._do("ip", "-n", netns, "addr", "del", address, "dev", interface)
        if wanted not in have:
            self._do("ip", "-n", netns, "addr", "add", wanted, "dev", interface)
        if "UP" not in link.get("flags", ()):
            self._do("ip", "-n", netns, "link", "set", interface, "up")
        self._limit(netns, interface, link)

    def _limit(self, netns, interface, link):
        rate = self.params["rate"]
        code, have, _err = self._module.run_command(["tc", "-n", netns, "qdisc", "show", "dev", interface])
        limited = code == 0 and "qdisc tbf" in have
        if rate and not (limited and "rate %s" % _tc_rate(rate) in have.lower()):
            self._do("tc", "-n", netns, "qdisc", "replace", "dev", interface, "root",
                     "tbf", "rate", rate, "burst", "256kb", "latency", "50ms")
        elif limited and not rate:
            self._do("tc", "-n", netns, "qdisc", "del", "dev", interface, "root")


def _tc_rate(rate):
    """A rate as tc prints it: 1000mbit is shown as 1Gbit."""
    text = rate.lower()
    for large, small in (("gbit", "mbit"), ("mbit", "kbit")):
        if text.endswith(small) and text[: -len(small)].isdigit() and int(text[: -len(small)]) % 1000 == 0:
            text = "%d%s" % (int(text[: -len(small)]) // 1000, large)
    return text


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
    if len(module.params["hosts"]) < 2:
        module.fail_json(msg="a lab has at least two hosts; hosts names %d" % len(module.params["hosts"]))
    module.get_bin_path("ip", required=True)
    lab = Lab(module)
    getattr(lab, module.params["state"])()
    text = "".join(command + "\n" for command in lab.commands)
    module.exit_json(changed=bool(lab.commands), commands=lab.commands, diff={"before": "", "after": text})


if __name__ == "__main__":
    main()
