"""A lab of virtual machines for real: provisioned, measured, removed, each twice; and refused, and failing."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt_lab
import pytest
from bench import words
from cloud_image import cloud_image
from namespaces import run
from vm_labs import VmLab, changes, kept, text

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[VmLab]:
    """A lab that is not made yet; always removed."""
    planned = VmLab(tmp_path)
    try:
        yield planned
    finally:
        if planned.left():
            planned.set()
            planned.play("destroy")
        assert not planned.left()


def test_a_lab_is_provisioned_measured_and_removed(lab: VmLab) -> None:
    assert changes(lab.play("provision")) > 0
    pids = sorted(lab.emulators())
    assert len(pids) == 2
    hosts = lab.inventory()["_meta"]["hostvars"]
    files = [Path(text(hosts[name]["pairbench_vmm_pid_file"])) for name in ("vm1", "vm2")]
    assert sorted(int(path.read_text()) for path in files) == pids
    assert "StrictHostKeyChecking=yes" in text(hosts["vm1"]["ansible_ssh_common_args"])

    assert changes(lab.play("provision")) == 0
    assert sorted(lab.emulators()) == pids

    measure(lab)
    # Their data goes over the bridge in the namespace.
    shown = json.loads(subprocess.run(
        ["ip", "-n", lab.netns.name, "-json", "-stats", "link", "show", "master", "br0"],
        check=True, capture_output=True, text=True,
    ).stdout)  # fmt: skip
    carried = [link["stats64"]["rx"]["bytes"] + link["stats64"]["tx"]["bytes"] for link in shown]
    assert len(carried) == 2 and min(carried) > 1_000_000

    assert changes(lab.play("destroy")) > 0
    assert not lab.left()
    assert changes(lab.play("destroy")) == 0
    assert [path.name for path in kept().iterdir()] == ["images"]


def measure(lab: VmLab) -> None:
    """Run the main job; nothing but the guests is under test, and what carries them is counted."""
    measured = lab.play("bench")
    runs = lab.table("runs")
    assert {(run["server"], run["client"]) for run in runs} == {("vm1", "vm2"), ("vm2", "vm1")}
    # An emulated guest on a busy machine may not keep to the length of a run; everything else must be right.
    late = [run for run in runs if run["reason"] == "long_run"]
    assert len(runs) == 4 and len(late) < 4, measured.stdout + measured.stderr
    assert {run["status"] for run in runs if run not in late} == {"valid"}, measured.stdout + measured.stderr
    assert measured.returncode == 0 or late, measured.stdout + measured.stderr
    assert {run["configuration"] for run in runs} <= {"qemu-tcg", "qemu-tcg-vhost", "kvm", "kvm-vhost"}
    counted = {(row["run_id"], row["side"]) for row in lab.table("syscalls") if row["target"] == "vmm"}
    traced = {run["run_id"] for run in runs if run["traced"] == "true"} - {run["run_id"] for run in late}
    assert counted >= {(run, side) for run in traced for side in ("server", "client")}, measured.stdout


@pytest.fixture
def libvirtd() -> Iterator[libvirt_lab.Libvirtd]:
    """libvirtd, which this machine does not run itself."""
    if libvirt_lab.answers():
        pytest.skip("this machine runs a libvirtd of its own, which is not ours to test with")
    libvirt_lab.install()
    daemon = libvirt_lab.Libvirtd()
    try:
        daemon.up()
        yield daemon
    finally:
        daemon.down()


def test_a_lab_of_libvirt_is_provisioned_measured_and_removed(libvirtd: libvirt_lab.Libvirtd, lab: VmLab) -> None:
    if not list(kept().glob("images/*")):
        # Packages for the image cannot be fetched from inside the namespace.
        changes(lab.play("provision"))
        changes(lab.play("destroy"))
    lab.enter, lab.backend = libvirtd.enter, "libvirt"
    lab.set()
    assert changes(lab.play("provision")) > 0
    assert sorted(libvirtd.virsh("list", "--name")) == [f"{lab.name}-vm1", f"{lab.name}-vm2"]
    pids = sorted(lab.emulators())
    assert changes(lab.play("provision")) == 0
    assert sorted(lab.emulators()) == pids and len(pids) == 2
    assert text(lab.inventory()["_meta"]["hostvars"]["vm1"]["pairbench_vmm_libvirt"]) == f"{lab.name}-vm1"
    measure(lab)
    assert changes(lab.play("destroy")) > 0
    assert not lab.left()
    assert libvirtd.virsh("list", "--all", "--name") == []
    assert f"pairbench-{lab.name}" not in libvirtd.virsh("net-list", "--all", "--name")
    assert changes(lab.play("destroy")) == 0


def test_a_cloud_image_starts_through_its_own_boot_loader_and_cloud_init(lab: VmLab) -> None:
    """No kernel is given, the addresses and keys are cloud-init's to set, and iperf3 comes from the guests' packages."""
    image = cloud_image()
    right = run("sha256sum", str(image)).stdout.split()[0]
    given = {"vm_lab_image": str(image), "vm_lab_accel": "tcg"}
    lab.set(**given, vm_lab_image_checksum=f"sha256:{right[::-1]}")
    refused = lab.play("provision")
    assert refused.returncode != 0
    assert f"has the checksum {right} and vm_lab_image_checksum says" in words(refused.stdout + refused.stderr)
    assert not lab.left()

    lab.set(**given, vm_lab_image_checksum=f"sha256:{right}")
    assert changes(lab.play("provision")) > 0
    assert changes(lab.play("provision")) == 0
    measure(lab)
    assert changes(lab.play("destroy")) > 0
    assert not lab.left() and image.exists()


def test_check_mode_refuses_and_makes_nothing(lab: VmLab) -> None:
    done = lab.play("provision", "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not lab.left()
    lab.set(vm_lab_queues=2)
    assert lab.play("provision", "--check").returncode != 0


def test_a_provision_that_fails_removes_what_it_made_and_shows_the_consoles(lab: VmLab) -> None:
    lab.set(vm_lab_boot_seconds=8)
    done = lab.play("provision")
    assert done.returncode != 0
    said = words(done.stdout + done.stderr)
    assert "could not be made" in said, said
    # The firmware, the kernel or systemd, depending on how far a busy machine came.
    booting = r"SeaBIOS|Booting from|\[ +\d+\.\d{6}\]|Starting |Started |Finished |Reached target "
    assert re.search(rf"The console of vm1 ended with: .*({booting})", said), said
    assert not lab.left()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"vm_lab_queues": 2}, "A queue needs a CPU"),
        ({"vm_lab_pin": ["4095"]}, "vm_lab_pin names CPU 4095"),
        ({"vm_lab_network": "bridge"}, "Name an existing bridge"),
        ({"vm_lab_image": "https://images.example/disk.qcow2"}, "vm_lab_image_checksum must say"),
        ({"vm_lab_vhost": "perhaps"}, "choose true, false or auto"),
        ({"vm_lab_pairs": 0}, "a lab has at least one pair"),
        ({"vm_lab_kernel": "/boot/vmlinuz"}, "belong to vm_lab_image"),
        *([] if Path("/dev/vhost-net").exists() else [({"vm_lab_vhost": True}, "Load the module vhost_net")]),
    ],
)
def test_what_cannot_be_had_is_refused_before_anything_is_changed(
    lab: VmLab, variables: dict[str, Any], said: str
) -> None:
    lab.set(**variables)
    done = lab.play("provision")
    assert said in words(done.stdout + done.stderr), done.stdout + done.stderr
    assert "changed: [" not in done.stdout
    assert not lab.left()
    lab.set()


def test_guests_are_placed_on_several_hypervisors(tmp_path: Path) -> None:
    lab = VmLab(tmp_path, ("hv1", "hv2"))
    lab.set(vm_lab_pairs=2)
    found = lab.inventory()
    hosts = found["_meta"]["hostvars"]
    assert sorted(found["vm_lab"]["hosts"]) == ["vm1", "vm2", "vm3", "vm4"]
    assert [text(hosts[f"vm{n}"]["pairbench_hypervisor"]) for n in (1, 2, 3, 4)] == ["hv1", "hv1", "hv2", "hv2"]
    assert "ProxyCommand=ssh -W %h:%p hv2" in text(hosts["vm4"]["ansible_ssh_common_args"])
    assert [[text(name) for name in pair] for pair in hosts["vm1"]["pairbench_pairs"]] == [["vm1", "vm2"], ["vm3", "vm4"]]
