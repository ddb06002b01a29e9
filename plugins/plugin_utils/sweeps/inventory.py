"""The hosts of an inventory, as Ansible reads it."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .decisions import BadValue
from .playbook import environment


def hosts_of_limit(inventories: Sequence[str], limit: str) -> frozenset[str]:
    """The hosts that ``--limit`` leaves, as Ansible understands it. Raises BadValue."""
    options = [item for name in inventories for item in ("-i", name)]
    listed, complaint = _asked(["--list", "--limit", limit, *options])
    hosts = hosts_listed(listed)
    if not hosts:
        raise BadValue(f"--limit {limit} leaves no host: {' '.join(complaint.split())}")
    return hosts


def hosts_listed(text: str) -> frozenset[str]:
    """The hosts of all groups of what ``ansible-inventory --list`` prints; none where it could not read the inventory."""
    try:
        groups: dict[str, Any] = json.loads(text)
    except ValueError:
        return frozenset()
    return frozenset(host for name, group in groups.items() if name != "_meta" for host in group.get("hosts", ()))


def _asked(arguments: Sequence[str]) -> tuple[str, str]:
    """What ansible-inventory prints, and what it complains of, from here, so that its configuration is the playbook's."""
    import ansible_runner

    # Variables may be secrets: they go to a file without a name, not to the runner's folder.
    with tempfile.TemporaryDirectory(prefix="pairbench-runner-") as private, tempfile.TemporaryFile("w+") as listed:
        _nothing, complaint, _status = ansible_runner.run_command(
            str(Path(sys.executable).parent / "ansible-inventory"),
            cmdline_args=list(arguments),
            private_data_dir=private,
            host_cwd=str(Path.cwd()),
            envvars=environment(os.environ),
            runner_mode="subprocess",
            output_fd=listed,
            quiet=True,
            event_handler=lambda _event: False,
        )
        listed.seek(0)
        return listed.read(), complaint
