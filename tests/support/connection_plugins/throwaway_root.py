"""The connection to a throw-away root of the tests: commands run inside it, files are copied into it."""

# ruff: noqa: E402  (a plugin begins with its documentation)
from __future__ import annotations

DOCUMENTATION = r"""
name: throwaway_root
short_description: A host that is a root folder with a mount namespace of its own, for the tests
extends_documentation_fragment:
  - connection_pipelining
options:
  folder:
    description: The root folder as the controller sees it.
    type: path
    required: true
    vars: [{name: ansible_throwaway_folder}]
  pid:
    description: Process that holds the root's mount namespace.
    type: int
    required: true
    vars: [{name: ansible_throwaway_pid}]
  uid:
    description: User and group to be in the root.
    type: int
    default: 0
    vars: [{name: ansible_throwaway_uid}]
  become_success_timeout:
    description: Seconds to wait for privilege escalation to succeed.
    type: int
    default: 10
    vars: [{name: ansible_throwaway_become_success_timeout}]
  become_strip_preamble:
    description: Remove what privilege escalation prints before the command.
    type: bool
    default: true
    vars: [{name: ansible_throwaway_become_strip_preamble}]
"""

import os
import shlex

from ansible.plugins.connection.local import Connection as LocalConnection
from roots import inside


class Connection(LocalConnection):
    """The local connection, one root folder further in."""

    transport = "throwaway_root"
    has_pipelining = True

    def exec_command(self, cmd, in_data=None, sudoable=True):
        argv = inside(self.get_option("pid"), self.get_option("uid"), "/bin/sh", "-c", cmd)
        return super().exec_command("exec " + shlex.join(argv), in_data=in_data, sudoable=sudoable)

    def put_file(self, in_path, out_path):
        super().put_file(in_path, self.get_option("folder") + out_path)
        os.chown(self.get_option("folder") + out_path, self.get_option("uid"), self.get_option("uid"))

    def fetch_file(self, in_path, out_path):
        super().fetch_file(self.get_option("folder") + in_path, out_path)
