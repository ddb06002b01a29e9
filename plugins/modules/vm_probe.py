#!/usr/bin/python
# Copyright the pairbench maintainers. MIT licence (see LICENSE).

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_probe
short_description: Find out whether guests run with hardware acceleration on this machine
version_added: 0.1.0
description:
  - Starts a guest with KVM and a real kernel but no disk, for at most 20 seconds. Only a guest that gets as far as
    looking for its root disk proves that KVM works; a device file proves nothing.
  - The answer is kept in a file, so that one lab always runs the same way.
options:
  qemu: {description: Path of the emulator., type: path, required: true}
  kernel: {description: A kernel for the guest; not used where there is no C(/dev/kvm)., type: path, default: ''}
  record: {description: File that keeps the answer., type: path, required: true}
author:
  - The pairbench maintainers
"""

EXAMPLES = r"""
- name: Find out whether KVM works
  pairbench.lab.vm_probe:
    qemu: /usr/bin/qemu-system-x86_64
    kernel: /boot/vmlinuz
    record: /var/lib/pairbench/vm_lab/labs/vm_lab/accel.json
"""

RETURN = r"""
accel:
  description: C(kvm) or C(tcg), which is emulation.
  type: str
  returned: always
reason:
  description: Why.
  type: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.errors import GuestError
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.kvm_probe import find_out, recorded


def main():
    module = AnsibleModule(
        argument_spec={
            "qemu": {"type": "path", "required": True},
            "kernel": {"type": "path", "default": ""},
            "record": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    answer = recorded(module.params["record"])
    found = answer is None
    if found:
        try:
            answer = find_out(module.params, keep=not module.check_mode)
        except GuestError as error:
            module.fail_json(msg=str(error))
    if answer["accel"] == "tcg":
        module.warn("guests are emulated, so that their figures are only functional: " + answer["reason"])
    module.exit_json(changed=found, **answer)


if __name__ == "__main__":
    main()
