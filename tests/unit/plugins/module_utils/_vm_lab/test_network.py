"""The data network of a lab of libvirt, with a libvirt that only keeps a list of networks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab import network
from ansible_collections.pairbench.lab.plugins.module_utils._vm_lab.errors import GuestError


class FakeLibvirt:
    """Networks by name, and those that are active; ``refuses`` is the command that fails."""

    def __init__(self) -> None:
        self.defined: dict[str, str] = {}
        self.active: set[str] = set()
        self.refuses = ""

    def network_state(self, name: str) -> tuple[bool, bool]:
        return name in self.defined, name in self.active

    def must(self, command: str, name: str, stdin: str = "") -> str:
        if command == self.refuses:
            raise GuestError(f"virsh {command} failed: the network is already in use")
        if command == "net-define":
            found = re.search("<name>(.*)</name>", stdin)
            assert found
            self.defined[found[1]] = stdin
        elif command == "net-start":
            self.active.add(name)
        elif command == "net-destroy":
            self.active.remove(name)
        elif command == "net-undefine":
            del self.defined[name]
        return self.defined.get(name, "")


@pytest.fixture
def libvirt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeLibvirt:
    fake = FakeLibvirt()
    monkeypatch.setattr(network, "libvirt", fake)
    monkeypatch.setattr(network, "LIBVIRT_NOTES", str(tmp_path))
    return fake


def libvirt_network(address: str) -> network.LibvirtNetwork:
    params = {"name": "lab", "bridge": "pb0", "address": address}
    return network.LibvirtNetwork(params)


def test_a_network_is_made_once_and_again_when_its_address_changes(libvirt: FakeLibvirt) -> None:
    for address, commands in (("10.10.1.254/24", 2), ("10.10.1.254/24", 0), ("10.20.1.254/24", 4)):
        wanted = libvirt_network(address)
        network.make_whole(wanted)
        assert len(wanted.commands) == commands, wanted.commands
        assert libvirt.active == {"lab"} and address.partition("/")[0] in libvirt.defined["lab"]


def test_a_network_that_cannot_be_made_leaves_nothing(libvirt: FakeLibvirt) -> None:
    libvirt.refuses = "net-start"
    with pytest.raises(GuestError, match="already in use"):
        network.make_whole(libvirt_network("10.10.1.254/24"))
    assert not libvirt.defined
