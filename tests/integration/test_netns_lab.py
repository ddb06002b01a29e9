"""The role netns_lab for real: it makes, mends and removes labs, and the machine's own network stays as it was."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from bench import ANSIBLE_PLAYBOOK, words
from namespaces import run
from roots import install, recap

NUMBERS = itertools.count(1)
# Nothing listens on this port: a refusal is the other host's answer, where silence ends with a timeout.
REACH = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 9), timeout=5)
except ConnectionRefusedError:
    sys.exit(0)
except OSError as error:
    sys.exit(str(error))
"""


class Lab:
    """Some hosts in namespaces of names of their own, and the role that makes them."""

    def __init__(self, hosts: int, directory: Path) -> None:
        prefix = f"pblab{os.getpid()}n{next(NUMBERS)}"
        self.names = [f"{prefix}h{number}" for number in range(1, hosts + 1)]
        self.switch = f"{prefix}sw"
        self.addresses = [f"10.10.88.{number}" for number in range(1, hosts + 1)]
        self._directory = directory

    def play(self, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        """The role over the lab."""
        hosts = [{"netns": name, "address": address} for name, address in zip(self.names, self.addresses, strict=True)]
        settings: dict[str, Any] = {"netns_lab_hosts": hosts, "netns_lab_switch": self.switch} | variables
        localhost = {"localhost": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}
        return install(self._directory, localhost, *arguments, playbook="pairbench.lab.netns_lab", **settings)

    def changed(self, *arguments: str, **variables: Any) -> bool:
        """Whether the role, which must succeed, changed something."""
        done = self.play(*arguments, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return recap(done.stdout, "localhost")["changed"] > 0

    def there(self) -> list[str]:
        """The namespaces of the lab that exist."""
        return [name for name in (*self.names, self.switch) if Path("/run/netns", name).exists()]

    def reached(self) -> dict[tuple[str, str], bool]:
        """Whether each host reaches each address of the lab."""
        return {
            (name, address): subprocess.run(
                ["nsenter", f"--net=/run/netns/{name}", sys.executable, "-c", REACH, address], check=False,
            ).returncode == 0
            for name in self.names
            for address in self.addresses
        }

    def addresses_of(self, name: str) -> set[str]:
        """The addresses of the data interface of a host, as far as they are not of its link alone."""
        shown = json.loads(run("ip", "-n", name, "-json", "addr", "show", "dev", "data0").stdout)
        return {f"{one['local']}/{one['prefixlen']}" for one in shown[0]["addr_info"] if one["scope"] == "global"}

    def limit(self, name: str) -> str:
        """What tc says of the sending side of a host."""
        return run("tc", "-n", name, "qdisc", "show", "dev", "data0").stdout

    def remove(self) -> None:
        for name in self.there():
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def machine() -> dict[str, Any]:
    """The machine's own links, addresses, routes and rules, without what time changes."""
    shown = {
        what: json.loads(run("ip", "-json", *what.split()).stdout or "[]")
        for what in ("link show", "addr show", "-4 route show table all", "-6 route show table all", "rule show")
    }
    for address in (one for link in shown["addr show"] for one in link["addr_info"]):
        for lifetime in ("valid_life_time", "preferred_life_time"):
            address.pop(lifetime, None)
    for route in shown["-6 route show table all"]:
        route.pop("expires", None)
    return shown


@pytest.fixture(params=[2, 4], ids=["wire", "switch"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """A lab that is not made yet; always removed."""
    planned = Lab(request.param, tmp_path)
    try:
        yield planned
    finally:
        planned.remove()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Lab]:
    """Two hosts, joined by a wire."""
    planned = Lab(2, tmp_path)
    try:
        assert planned.changed()
        yield planned
    finally:
        planned.remove()


def test_a_lab_is_made_and_removed_once_and_the_machine_is_left_alone(lab: Lab) -> None:
    before = machine()
    assert lab.changed("--check")
    assert lab.there() == []

    assert lab.changed()
    assert lab.there() == lab.names + ([lab.switch] if len(lab.names) > 2 else [])
    assert all(lab.reached().values()), lab.reached()
    assert machine() == before
    assert not lab.changed()

    assert lab.changed("--check", netns_lab_state="absent")
    assert len(lab.there()) >= len(lab.names)
    assert lab.changed(netns_lab_state="absent")
    assert lab.there() == []
    assert not lab.changed(netns_lab_state="absent")
    assert machine() == before


def test_what_the_group_of_the_lab_says_of_it_counts(tmp_path: Path) -> None:
    planned = Lab(3, tmp_path)
    hosts = {
        f"vm{number}": {"ansible_connection": "pairbench.lab.netns", "ansible_netns": name, "pairbench_address": address}
        for number, (name, address) in enumerate(zip(planned.names, planned.addresses, strict=True), start=1)
    }
    inventory = tmp_path / "lab.yml"
    inventory.write_text(yaml.safe_dump({"netns_lab": {"hosts": hosts, "vars": {"netns_lab_switch": planned.switch}}}))
    try:
        for state, there in (("present", [*planned.names, planned.switch]), ("absent", [])):
            argv = [ANSIBLE_PLAYBOOK, "pairbench.lab.netns_lab", "-i", str(inventory), "-e", f"netns_lab_state={state}"]
            done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            assert planned.there() == there
    finally:
        planned.remove()


def test_a_wrong_address_is_mended(two: Lab) -> None:
    first = two.names[0]
    run("ip", "-n", first, "addr", "flush", "dev", "data0")
    run("ip", "-n", first, "addr", "add", "10.10.88.77/24", "dev", "data0")
    assert two.changed("--check")
    assert two.addresses_of(first) == {"10.10.88.77/24"}
    assert two.changed()
    assert two.addresses_of(first) == {"10.10.88.1/24"}
    assert all(two.reached().values())
    assert not two.changed()


def test_what_else_was_broken_is_mended(two: Lab) -> None:
    run("ip", "-n", two.names[1], "link", "set", "data0", "down")
    assert two.changed()
    assert all(two.reached().values())
    run("ip", "netns", "del", two.names[1])
    assert two.changed()
    assert all(two.reached().values())
    assert not two.changed()


def test_a_port_that_left_the_switch_is_put_back(tmp_path: Path) -> None:
    planned = Lab(3, tmp_path)
    try:
        assert planned.changed()
        run("ip", "-n", planned.switch, "link", "set", "port1", "nomaster")
        assert planned.changed()
        assert all(planned.reached().values())
        run("ip", "netns", "del", planned.switch)
        assert planned.changed()
        assert all(planned.reached().values())
        assert not planned.changed()
    finally:
        planned.remove()


@pytest.mark.parametrize(("first", "shown", "second"), [
    ("1000mbit", "1Gbit", "2.5gbit"), ("100Mbit", "100Mbit", "1500mbit"),
])
def test_a_rate_limit_is_set_once_changed_and_taken_off(two: Lab, first: str, shown: str, second: str) -> None:
    assert two.changed("--check", netns_lab_rate=first)
    assert "tbf" not in two.limit(two.names[0])
    assert two.changed(netns_lab_rate=first)
    for name in two.names:
        assert f"rate {shown} " in two.limit(name)
    assert not two.changed(netns_lab_rate=first)
    assert two.changed(netns_lab_rate=second)
    assert f"rate {shown} " not in two.limit(two.names[0])
    assert not two.changed(netns_lab_rate=second)
    assert two.changed()
    assert "tbf" not in two.limit(two.names[0])
    assert not two.changed()


def test_other_namespaces_are_left_alone(two: Lab, tmp_path: Path) -> None:
    bystander = f"{two.names[0]}other"
    run("ip", "netns", "add", bystander)
    try:
        assert two.changed(netns_lab_state="absent")
        assert Path("/run/netns", bystander).exists()
    finally:
        run("ip", "netns", "del", bystander)


def test_a_lab_of_one_is_refused(tmp_path: Path) -> None:
    done = Lab(1, tmp_path).play()
    assert done.returncode == 2
    assert "a lab has at least two hosts; hosts names 1" in words(done.stdout + done.stderr)


def test_a_rate_that_tc_does_not_know_is_refused(two: Lab) -> None:
    done = two.play(netns_lab_rate="fast")
    assert done.returncode == 2
    assert "netns_lab_rate" in words(done.stdout + done.stderr) and "fast" in done.stdout + done.stderr


def test_a_lab_grows_and_shrinks(tmp_path: Path) -> None:
    large = Lab(3, tmp_path)
    names, addresses = large.names, large.addresses
    try:
        for count in (2, 3, 2):
            large.names, large.addresses = names[:count], addresses[:count]
            assert large.changed("--check")
            assert large.changed()
            assert all(large.reached().values()), large.reached()
            assert not large.changed()
    finally:
        large.names = names
        large.remove()


@pytest.mark.parametrize(("address", "sentence"), [
    ("10.10.88.1", "the address 10.10.88.1 is given to two hosts"),
    ("10.10.88.256", "mend pairbench_address"),
])
def test_an_address_that_cannot_be_is_refused(address: str, sentence: str, tmp_path: Path) -> None:
    planned = Lab(2, tmp_path)
    planned.addresses[1] = address
    done = planned.play()
    assert done.returncode == 2
    assert sentence in words(done.stdout + done.stderr)
    assert planned.there() == []


def test_an_ipv6_lab_is_made_once(tmp_path: Path) -> None:
    planned = Lab(2, tmp_path)
    planned.addresses = ["fd00:10:10:88::1", "fd00:10:10:88:0:0:0:2"]
    try:
        assert planned.changed(netns_lab_prefix_length=64)
        assert planned.addresses_of(planned.names[1]) == {"fd00:10:10:88::2/64"}
        assert not planned.changed(netns_lab_prefix_length=64)
        assert all(planned.reached().values()), planned.reached()
    finally:
        planned.remove()
