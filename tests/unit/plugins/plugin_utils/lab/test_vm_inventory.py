"""The inventory of a lab: whose option counts, and what everybody's variables are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.lab.vm_inventory import lab_inventory, lab_options
from ansible_collections.pairbench.lab.plugins.plugin_utils.lab.vm_lab import LabError

GIVEN: dict[str, Any] = {
    "name": "vm_lab", "pairs": 1, "placement": "together", "network": "isolated", "subnet": "10.10.1.0/24",
    "ssh_port": 22000, "access": "",
}  # fmt: skip
NOTE = {
    "backend": "qemu", "accel": "tcg", "vhost": False, "queues": 1, "vcpus": 1, "memory_mib": 1024, "pin": [],
    "network": "isolated", "folder": "/var/lib/lab",
}  # fmt: skip
HYPERVISORS: dict[str, dict[str, Any]] = {"hv1": {"ansible_connection": "local"}, "hv2": {"ansible_user": "ada"}}


def never(sentence: str) -> None:
    raise AssertionError(sentence)


def options(access: Path, **changes: Any) -> dict[str, Any]:
    return GIVEN | {"access": str(access)} | changes


def provision(access: Path, name: str, **changes: Any) -> None:
    (access / f"{name}.json").write_text(json.dumps(NOTE | changes), encoding="utf-8")


def test_a_variable_overrides_the_option_of_its_name() -> None:
    assert lab_options(GIVEN, {"vm_lab_pairs": "3", "vm_lab_name": "other"}) == GIVEN | {"pairs": 3, "name": "other"}
    with pytest.raises(LabError, match=r"^vm_lab_ssh_port is 'many': give a whole number$"):
        lab_options(GIVEN, {"vm_lab_ssh_port": "many"})


def test_a_lab_that_is_not_made_yet_has_its_guests_and_pairs_already(tmp_path: Path) -> None:
    lab = lab_inventory(options(tmp_path, pairs=2), HYPERVISORS, never)
    assert [variables["pairbench_hypervisor"] for variables in lab.guests.values()] == ["hv1", "hv1", "hv2", "hv2"]
    assert "ProxyCommand" not in lab.guests["vm1"]["ansible_ssh_common_args"]
    assert "ada" in lab.guests["vm3"]["ansible_ssh_common_args"]
    assert lab.everywhere["pairbench_pairs"] == [["vm1", "vm2"], ["vm3", "vm4"]]
    assert "pairbench_configuration" not in lab.everywhere and not lab.hypervisors
    assert lab.everywhere["vm_lab_access"] == str(tmp_path)


def test_the_keys_are_below_the_home_folder_where_nothing_is_said() -> None:
    lab = lab_inventory(GIVEN, HYPERVISORS, never)
    assert lab.everywhere["vm_lab_access"] == str(Path("~/.local/state/pairbench/vm_lab").expanduser())


def test_what_provisioning_noted_names_the_lab_and_how_guests_are_counted(tmp_path: Path) -> None:
    provision(tmp_path, "hv1")
    provision(tmp_path, "hv2", backend="libvirt")
    lab = lab_inventory(options(tmp_path), HYPERVISORS, never)
    assert lab.hypervisors == {"hv1": {"pairbench_observer_netns": "pairbench-vm_lab"}}
    assert lab.everywhere["pairbench_configuration"] == "qemu-tcg"
    assert lab.guests["vm1"]["pairbench_vmm_pid_file"] == "/var/lib/lab/vm1/qemu.pid"
    assert not lab_inventory(options(tmp_path, network="bridge"), HYPERVISORS, never).hypervisors


def test_a_note_that_cannot_be_read_is_said_and_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "hv1.json").write_text("{", encoding="utf-8")
    said: list[str] = []
    lab = lab_inventory(options(tmp_path), HYPERVISORS, said.append)
    assert "pairbench_configuration" not in lab.everywhere and "hv1.json cannot be read" in said[0]
    (tmp_path / "hv2.json").write_text("{", encoding="utf-8")
    assert lab_inventory(options(tmp_path, network="bridge"), HYPERVISORS, said.append) == lab_inventory(
        options(tmp_path, network="bridge"), HYPERVISORS, lambda _sentence: None
    )
    assert not any("hv2" in sentence for sentence in said), "it carries no guest of this lab"
