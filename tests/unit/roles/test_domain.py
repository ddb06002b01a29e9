"""The domain that libvirt is given: every variant is in it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from clone import ROOT
from jinja2 import Environment, StrictUndefined

TEMPLATE = ROOT / "roles/vm_lab/templates/domain.xml.j2"
USUAL: dict[str, Any] = {
    "_vm_lab_accel": "kvm", "_vm_lab_vhost": False, "_vm_lab_cpus": [], "_vm_lab_folder": "/labs/lab",
    "_vm_lab_network_name": "pairbench-lab", "_vm_lab_command_line": "console=ttyS0 append='a & b'",
    "_vm_lab_base": SimpleNamespace(kernel="/images/vmlinuz", initrd="/images/initrd.img"),
    "_vm_lab_host": SimpleNamespace(facts=SimpleNamespace(qemu="/usr/bin/qemu-system-x86_64")),
    "vm_lab_memory_mib": 1024, "vm_lab_vcpus": 1, "vm_lab_queues": 1, "vm_lab_network": "isolated", "vm_lab_bridge": "",
    "item": SimpleNamespace(name="vm1", domain="lab-vm1", uuid="7b1c8d5e-6a55-5d5c-9d1c-0c2c4c5f0b1a", port=22001,
                            mac="52:54:00:00:00:02", management_mac="52:54:00:00:00:01"),
}  # fmt: skip


def domain(**variables: Any) -> ElementTree.Element:
    """The domain with these variables, all else being as usual."""
    environment = Environment(trim_blocks=True, undefined=StrictUndefined, autoescape=False)
    text = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(USUAL | variables)
    return ElementTree.fromstring(text)


def test_a_domain_has_its_names_and_its_management_interface() -> None:
    found = domain()
    assert (found.get("type"), found.findtext("name")) == ("kvm", "lab-vm1")
    assert found.findtext("os/cmdline") == "console=ttyS0 append='a & b'"
    words = [word.get("value", "") for word in found.iter("{http://libvirt.org/schemas/domain/qemu/1.0}arg")]
    assert any("hostfwd=tcp:127.0.0.1:22001-:22" in word for word in words)


@pytest.mark.parametrize(
    ("variables", "path", "attributes"),
    [
        ({}, "devices/interface/driver", {"name": "qemu"}),
        ({"_vm_lab_vhost": True}, "devices/interface/driver", {"name": "vhost"}),
        ({"_vm_lab_vhost": True, "vm_lab_queues": 4}, "devices/interface/driver", {"name": "vhost", "queues": "4"}),
        ({"_vm_lab_cpus": [2, 3]}, "vcpu", {"placement": "static", "cpuset": "2,3"}),
        ({"_vm_lab_cpus": [2, 3]}, "cputune/emulatorpin", {"cpuset": "2,3"}),
        ({}, "devices/interface/source", {"network": "pairbench-lab"}),
        ({"vm_lab_network": "bridge", "vm_lab_bridge": "br1"}, "devices/interface/source", {"bridge": "br1"}),
        ({}, "cpu", {"mode": "host-passthrough"}),
        ({"_vm_lab_accel": "tcg"}, "cpu/feature", {"policy": "disable", "name": "cx16"}),
        ({"_vm_lab_base": SimpleNamespace(kernel="", initrd="")}, "os/boot", {"dev": "hd"}),
    ],
)
def test_each_variant_is_in_the_domain(variables: dict[str, Any], path: str, attributes: dict[str, str]) -> None:
    found = domain(**variables).find(path)
    assert found is not None and found.attrib == attributes


def test_cpus_and_memory_are_in_the_domain() -> None:
    found = domain(vm_lab_vcpus=4, vm_lab_memory_mib=2048)
    assert (found.findtext("vcpu"), found.findtext("memory")) == ("4", "2048")
    assert domain().find("cputune") is None
