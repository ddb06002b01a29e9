"""Hypervisors whose programs only pretend: what a lab leaves, and what is refused, is seen in seconds, without a guest.

The networks are real, in a namespace of the lab's own. A guest is reached as this machine itself.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from vm_labs import VmLab

# The process that stays has the command line of the emulator; where the file "broken" is beside it, none starts.
EMULATOR = """#!/usr/bin/python3
import os, sys, time
if os.path.exists(os.path.join(os.path.dirname(sys.argv[0]), "broken")) and "vm2," in sys.argv[2]:
    sys.exit("no guest today")
pid = os.fork()
if pid:
    with open(sys.argv[sys.argv.index("-pidfile") + 1], "w") as handle:
        handle.write(str(pid))
    sys.exit()
for descriptor in (0, 1, 2):
    os.close(descriptor)
time.sleep(300)
"""
IMAGE_TOOL = """#!/bin/sh
[ "$1" = info ] && echo '{"format": "qcow2", "virtual-size": 1024}' || : > "$9"
"""
ISO_TOOL = """#!/bin/sh
while [ "$1" != -output ]; do shift; done
: > "$2"
"""
# As on a machine whose language is not English.
REMOVER = """#!/bin/sh
[ "$LC_ALL" = C ] && exec /bin/rmdir "$@"
/bin/rmdir "$@" 2>/dev/null || { echo "rmdir: Das Verzeichnis ist nicht leer" >&2; exit 1; }
"""
PROGRAMS = {"qemu-system-x86_64": EMULATOR, "qemu-img": IMAGE_TOOL, "genisoimage": ISO_TOOL, "rmdir": REMOVER}
REACHED = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}


class StandInLab(VmLab):
    """A lab on hypervisors that are all this machine; each has a folder of its own."""

    def __init__(self, directory: Path, hypervisors: tuple[str, ...] = ("localhost",)) -> None:
        super().__init__(directory, hypervisors)
        self.programs = directory / "programs"
        self.programs.mkdir()
        for name, text in PROGRAMS.items():
            (self.programs / name).write_text(text, encoding="ascii")
            (self.programs / name).chmod(0o755)
        (directory / "image.qcow2").touch()
        self.environment = {"PATH": f"{self.programs}:{os.environ['PATH']}"}
        self.set()

    def set(self, **variables: Any) -> None:
        """Write the variables of the lab."""
        common = {"vm_lab_image": str(self.directory / "image.qcow2"), "vm_lab_image_checksum": "none",
                  "vm_lab_accel": "tcg", "vm_lab_vhost": False, "vm_lab_install": False}
        super().set(**common | variables)

    def place(self, **hypervisors: dict[str, Any]) -> None:
        """Write the hypervisors, each with variables of its own."""
        hosts = {name: REACHED | {"vm_lab_dir": str(self.directory / name)} | more for name, more in hypervisors.items()}
        self.write("hosts.yml", {"hypervisors": {"hosts": hosts}})

    def play(self, playbook: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        # All hypervisors are one machine: each has its network under a name of its own.
        network = f"_vm_lab_network_name=pairbench-{self.name}-{{{{ inventory_hostname }}}}"
        return super().play(playbook, "-e", network, *arguments)

    def left(self) -> list[str]:
        """What there is of the lab."""
        networks = Path("/run/netns").glob(f"pairbench-{self.name}-*")
        folders = self.directory.glob("*/labs")
        return [*map(str, networks), *map(str, folders), *super().left()]

    def reachable(self) -> list[str]:
        """Arguments with which guests are taken for up."""
        return [word for name, value in REACHED.items() for word in ("-e", f"{name}={value}")]
