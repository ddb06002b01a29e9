# Copyright the pairbench maintainers. MIT licence (see LICENSE).

from __future__ import annotations

DOCUMENTATION = r"""
name: netns
short_description: A host that is a network namespace on this machine
version_added: 0.1.0
description:
  - Runs commands on the controller, inside a named network namespace. Files, processes and users are the controller's.
  - Only the network differs. The mount namespace stays, so that tracefs is seen as it is on the controller
    (C(ip netns exec) would hide it).
  - Entering a namespace needs root; when Ansible does not run as root, C(sudo -n) is put in front.
extends_documentation_fragment:
  - connection_pipelining
options:
  netns:
    description: Name of the network namespace, as C(ip netns) knows it.
    type: str
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: ansible_netns
  netns_directory:
    description: Folder in which the namespaces have their names.
    type: path
    default: /run/netns
    vars:
      - name: ansible_netns_directory
    env:
      - name: PAIRBENCH_NETNS_DIRECTORY
    ini:
      - section: netns_connection
        key: directory
  netns_sudo:
    description: How to become root when Ansible does not run as root.
    type: list
    elements: str
    default: [sudo, -n]
    vars:
      - name: ansible_netns_sudo
    env:
      - name: PAIRBENCH_NETNS_SUDO
    ini:
      - section: netns_connection
        key: sudo
  become_success_timeout:
    description: Seconds to wait for privilege escalation to succeed.
    type: int
    default: 10
    vars:
      - name: ansible_netns_become_success_timeout
  become_strip_preamble:
    description: Remove what privilege escalation prints before the command.
    type: bool
    default: true
    vars:
      - name: ansible_netns_become_strip_preamble
author:
  - The pairbench maintainers
"""

import os
import shlex
from pathlib import Path

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection.local import Connection as LocalConnection


class Connection(LocalConnection):
    """The local connection with another network."""

    transport = "pairbench.lab.netns"
    has_pipelining = True

    def _connect(self):
        path = self._namespace()
        if not path.exists():
            raise AnsibleConnectionFailure(
                f"there is no network namespace {path.name} in {path.parent}: make it with the role "
                "pairbench.lab.netns_lab, or mend ansible_netns in the inventory"
            )
        return super()._connect()

    def exec_command(self, cmd, in_data=None, sudoable=True):
        """Run a shell command inside the namespace."""
        self._connect()
        enter = ["nsenter", f"--net={self._namespace()}", "--", "/bin/sh", "-c", cmd]
        prefix = [] if os.geteuid() == 0 else self.get_option("netns_sudo")
        return super().exec_command("exec " + shlex.join([*prefix, *enter]), in_data=in_data, sudoable=sudoable)

    def _namespace(self):
        return Path(self.get_option("netns_directory")) / self.get_option("netns")
