# Copyright the pairbench maintainers. MIT licence (see LICENSE).

from __future__ import annotations

DOCUMENTATION = r"""
name: vm_lab
short_description: The guests of a lab of virtual machines
version_added: 0.1.0
description:
  - Lists the guests C(vm1), C(vm2) ... of a lab, as many as C(vm_lab_pairs) asks for, in the group C(vm_lab), each with
    everything that is needed to reach it. The play C(provision.yml) makes them on the hosts of the group
    C(hypervisors), which another file of the same inventory names, one that comes first in the alphabet.
  - The file's name ends in C(vm_lab.yml).
  - Each option is overridden by the variable of its name with C(vm_lab_) in front, given with C(-e) or for the
    group C(all) in the inventory's C(group_vars).
options:
  plugin: {description: Must name this plugin., type: str, required: true, choices: [pairbench.lab.vm_lab, vm_lab]}
  name: {description: Name of the lab; tells labs on one hypervisor apart., type: str, default: vm_lab}
  pairs: {description: Number of pairs., type: int, default: 1}
  placement:
    description: >-
      C(together) keeps the guests of a pair on one hypervisor, pair by pair round the hypervisors; C(spread) goes
      round guest by guest.
    type: str
    choices: [together, spread]
    default: together
  network: {description: C(isolated) or C(bridge)., type: str, default: isolated}
  subnet: {description: The data network; guest N has its N-th address., type: str, default: 10.10.1.0/24}
  ssh_port: {description: Guest N is reached on this port plus N of its hypervisor., type: int, default: 22000}
  access:
    description: Folder on the controller with the lab's keys; by default below C(~/.local/state/pairbench).
    type: str
    default: ''
author:
  - The pairbench maintainers
"""

EXAMPLES = r"""
# guests.vm_lab.yml, beside a hosts.yml with the group hypervisors
plugin: pairbench.lab.vm_lab
pairs: 2
"""

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.utils.display import Display
from ansible.utils.vars import combine_vars
from ansible.vars.plugins import get_vars_from_inventory_sources
from ansible_collections.pairbench.lab.plugins.plugin_utils.lab.vm_inventory import (
    GROUP,
    OPTIONS,
    lab_inventory,
    lab_options,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.lab.vm_lab import LabError


class InventoryModule(BaseInventoryPlugin):
    """Adds the guests that the settings ask for."""

    NAME = "pairbench.lab.vm_lab"

    def verify_file(self, path):
        """Whether the file is for this plugin."""
        return super().verify_file(path) and path.endswith(("vm_lab.yml", "vm_lab.yaml"))

    def parse(self, inventory, loader, path, cache=True):
        """Read the settings and add the guests."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        given = {name: self.get_option(name) for name in OPTIONS}
        hypervisors = inventory.groups["hypervisors"].get_hosts() if "hypervisors" in inventory.groups else []
        try:
            options = lab_options(given, self._variables_of_all(path))
            variables = {host.name: self._variables(host, path) for host in hypervisors}
            lab = lab_inventory(options, variables, Display().warning)
        except LabError as error:
            raise AnsibleParserError(f"{path}: {error}") from error
        self._add(lab)

    def _add(self, lab):
        self.inventory.add_group(GROUP)
        for guest in lab.guests:
            self.inventory.add_host(guest, group=GROUP)
        for owner, variables in {**lab.guests, **lab.hypervisors, "all": lab.everywhere}.items():
            for name, value in variables.items():
                self.inventory.set_variable(owner, name, value)

    def _variables(self, host, path):
        """The variables of a hypervisor, as far as the inventory says."""
        found = get_vars_from_inventory_sources(self.loader, [path], [*host.get_groups(), host], "all")
        return combine_vars(combine_vars(host.get_vars(), found), self._vars)

    def _variables_of_all(self, path):
        """Variables of the group all, then those of the command line: the last one counts."""
        everyone = self.inventory.groups["all"]
        groups = get_vars_from_inventory_sources(self.loader, [path], [everyone], "all")
        return combine_vars(combine_vars(everyone.get_vars(), groups), self._vars)
