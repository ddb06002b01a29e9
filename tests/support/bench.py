"""The main job as a user runs it: ``ansible-playbook pairbench.lab.bench`` in a folder of its own."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from namespaces import Pair

ANSIBLE_PLAYBOOK = str(Path(sys.executable).parent / "ansible-playbook")


class Bench:
    """One inventory of the two namespaces of a pair, and a folder to run in."""

    def __init__(self, pair: Pair, directory: Path) -> None:
        self.pair = pair
        self.directory = directory
        self.variables: dict[str, Any] = {
            "iperf3_seconds": 1, "sockperf_seconds": 1, "pairbench_blocks": 1,
            "ansible_python_interpreter": "/usr/bin/python3", "ansible_connection": "pairbench.lab.netns",
        }
        self.hosts: dict[str, dict[str, Any]] = {
            "one": {"ansible_netns": pair.server.name, "pairbench_address": pair.server.address},
            "two": {"ansible_netns": pair.client.name, "pairbench_address": pair.client.address},
        }

    @property
    def sweep(self) -> Path:
        return self.directory / "results" / "default"

    def command(self, *arguments: str) -> list[str]:
        """Write the inventory; the argument list of the playbook."""
        inventory = self.directory / "lab.yml"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": self.hosts, "vars": self.variables}}))
        return [ANSIBLE_PLAYBOOK, "pairbench.lab.bench", "-i", str(inventory), *arguments]

    def environment(self, **changes: str) -> dict[str, str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        return environment | {"ANSIBLE_NOCOLOR": "1"} | (changes or {"ANSIBLE_CALLBACKS_ENABLED": "pairbench.lab.summary"})

    def run(self, *arguments: str, timeout: float = 300, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*arguments), cwd=self.directory, env=self.environment(**changes),
                              capture_output=True, text=True, timeout=timeout, check=False)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start it as a terminal does, in a process group of its own."""
        return subprocess.Popen(self.command(*arguments), cwd=self.directory, env=self.environment(),
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def table(self, name: str) -> list[dict[str, str]]:
        with (self.sweep / f"{name}.csv").open(newline="", encoding="utf-8") as handle:
            return list(csv.DictReader(handle))


def changed_total(output: str) -> int:
    """The sum of ``changed=`` over the recap."""
    return sum(int(number) for number in re.findall(r"changed=(\d+)", output))


def words(output: str) -> str:
    """Output with its line breaks and indentation folded, for looking for a sentence in it."""
    return re.sub(r"\s+", " ", output.replace("\\n", " "))
