# Copyright the pairbench maintainers. MIT licence (see LICENSE).

from __future__ import annotations

DOCUMENTATION = r"""
name: netns
short_description: A host that is a network namespace on this machine
version_added: 0.1.0
description:
  - Runs commands on the controller, inside a named network namespace. Files, processes and users are the controller's.
  - Only the network differs, and the file system where O(netns_root) names one. The mount namespace stays, so that
    tracefs is seen as it is on the controller (C(ip netns exec) would hide it).
  - Entering a namespace needs root; when Ansible does not run as root, C(sudo -n) is put in front.
options:
  pipelining:
    description:
      - Whether what a task executes is handed over on standard input, without files and the commands that make and remove
        them. Only a C(sudo) that demands a terminal, or C(su), forbids it.
    type: boolean
    default: true
    env:
      - name: ANSIBLE_PIPELINING
    ini:
      - section: connection
        key: pipelining
    vars:
      - name: ansible_pipelining
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
  netns_network:
    description:
      - Whether the network of the namespace is entered. Turned off, commands run in the machine's own network, as
        installing packages needs where the namespaces reach no package server.
    type: bool
    default: true
    vars:
      - name: ansible_netns_network
  netns_root:
    description:
      - Folder with a whole file system of its own, which becomes the root of what runs; empty for the machine's. It needs
        V(/proc), V(/sys) and V(/dev) mounted. Only for Ansible that runs as root.
    type: str
    default: ''
    vars:
      - name: ansible_netns_root
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
import subprocess
from pathlib import Path

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection.local import Connection as LocalConnection


class Connection(LocalConnection):
    """The local connection with another network."""

    transport = "pairbench.lab.netns"
    has_pipelining = True

    def _connect(self):
        path = self._namespace()
        if self.get_option("netns_network") and not path.exists():
            raise AnsibleConnectionFailure(
                f"there is no network namespace {path.name} in {path.parent}: make it with the role "
                "pairbench.lab.netns_lab, or mend ansible_netns in the inventory"
            )
        self._require_root()
        root = self._root()
        if root and (os.geteuid() != 0 or not (Path(root) / "bin/sh").exists()):
            raise AnsibleConnectionFailure(
                f"cannot run in {root}, which ansible_netns_root names: it must be a whole file system, and Ansible must "
                "run as root"
            )
        return super()._connect()

    def exec_command(self, cmd, in_data=None, sudoable=True):
        """Run a shell command inside the namespace."""
        self._connect()
        places = [f"--net={self._namespace()}"] if self.get_option("netns_network") else []
        if self._root():
            places += [f"--root={self._root()}", f"--wd={self._root()}"]
        enter = ["nsenter", *places, "--", "/bin/sh", "-c", cmd]
        prefix = [] if os.geteuid() == 0 else self.get_option("netns_sudo")
        return super().exec_command("exec " + shlex.join([*prefix, *enter]), in_data=in_data, sudoable=sudoable)

    def put_file(self, in_path, out_path):
        """Copy a file to the host."""
        return super().put_file(in_path, self._root() + out_path)

    def fetch_file(self, in_path, out_path):
        """Copy a file from the host."""
        return super().fetch_file(self._root() + in_path, out_path)

    def _require_root(self):
        """Fail early: without root, Ansible would later report an unwritable folder."""
        if os.geteuid() == 0 or self._connected:
            return
        become = self.get_option("netns_sudo")
        try:
            asked = subprocess.run([*become, "true"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            refusal = (asked.stderr.strip() or f"exit status {asked.returncode}") if asked.returncode else ""
        except OSError as error:
            refusal = error.strerror
        if refusal:
            raise AnsibleConnectionFailure(
                f"no root: entering a network namespace needs it, and {shlex.join(become)} cannot give it ({refusal}). Run "
                "Ansible as root, or let sudo ask this user for no password"
            )

    def _root(self):
        return (self.get_option("netns_root") or "").rstrip("/")

    def _namespace(self):
        return Path(self.get_option("netns_directory")) / self.get_option("netns")
