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

from pathlib import Path

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.utils.display import Display
from ansible.utils.vars import combine_vars
from ansible.vars.plugins import get_vars_from_inventory_sources
from ansible_collections.pairbench.lab.plugins.plugin_utils.lab.vm_lab import (
    LabError,
    LabSettings,
    configuration,
    guest_variables,
    lab_guests,
    lab_pairs,
    read_note,
    ssh_proxy_command,
)

OPTIONS = ("name", "pairs", "placement", "network", "subnet", "ssh_port", "access")
INTEGERS = ("pairs", "ssh_port")
GROUP = "vm_lab"


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
        options = self._settings(path)
        hypervisors = inventory.groups["hypervisors"].get_hosts() if "hypervisors" in inventory.groups else []
        access = Path(options["access"] or f"~/.local/state/pairbench/{options['name']}").expanduser()
        try:
            settings = LabSettings(
                options["name"], options["pairs"], tuple(host.name for host in hypervisors),
                options["placement"], options["subnet"], options["ssh_port"],
            )
            guests = lab_guests(settings)
        except LabError as error:
            raise AnsibleParserError(f"{path}: {error}") from error
        self._add(guests, settings, hypervisors, access, path)
        everywhere = {f"vm_lab_{name}": options[name] for name in OPTIONS} | {"vm_lab_access": str(access)}
        # What is asked for are pairs; an isolated network ends at its hypervisor, so that others might not even meet.
        everywhere["pairbench_pairs"] = lab_pairs(guests)
        for host in hypervisors:
            if options["network"] == "isolated" and _record(access, host.name).get("backend") == "qemu":
                # From there the hypervisor reaches the guests' data addresses, to count the processes that carry them.
                inventory.set_variable(host.name, "pairbench_observer_netns", f"pairbench-{options['name']}")
        records = [_record(access, name) for name in sorted({guest.hypervisor for guest in guests})]
        if all(records):
            everywhere["pairbench_configuration"] = configuration(records)
        for name, value in everywhere.items():
            inventory.set_variable("all", name, value)

    def _add(self, guests, settings, hypervisors, access, path):
        proxies = {host.name: ssh_proxy_command(self._variables(host, path), host.name) for host in hypervisors}
        self.inventory.add_group(GROUP)
        for guest in guests:
            self.inventory.add_host(guest.name, group=GROUP)
            record = _record(access, guest.hypervisor)
            variables = guest_variables(guest, settings, str(access), record, proxies[guest.hypervisor])
            for name, value in variables.items():
                self.inventory.set_variable(guest.name, name, value)

    def _variables(self, host, path):
        """The variables of a hypervisor, as far as the inventory says."""
        found = get_vars_from_inventory_sources(self.loader, [path], [*host.get_groups(), host], "all")
        return combine_vars(combine_vars(host.get_vars(), found), self._vars)

    def _settings(self, path):
        """Options of the file, variables of the group all, variables of the command line: the last one counts."""
        everyone = self.inventory.groups["all"]
        groups = get_vars_from_inventory_sources(self.loader, [path], [everyone], "all")
        variables = combine_vars(combine_vars(everyone.get_vars(), groups), self._vars)
        found = {name: variables.get(f"vm_lab_{name}", self.get_option(name)) for name in OPTIONS}
        for name in INTEGERS:
            try:
                found[name] = int(found[name])
            except (TypeError, ValueError):
                raise AnsibleParserError(f"{path}: vm_lab_{name} is {found[name]!r}: give a whole number") from None
        return found


def _record(access, hypervisor):
    """What provisioning noted about a hypervisor; empty when there is nothing that can be read."""
    try:
        return read_note(access / f"{hypervisor}.json")
    except ValueError as error:
        Display().warning(f"{error}. The lab is taken for one that is not provisioned; provisioning writes it again.")
        return {}
