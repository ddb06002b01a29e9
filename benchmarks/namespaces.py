"""A lab of namespaces for one benchmark of this folder: made, used through the collection, and removed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

MOST_ROUNDS = 15
BIN = Path(sys.executable).parent
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")} | {
    "ANSIBLE_CALLBACKS_ENABLED": "pairbench.lab.summary", "ANSIBLE_NOCOLOR": "1",
}  # fmt: skip


class Lab:
    """Hosts ``vm1``, ``vm2`` … with addresses in 10.10.<subnet>.0/24, and an inventory of them in a folder of their own."""

    def __init__(
        self, folder: Path, hosts: int, subnet: int, of_hosts: Mapping[str, Any] = {}, **variables: Any
    ) -> None:
        """``of_hosts`` are variables of single hosts by name, ``variables`` those of all."""
        self.folder = folder
        self._prefix = f"pb{subnet}x{os.getpid()}"
        self.addresses = {f"vm{number}": f"10.10.{subnet}.{number}" for number in range(1, hosts + 1)}
        shared = {
            "ansible_connection": "pairbench.lab.netns", "ansible_python_interpreter": "/usr/bin/python3",
            "netns_lab_switch": f"{self._prefix}sw", **variables,
        }  # fmt: skip
        names = {
            host: {"ansible_netns": self.namespace(host), "pairbench_address": address, **of_hosts.get(host, {})}
            for host, address in self.addresses.items()
        }
        (folder / "lab.yml").write_text(yaml.safe_dump({"netns_lab": {"hosts": names, "vars": shared}}))

    def namespace(self, host: str) -> str:
        """The name of a host's namespace on this machine."""
        return self._prefix + host

    def sweep(self, name: str = "default") -> Path:
        """The folder of a sweep."""
        return self.folder / "results" / name

    def command(self, playbook: str, *arguments: str) -> list[str]:
        """What plays a playbook on the lab."""
        forks = str(2 * len(self.addresses))
        return [str(BIN / "ansible-playbook"), playbook, "-i", "lab.yml", "--forks", forks, *arguments]

    def play(self, playbook: str, *arguments: str, before: Sequence[str] = ()) -> str:
        """Play a playbook; its output. Ends the program with it where the playbook fails."""
        argv = [*before, *self.command(playbook, *arguments)]
        done = subprocess.run(argv, cwd=self.folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(argv)}\n{done.stdout[-4000:]}{done.stderr}")
        return done.stdout

    def remove(self) -> None:
        """Take the namespaces away."""
        self.play("pairbench.lab.netns_lab", "-e", "netns_lab_state=absent")


def fleet(folder: Path, hosts: int, subnet: int, seconds: int) -> Lab:
    """A lab for rounds of untraced iperf3 runs of that length: a full mesh, and a sample of one with more than 16 hosts.

    The sample has about as many rounds as 16 hosts have.
    """
    pairs = MOST_ROUNDS * hosts // 2 if hosts > MOST_ROUNDS + 1 else 0
    return Lab(
        folder, hosts, subnet, iperf3_seconds=seconds, pairbench_blocks=1, pairbench_trace=False,
        pairbench_benchmarks=["iperf3"], pairbench_sample=pairs,
    )  # fmt: skip
