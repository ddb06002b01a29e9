# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""The filter ``netns_host``: what the role netns_lab needs to know of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: netns_host
short_description: Namespace and data address of a host
version_added: 0.1.0
description: Takes the variables of a host and gives what the role M(pairbench.lab.netns_lab) needs.
options:
  _input:
    description: Variables of a host.
    type: dict
    required: true
"""

EXAMPLES = r"""
hosts: "{{ groups['netns_lab'] | map('extract', hostvars) | map('pairbench.lab.netns_host') }}"
"""

RETURN = r"""
_value:
  description: A dictionary with netns and address.
  type: dict
"""


def netns_host(variables):
    """``{"netns": ..., "address": ...}`` from host variables."""
    return {
        "netns": variables.get("ansible_netns") or variables["inventory_hostname"],
        "address": variables["pairbench_address"],
    }


class FilterModule:
    """What Ansible looks for."""

    def filters(self):
        return {"netns_host": netns_host}
