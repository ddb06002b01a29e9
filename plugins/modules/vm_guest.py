#!/usr/bin/python
# Copyright the pairbench maintainers. MIT licence (see LICENSE).

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_guest
short_description: Start or remove one guest of a lab of virtual machines
version_added: 0.1.0
description:
  - Runs on the hypervisor. A guest is a folder with a disk over a shared image, a seed for its first boot, and either
    a QEMU process or a transient domain of libvirt.
  - A guest that runs with exactly the same settings is left alone; one whose settings differ is replaced by a fresh one.
  - A guest that cannot be started leaves nothing behind.
options:
  state: {description: Whether the guest is there., type: str, choices: [present, absent], default: present}
  backend: {description: What runs it., type: str, choices: [qemu, libvirt], required: true}
  folder: {description: Folder of the guest's files., type: path, required: true}
  domain: {description: Name of the guest on the hypervisor., type: str, required: true}
  uuid: {description: UUID of the guest., type: str, required: true}
  qemu: {description: Path of the emulator., type: path, default: ''}
  image: {description: Image below the guest's disk., type: path, default: ''}
  image_format: {description: Format of the image., type: str, default: qcow2}
  disk_gib: {description: Size of the disk in GiB; 0 for that of the image., type: int, default: 0}
  seed: {description: Files of the seed (name to content)., type: dict, default: {}}
  kernel: {description: Kernel to boot directly., type: path, default: ''}
  initrd: {description: Its initial file system., type: path, default: ''}
  append: {description: Its command line., type: str, default: ''}
  accel: {description: Accelerator., type: str, choices: [kvm, tcg], default: tcg}
  cpu: {description: CPU model; empty for one that suits the accelerator., type: str, default: ''}
  vcpus: {description: Number of virtual CPUs., type: int, default: 1}
  memory_mib: {description: Memory in MiB., type: int, default: 1024}
  queues: {description: Queues of the data interface., type: int, default: 1}
  vhost: {description: Whether the kernel moves the packets of the data interface., type: bool, default: false}
  cpus: {description: CPUs of the hypervisor to keep to., type: list, elements: int, default: []}
  port: {description: Port on 127.0.0.1 of the hypervisor that leads to the guest's SSH., type: int, default: 0}
  management_mac: {description: Hardware address of the management interface., type: str, default: ''}
  mac: {description: Hardware address of the data interface., type: str, default: ''}
  tap: {description: Name of the tap of the data interface (qemu)., type: str, default: ''}
  netns: {description: Namespace of the bridge (qemu); empty for the hypervisor's own network., type: str, default: ''}
  bridge: {description: Bridge of the data interface., type: str, default: ''}
  xml: {description: The domain (libvirt)., type: str, default: ''}
author:
  - The pairbench maintainers
"""

EXAMPLES = r"""
- name: Remove a guest
  pairbench.lab.vm_guest:
    state: absent
    backend: qemu
    folder: /var/lib/pairbench/vm_lab/labs/vm_lab/vm1
    domain: vm_lab-vm1
    uuid: 7b1c8d5e-6a55-5d5c-9d1c-0c2c4c5f0b1a
"""

RETURN = r"""
pid_file:
  description: File with the process of the emulator (qemu).
  type: str
  returned: success
serial_log:
  description: File with what the guest's serial console printed.
  type: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.errors import GuestError
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.guest import Guest

ARGUMENTS = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "backend": {"type": "str", "choices": ["qemu", "libvirt"], "required": True},
    "folder": {"type": "path", "required": True},
    "domain": {"type": "str", "required": True},
    "uuid": {"type": "str", "required": True},
    "qemu": {"type": "path", "default": ""},
    "image": {"type": "path", "default": ""},
    "image_format": {"type": "str", "default": "qcow2"},
    "disk_gib": {"type": "int", "default": 0},
    # Holds the guest's private host key.
    "seed": {"type": "dict", "default": {}, "no_log": True},
    "kernel": {"type": "path", "default": ""},
    "initrd": {"type": "path", "default": ""},
    "append": {"type": "str", "default": ""},
    "accel": {"type": "str", "choices": ["kvm", "tcg"], "default": "tcg"},
    "cpu": {"type": "str", "default": ""},
    "vcpus": {"type": "int", "default": 1},
    "memory_mib": {"type": "int", "default": 1024},
    "queues": {"type": "int", "default": 1},
    "vhost": {"type": "bool", "default": False},
    "cpus": {"type": "list", "elements": "int", "default": []},
    "port": {"type": "int", "default": 0},
    "management_mac": {"type": "str", "default": ""},
    "mac": {"type": "str", "default": ""},
    "tap": {"type": "str", "default": ""},
    "netns": {"type": "str", "default": ""},
    "bridge": {"type": "str", "default": ""},
    "xml": {"type": "str", "default": ""},
}


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    guest = Guest(module.params)
    try:
        changed = getattr(guest, module.params["state"])(module.check_mode)
    except GuestError as error:
        module.fail_json(msg=str(error))
    files = guest.files
    module.exit_json(changed=changed, pid_file=files["pid_file"], serial_log=files["serial_log"])


if __name__ == "__main__":
    main()
