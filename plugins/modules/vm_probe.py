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

import json
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import read_own, write_own
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.kvm_probe import DEVICE, probe

MOST_ANSWER_BYTES = 1 << 16


def recorded(path):
    """The answer that was kept, or None."""
    try:
        found = json.loads(read_own(path, MOST_ANSWER_BYTES).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("accel") not in ("kvm", "tcg") or not isinstance(found.get("reason"), str):
        return None
    return {"accel": found["accel"], "reason": found["reason"]}


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
        answer = find_out(module)
    if answer["accel"] == "tcg":
        module.warn("guests are emulated, so that their figures are only functional: " + answer["reason"])
    module.exit_json(changed=found, **answer)


def find_out(module):
    """Start a guest and keep the answer."""
    if os.path.exists(DEVICE) and not os.path.exists(module.params["kernel"]):
        module.fail_json(msg="there is no kernel %(kernel)s to probe KVM with" % module.params)
    accel, reason = probe(module.params["qemu"], module.params["kernel"])
    answer = {"accel": accel, "reason": reason}
    if not module.check_mode:
        try:
            write_own(module.params["record"], json.dumps(answer).encode())
        except OSError as error:
            module.fail_json(msg="the answer cannot be kept: %s" % error)
    return answer


if __name__ == "__main__":
    main()
