"""A lab of virtual machines for real: provisioned, measured, removed, each twice; and refused, and failing."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt
import pytest
import yaml
from bench import words
from roots import recap

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
BOOT_SECONDS = 540


def kept() -> Path:
    """Where images are kept between runs, as the roots of the install tests are."""
    default = Path(tempfile.gettempdir()) / f"pairbench-test-vm-{os.geteuid()}"
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
        hosts = {name: {"ansible_connection": "local"} if name == "localhost" else {} for name in hypervisors}
        variables = {"ansible_python_interpreter": "/usr/bin/python3"}
        self._write("hosts.yml", {"hypervisors": {"hosts": hosts, "vars": variables}})
        self._write("vm_lab.yml", {"plugin": "pairbench.lab.vm_lab"})
        self.set()

    def set(self, **variables: Any) -> None:
        """Write the variables of the lab."""
        everywhere = {
            "vm_lab_name": self.name, "vm_lab_dir": str(kept()), "vm_lab_access": str(self.access),
            "vm_lab_backend": self.backend, "vm_lab_ssh_port": 30000 + os.getpid() % 20000,
            "vm_lab_boot_seconds": BOOT_SECONDS, "iperf3_seconds": 2, "sockperf_seconds": 2, "pairbench_blocks": 1,
        }
        self._write("group_vars/all.yml", everywhere | variables)

    def _write(self, name: str, content: Any) -> None:
        path = self.directory / "lab" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content), encoding="utf-8")

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        environment |= {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACKS_ENABLED": "pairbench.lab.summary"}
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


def changes(done: subprocess.CompletedProcess[str]) -> int:
    assert done.returncode == 0, done.stdout + done.stderr
    return recap(done.stdout, "localhost")["changed"]


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
    assert {run["configuration"] for run in runs} <= {"qemu-tcg", "kvm", "kvm-vhost"}
    counted = {(row["run_id"], row["side"]) for row in lab.table("syscalls") if row["target"] == "vmm"}
    traced = {run["run_id"] for run in runs if run["traced"] == "true"} - {run["run_id"] for run in late}
    assert counted >= {(run, side) for run in traced for side in ("server", "client")}, measured.stdout


@pytest.fixture
def libvirtd() -> Iterator[libvirt.Libvirtd]:
    """libvirtd, which this machine does not run itself."""
    if libvirt.answers():
        pytest.skip("this machine runs a libvirtd of its own, which is not ours to test with")
    libvirt.install()
    daemon = libvirt.Libvirtd()
    try:
        daemon.up()
        yield daemon
    finally:
        daemon.down()


def test_a_lab_of_libvirt_is_provisioned_measured_and_removed(libvirtd: libvirt.Libvirtd, lab: VmLab) -> None:
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


def text(value: Any) -> str:
    """A value of ``ansible-inventory --list``, which marks what came from a plugin."""
    return str(value["__ansible_unsafe"]) if isinstance(value, dict) else str(value)
