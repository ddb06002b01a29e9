"""Labs of virtual machines of the tests' own, each with a name, a folder and ports that no other lab has."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from leftovers import machines_folder
from roots import recap

BIN = Path(sys.executable).parent
BOOT_SECONDS = 540


def kept() -> Path:
    """Where images are kept between runs, as the roots of the install tests are."""
    default = machines_folder() / f"pairbench-test-vm-{os.geteuid()}"
    return Path(os.environ.get("PAIRBENCH_TEST_VM", default))


class VmLab:
    """An inventory of a lab with a name, a folder and ports of its own."""

    def __init__(self, directory: Path, hypervisors: tuple[str, ...] = ("localhost",)) -> None:
        self.directory = directory
        self.name = f"pbt{os.getpid()}"
        self.netns = Path("/run/netns", f"pairbench-{self.name}")
        self.folder = kept() / "labs" / self.name
        self.access = directory / "access"
        self.backend = "qemu"
        self.enter: list[str] = []  # what the commands run under
        self.environment: dict[str, str] = {}
        hosts = {name: {"ansible_connection": "local"} if name == "localhost" else {} for name in hypervisors}
        variables = {"ansible_python_interpreter": "/usr/bin/python3"}
        self.write("hosts.yml", {"hypervisors": {"hosts": hosts, "vars": variables}})
        self.write("vm_lab.yml", {"plugin": "pairbench.lab.vm_lab"})
        self.set()

    def set(self, **variables: Any) -> None:
        """Write the variables of the lab."""
        everywhere = {
            "vm_lab_name": self.name, "vm_lab_dir": str(kept()), "vm_lab_access": str(self.access),
            "vm_lab_backend": self.backend, "vm_lab_ssh_port": 20000 + 4 * os.getpid() % 40000,
            "vm_lab_boot_seconds": BOOT_SECONDS, "iperf3_seconds": 2, "sockperf_seconds": 2, "pairbench_blocks": 1,
        }
        self.write("group_vars/all.yml", everywhere | variables)

    def write(self, name: str, content: Any) -> None:
        """Write a file of the inventory."""
        path = self.directory / "lab" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content), encoding="utf-8")

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        environment |= {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACKS_ENABLED": "pairbench.lab.summary"}
        environment |= self.environment
        return subprocess.run(
            [*self.enter, str(BIN / program), "-i", str(self.directory / "lab"), *arguments],
            cwd=self.directory, env=environment, capture_output=True, text=True, timeout=1500, check=False,
        )  # fmt: skip

    def play(self, playbook: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("ansible-playbook", f"pairbench.lab.{playbook}", *arguments)

    def inventory(self) -> dict[str, Any]:
        done = self.run("ansible-inventory", "--list")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def emulators(self) -> list[int]:
        """The processes that carry guests of the lab."""
        name = f"guest={self.name}-".encode()
        return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if name in read(path)]

    def table(self, name: str) -> list[dict[str, str]]:
        with (self.directory / f"results/default/{name}.csv").open(newline="", encoding="utf-8") as handle:
            return list(csv.DictReader(handle))

    def left(self) -> list[str]:
        """What there is of the lab."""
        paths = [path for path in (self.netns, self.folder, self.access) if path.exists()]
        return [*map(str, paths), *map(str, self.emulators())]


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def changes(done: subprocess.CompletedProcess[str], host: str = "localhost") -> int:
    assert done.returncode == 0, done.stdout + done.stderr
    return recap(done.stdout, host)["changed"]


def text(value: Any) -> str:
    """A value of ``ansible-inventory --list``, which marks what came from a plugin."""
    return str(value["__ansible_unsafe"]) if isinstance(value, dict) else str(value)
