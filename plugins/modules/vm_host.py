#!/usr/bin/python
# Copyright the pairbench maintainers. MIT licence (see LICENSE).

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_host
short_description: Gather the facts that determine which guests a hypervisor can run
version_added: 0.1.0
description:
  - Runs on the hypervisor and changes nothing.
options:
  release: {description: Release of Debian for which package sources are wanted., type: str, default: ''}
  mirror: {description: Mirror to take it from; empty for the repositories of the hypervisor's apt., type: str, default: ''}
  pin: {description: Sets of CPUs that guests are to keep to., type: list, elements: str, default: []}
  programs: {description: Programs to look for., type: list, elements: str, default: []}
author:
  - The pairbench maintainers
"""

EXAMPLES = r"""
- name: See what the hypervisor has
  pairbench.lab.vm_host:
    release: trixie
"""

RETURN = r"""
facts:
  description: >-
    architecture, cpus, qemu (path or empty), libvirt and vhost (whether usable) with libvirt_reason and vhost_reason,
    bridges (names), kvm_device, tun, sources (lines of sources.list), apt_settings and guest_apt_settings (lines of
    apt.conf),
    pin (lists of CPUs) and pin_complaint, missing (programs).
  type: dict
  returned: always
"""

import shutil

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.hypervisor import (
    host_facts,
    pinned_sets,
    seen_from_guest,
    sources,
)


def main():
    module = AnsibleModule(
        argument_spec={
            "release": {"type": "str", "default": ""},
            "mirror": {"type": "str", "default": ""},
            "pin": {"type": "list", "elements": "str", "default": []},
            "programs": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    facts = host_facts()
    facts["sources"] = sources(facts.pop("apt_repositories"), module.params["release"], module.params["mirror"])
    facts["guest_apt_settings"] = seen_from_guest(facts["apt_settings"])
    facts["pin"], facts["pin_complaint"] = pinned_sets(module.params["pin"], facts["cpus"])
    facts["missing"] = [name for name in module.params["programs"] if not shutil.which(name)]
    module.exit_json(changed=False, facts=facts)


if __name__ == "__main__":
    main()
