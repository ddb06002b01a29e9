"""The role that makes the default lab, in namespaces of its own names."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from bench import ANSIBLE_PLAYBOOK, changed_total
from namespaces import run


class Lab:
    """A lab of ``count`` namespaces, made and removed with the role."""

    def __init__(self, directory: Path, count: int) -> None:
        self.names = [f"pbnl{os.getpid()}n{number}" for number in range(count)]
        self.switch = f"pbnl{os.getpid()}sw"
        self._directory = directory
        self.variables: dict[str, object] = {
            "netns_lab_switch": self.switch,
            "netns_lab_hosts": [
                {"netns": name, "address": f"10.10.88.{number}"} for number, name in enumerate(self.names, 1)
            ],
        }

    def play(self, state: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        extra = self._directory / "extra.yml"
        extra.write_text(yaml.safe_dump(self.variables | {"netns_lab_state": state}))
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        return run(ANSIBLE_PLAYBOOK, "pairbench.lab.netns_lab", "-e", f"@{extra}", *arguments,
                   cwd=self._directory, env=environment | {"ANSIBLE_NOCOLOR": "1"})

    def there(self) -> set[str]:
        found = {path.name for path in Path("/run/netns").iterdir()} if Path("/run/netns").exists() else set()
        return found & {*self.names, self.switch}


@pytest.fixture(params=[2, 4])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path, request.param)
    yield made
    for name in made.there():
        subprocess.run(["ip", "netns", "delete", name], check=False)


def reaches(netns: str, address: str) -> bool:
    """Whether an address answers: nobody listens on the port, so a host that is there refuses."""
    code = f"import socket; socket.create_connection(({address!r}, 9), 3)"
    done = subprocess.run(["nsenter", f"--net=/run/netns/{netns}", sys.executable, "-c", code],
                          capture_output=True, text=True, check=False)
    return "ConnectionRefusedError" in done.stderr


def machine() -> list[str]:
    """The machine's own network: links, addresses, routes and rules."""
    return [run("ip", "-json", *what).stdout for what in (["link"], ["-4", "addr"], ["route"], ["rule"])]


def test_the_lab_is_made_and_removed_once_and_leaves_the_machine_alone(lab: Lab) -> None:
    before = [text.count('"ifname"') for text in machine()], machine()[2:]
    checked = lab.play("present", "--check")
    assert changed_total(checked.stdout) == 1 and not lab.there()
    assert changed_total(lab.play("present").stdout) == 1
    assert lab.there() == {*lab.names, *([lab.switch] if len(lab.names) > 2 else [])}
    assert changed_total(lab.play("present").stdout) == 0
    for name in lab.names:
        for number in range(1, len(lab.names) + 1):
            assert reaches(name, f"10.10.88.{number}")
    assert ([text.count('"ifname"') for text in machine()], machine()[2:]) == before
    assert changed_total(lab.play("absent").stdout) == 1
    assert not lab.there()
    assert changed_total(lab.play("absent").stdout) == 0


def test_what_has_been_changed_by_hand_is_mended(lab: Lab) -> None:
    lab.play("present")
    first = lab.names[0]
    run("ip", "-n", first, "addr", "add", "10.10.88.77/24", "dev", "data0")
    run("ip", "-n", first, "link", "set", "data0", "down")
    mended = lab.play("present", "--diff")
    assert changed_total(mended.stdout) == 1 and "addr del 10.10.88.77/24" in mended.stdout
    assert changed_total(lab.play("present").stdout) == 0


def test_a_rate_limit_is_set_and_taken_away_once(lab: Lab) -> None:
    lab.variables["netns_lab_rate"] = "1000mbit"
    assert changed_total(lab.play("present").stdout) == 1
    assert changed_total(lab.play("present").stdout) == 0
    assert "rate 1Gbit" in run("tc", "-n", lab.names[1], "qdisc", "show", "dev", "data0").stdout
    lab.variables["netns_lab_rate"] = ""
    assert changed_total(lab.play("present").stdout) == 1
    assert changed_total(lab.play("present").stdout) == 0
