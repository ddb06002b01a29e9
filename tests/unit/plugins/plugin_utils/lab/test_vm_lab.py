"""The plan of a lab of virtual machines: guests, addresses, placement."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.lab.vm_lab import (
    LabError,
    LabSettings,
    configuration,
    guest_variables,
    hypervisor_address,
    lab_guests,
    lab_note,
    lab_pairs,
    read_note,
    ssh_proxy_command,
)
from hypothesis import given
from hypothesis import strategies as st

ONE = LabSettings("vm_lab", 1, ("localhost",))


def test_one_pair_on_one_hypervisor() -> None:
    guests = lab_guests(ONE)
    assert [guest.name for guest in guests] == ["vm1", "vm2"]
    assert [guest.address for guest in guests] == ["10.10.1.1/24", "10.10.1.2/24"]
    assert [guest.port for guest in guests] == [22001, 22002]
    assert [guest.domain for guest in guests] == ["vm_lab-vm1", "vm_lab-vm2"]
    assert hypervisor_address(ONE) == "10.10.1.254/24"


@pytest.mark.parametrize(
    ("placement", "expected"),
    [("together", ["a", "a", "b", "b", "c", "c", "a", "a"]), ("spread", ["a", "b", "c", "a", "b", "c", "a", "b"])],
)
def test_guests_go_round_the_hypervisors(placement: str, expected: list[str]) -> None:
    guests = lab_guests(LabSettings("lab", 4, ("a", "b", "c"), placement))
    assert [guest.hypervisor for guest in guests] == expected
    assert lab_pairs(guests) == [["vm1", "vm2"], ["vm3", "vm4"], ["vm5", "vm6"], ["vm7", "vm8"]]


@given(st.integers(1, 100), st.integers(1, 5), st.sampled_from(["together", "spread"]), st.integers(1, 60000))
def test_no_two_guests_share_anything(pairs: int, hypervisors: int, placement: str, port: int) -> None:
    names = tuple(f"h{number}" for number in range(hypervisors))
    guests = lab_guests(LabSettings("lab", pairs, names, placement, ssh_port=port))
    for field in ("name", "number", "domain", "uuid", "address", "port", "mac", "management_mac", "tap"):
        assert len({getattr(guest, field) for guest in guests}) == 2 * pairs, field
    network = ipaddress.ip_network("10.10.1.0/24")
    assert all(ipaddress.ip_interface(guest.address).ip in network for guest in guests)
    # The kernel's limit for names of interfaces.
    assert all(len(guest.tap) <= 15 for guest in guests)
    if placement == "together":
        assert all(one.hypervisor == two.hypervisor for one, two in zip(guests[::2], guests[1::2], strict=True))


@given(st.integers(1, 50), st.integers(1, 50))
def test_a_larger_lab_keeps_the_guests_of_a_smaller_one(small: int, more: int) -> None:
    assert lab_guests(LabSettings("lab", small + more, ("a",)))[: 2 * small] == lab_guests(LabSettings("lab", small, ("a",)))


def test_labs_of_other_names_share_no_hardware_address() -> None:
    macs = {guest.mac for name in ("one", "two") for guest in lab_guests(LabSettings(name, 10, ("a",)))}
    assert len(macs) == 40


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "vm_lab_name is ''"),
        ({"name": "../images"}, "vm_lab_name"),
        ({"name": "a,b"}, "vm_lab_name"),
        ({"pairs": 0}, "vm_lab_pairs is 0"),
        ({"hypervisors": ()}, "group hypervisors"),
        ({"placement": "apart"}, "vm_lab_placement"),
        ({"subnet": "10.10.1.1/24"}, "vm_lab_subnet"),
        ({"subnet": "10.10.1.0/30"}, "do not fit"),
        ({"pairs": 127}, "do not fit"),
        ({"ssh_port": 65535}, "vm_lab_ssh_port"),
    ],
)
def test_what_cannot_be_is_refused_with_the_variable_to_mend(changes: dict[str, object], said: str) -> None:
    with pytest.raises(LabError, match=said):
        lab_guests(dataclasses.replace(ONE, **changes))  # type: ignore[arg-type]


def test_a_guest_is_reached_with_its_host_key_known() -> None:
    guest = lab_guests(ONE)[0]
    found = guest_variables(guest, ONE, "/keys", {}, "")
    words = found["ansible_ssh_common_args"]
    assert "StrictHostKeyChecking=yes" in words and "HostKeyAlias=vm_lab-vm1" in words and "/keys/known_hosts" in words
    assert "ProxyCommand" not in words
    assert found["ansible_ssh_private_key_file"] == "/keys/id_ed25519"
    assert found["pairbench_address"] == "10.10.1.1"
    assert found["pairbench_hypervisor"] == "localhost"
    assert not [name for name in found if name.startswith("pairbench_vmm")]


def test_the_emulator_is_named_once_it_is_known_what_it_is() -> None:
    guest = lab_guests(ONE)[1]
    qemu = guest_variables(guest, ONE, "/keys", {"backend": "qemu", "folder": "/labs/vm_lab"}, "")
    assert qemu["pairbench_vmm_pid_file"] == "/labs/vm_lab/vm2/qemu.pid"
    assert guest_variables(guest, ONE, "/keys", {"backend": "libvirt"}, "")["pairbench_vmm_libvirt"] == "vm_lab-vm2"


@pytest.mark.parametrize(
    ("variables", "command"),
    [
        ({"ansible_connection": "local"}, ""),
        ({"ansible_connection": "ansible.builtin.local"}, ""),
        ({}, "ssh -W %h:%p hv1"),
        (
            {"ansible_host": "192.0.2.1", "ansible_port": 2222, "ansible_user": "lab", "ansible_ssh_private_key_file": "/k"},
            "ssh -W %h:%p -p 2222 -i /k -l lab 192.0.2.1",
        ),
        (
            {"ansible_ssh_common_args": "-o ProxyCommand='ssh -W %h:%p jump'"},
            "ssh -W %h:%p -o ProxyCommand='ssh -W %%h:%%p jump' hv1",
        ),
    ],
)
def test_ports_of_another_machine_are_reached_through_it(variables: dict[str, object], command: str) -> None:
    assert ssh_proxy_command(variables, "hv1") == command
    words = shlex.split(guest_variables(lab_guests(ONE)[0], ONE, "/my keys", {}, command)["ansible_ssh_common_args"])
    assert [word for word in words if word.startswith("ProxyCommand")] == ([f"ProxyCommand={command}"] if command else [])
    # ssh itself splits the names of files at spaces.
    assert 'UserKnownHostsFile="/my keys/known_hosts"' in words


@pytest.mark.parametrize(
    ("records", "name"),
    [
        ([], ""),
        ([{"accel": "tcg", "vhost": False, "queues": 1}], "qemu-tcg"),
        ([{"accel": "kvm", "vhost": False, "queues": 1}] * 2, "kvm"),
        ([{"accel": "kvm", "vhost": True, "queues": 4}], "kvm-vhost-4q"),
        ([{"accel": "kvm", "vcpus": 1, "memory_mib": 1024, "pin": [], "network": "isolated"}], "kvm"),
        ([{"accel": "kvm", "vcpus": 4, "memory_mib": 2048}], "kvm-4cpu-2048mib"),
        ([{"accel": "kvm", "pin": ["0-1", "2, 4"], "network": "bridge"}], "kvm-pin0-1_2.4-bridge"),
        ([{"accel": "tcg", "vhost": True, "vcpus": 2}], "qemu-tcg-vhost-2cpu"),
        ([{"accel": "kvm", "vhost": True}, {"accel": "tcg"}], "kvm-vhost+qemu-tcg"),
    ],
)
def test_the_configuration_follows_from_what_was_made(records: list[dict[str, object]], name: str) -> None:
    assert configuration(records) == name


NOTE = {
    "backend": "qemu", "accel": "tcg", "vhost": False, "queues": 1, "vcpus": 2, "memory_mib": 1024, "pin": ["0-1", "2,4"],
    "network": "isolated", "folder": "/var/lib/pairbench/vm_lab/labs/vm_lab",
}  # fmt: skip


def test_a_note_of_provisioning_is_taken_as_it_was_made() -> None:
    assert lab_note(NOTE) == NOTE
    # As older Ansible writes it.
    as_text = NOTE | {"vhost": "True", "queues": "1", "vcpus": "2", "memory_mib": "1024", "pin": "0-1"}
    assert lab_note(as_text) == NOTE | {"vhost": True, "pin": ["0-1"]}


@pytest.mark.parametrize(
    "change",
    [
        {"backend": "{{ lookup('pipe', 'id') }}"}, {"accel": "x"}, {"accel": ["tcg"]}, {"vhost": None}, {"vhost": "{{ 1 }}"},
        {"queues": "1{{ 2 }}"}, {"queues": -1}, {"vcpus": 10**9}, {"memory_mib": None}, {"pin": ["{{ x }}"]}, {"pin": [[]]},
        {"pin": {}}, {"network": ""}, {"folder": "/{{ lookup('pipe', 'id') }}"}, {"folder": "relative"}, {"folder": "/a\nb"},
    ],
)  # fmt: skip
def test_a_note_that_provisioning_does_not_make_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        lab_note(NOTE | change)


def test_a_note_that_lacks_something_is_refused_and_what_it_lacks_is_named() -> None:
    for name in NOTE:
        with pytest.raises(ValueError, match=name):
            lab_note({key: value for key, value in NOTE.items() if key != name})


@pytest.mark.parametrize("content", ["null", "[]", '"text"', "7", "{", "{}", "\ud83d", "[" * 9999])
def test_a_file_that_is_no_note_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "localhost.json"
    assert read_note(path) == {}
    path.write_text(content, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(ValueError, match=r"localhost\.json cannot be read"):
        read_note(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match="a FIFO"):
        read_note(path)
    path.unlink()
    path.write_text(json.dumps(NOTE), encoding="utf-8")
    assert read_note(path) == NOTE


@pytest.mark.parametrize("name", ["..", "a/b", ".hidden", "a\nb"])
def test_a_hypervisor_whose_name_no_file_can_have_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="a name that no file can have"):
        lab_guests(LabSettings("vm_lab", 1, (name,)))
