"""What a lab makes, refuses and leaves, on hypervisors whose programs only pretend: no guest is started."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench import words
from namespaces import run
from stand_ins import StandInLab
from vm_labs import changes, text

pytestmark = pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="guests' interfaces need /dev/net/tun")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[StandInLab]:
    """A lab that is not made yet; always removed."""
    planned = StandInLab(tmp_path)
    planned.place(localhost={})
    try:
        yield planned
    finally:
        if planned.left():
            planned.play("destroy")
        assert not planned.left()


@pytest.mark.slow
def test_each_playbook_changes_nothing_the_second_time(lab: StandInLab) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    lab.set(vm_lab_vcpus=2, vm_lab_queues=2, vm_lab_pin=[str(cpus[0]), str(cpus[-1])])
    made = lab.play("provision", *lab.reachable())
    assert changes(made) > 0 and "their figures are only functional" in words(made.stdout), made.stdout
    pids = lab.emulators()
    # In turn, each on its own CPU; two queues to each tap.
    assert {frozenset(os.sched_getaffinity(pid)) for pid in pids} == {frozenset({cpus[0]}), frozenset({cpus[-1]})}
    network = f"pairbench-{lab.name}-localhost"
    shown = run("ip", "-n", network, "-json", "-details", "link", "show", "master", "br0").stdout
    assert [link["linkinfo"]["info_data"]["numqueues"] for link in json.loads(shown)] == [2, 2]
    assert changes(lab.play("provision", *lab.reachable())) == 0
    assert lab.emulators() == pids and len(pids) == 2
    assert changes(lab.play("destroy")) > 0
    assert not lab.left()
    again = lab.play("destroy")
    assert changes(again) == 0 and "WARNING" not in again.stderr, again.stderr
    assert changes(lab.play("destroy", "--check")) == 0


# The program that builds images, at whose start the controller dies.
CONTROLLER_DIES = """#!/usr/bin/python3
import os, signal
pid = os.getpid()
while pid > 1:
    with open(f"/proc/{pid}/cmdline", "rb") as handle:
        if b"/ansible-playbook\\0" in handle.read():
            found = pid
    with open(f"/proc/{pid}/stat") as handle:
        pid = int(handle.read().rpartition(")")[2].split()[1])
os.kill(found, signal.SIGKILL)
"""


@pytest.mark.slow
def test_what_an_interrupted_build_left_goes_with_the_lab(lab: StandInLab) -> None:
    builder = lab.programs / "mmdebstrap"
    builder.write_text(CONTROLLER_DIES, encoding="ascii")
    builder.chmod(0o755)
    lab.set(vm_lab_image="")
    assert lab.play("provision").returncode == -signal.SIGKILL
    assert list((lab.directory / "localhost").rglob("skeleton"))
    assert changes(lab.play("destroy")) > 0
    assert not lab.left() and not list((lab.directory / "localhost/images").iterdir())


@pytest.mark.slow
def test_a_hypervisor_may_carry_no_guest(lab: StandInLab) -> None:
    lab.place(hv1={}, hv2={})
    lab.set(vm_lab_pairs=2)
    assert changes(lab.play("provision", *lab.reachable()), "hv2") > 0
    assert len(lab.emulators()) == 4
    lab.set(vm_lab_pairs=1, vm_lab_vcpus=2)
    assert changes(lab.play("provision", *lab.reachable()), "hv2") > 0
    assert len(lab.emulators()) == 2 and not (lab.directory / "hv2/labs").exists()
    assert text(lab.inventory()["_meta"]["hostvars"]["vm1"]["pairbench_configuration"]) == "qemu-tcg-2cpu"
    assert changes(lab.play("provision", *lab.reachable()), "hv2") == 0


def test_the_pairs_that_are_asked_for_are_the_ones_that_are_measured(lab: StandInLab) -> None:
    lab.set(vm_lab_pairs=2)
    variables = lab.inventory()["_meta"]["hostvars"]["vm1"]
    assert [[text(name) for name in pair] for pair in variables["pairbench_pairs"]] == [["vm1", "vm2"], ["vm3", "vm4"]]


@pytest.mark.slow
def test_a_lab_is_made_on_every_hypervisor_or_on_none(lab: StandInLab) -> None:
    lab.place(hv1={}, hv2={"vm_lab_pin": ["4095"]})
    lab.set(vm_lab_pairs=2)
    refused = lab.play("provision", *lab.reachable())
    assert "hv2: vm_lab_pin names CPU 4095" in words(refused.stdout) and "changed: [" not in refused.stdout
    lab.place(hv1={}, hv2={})
    (lab.programs / "broken").touch()
    done = lab.play("provision", *lab.reachable())
    said = words(done.stdout)
    assert "did not start: no guest today" in said and "another hypervisor of the lab failed" in said, said
    assert not lab.left()


NOTHING_REMOVED = """#!/bin/sh
[ "$1 $2" = "netns delete" ] && { echo "it is busy" >&2; exit 1; }
PATH=/usr/sbin:/usr/bin:/sbin:/bin exec ip "$@"
"""


@pytest.mark.slow
def test_what_failed_is_told_also_when_it_cannot_be_removed(lab: StandInLab) -> None:
    (lab.programs / "broken").touch()
    (lab.programs / "ip").write_text(NOTHING_REMOVED, encoding="ascii")
    (lab.programs / "ip").chmod(0o755)
    said = words(lab.play("provision", *lab.reachable()).stdout)
    (lab.programs / "ip").unlink()
    assert "no guest today" in said and "Run destroy.yml" in said and "it is busy" in said, said


def test_a_network_that_cannot_be_made_leaves_nothing(lab: StandInLab) -> None:
    arguments = f"backend=qemu name=pairbench-{lab.name}-no bridge=br0 address=10.10.1.300/24"
    done = lab.run("ansible", "localhost", "-m", "pairbench.lab.vm_network", "-a", arguments)
    assert done.returncode != 0 and "addr add" in done.stdout, done.stdout + done.stderr
    assert not lab.left()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"vm_lab_network": "bridge", "vm_lab_bridge": "nosuch"}, "there is no bridge nosuch on the hypervisor"),
        ({"vm_lab_backend": "auto", "vm_lab_cpu": "max"}, "Set vm_lab_backend to qemu"),
        ({"vm_lab_image_checksum": "0123456789abcdef0123456789abcdef"}, "vm_lab_image_checksum must say"),
        ({"vm_lab_image_checksum": ""}, "say so: vm_lab_image_checksum: none"),
        ({"vm_lab_image_checksum": f"md5:{'0' * 32}"}, "vm_lab_image_checksum must say"),
        ({"vm_lab_image_checksum": f"sha256:{'0' * 63}"}, "vm_lab_image_checksum must say"),
    ],
)
def test_what_cannot_be_had_is_refused_before_anything_is_changed(
    lab: StandInLab, variables: dict[str, Any], said: str
) -> None:
    (lab.programs / "virsh").write_text("#!/bin/sh\n", encoding="ascii")  # a libvirt that answers
    (lab.programs / "virsh").chmod(0o755)
    lab.set(**variables)
    done = lab.play("provision", *lab.reachable())
    assert done.returncode != 0 and said in words(done.stdout), done.stdout + done.stderr
    assert "changed: [" not in done.stdout and not lab.left()


@pytest.mark.parametrize("name", ["", "..", "a/b"])
def test_a_lab_without_a_name_of_its_own_is_not_removed(lab: StandInLab, name: str) -> None:
    other = lab.directory / "localhost/labs/other/vm1"
    other.mkdir(parents=True)
    done = lab.play("destroy", "-e", json.dumps({"vm_lab_name": name, "vm_lab_access": str(lab.access)}))
    assert done.returncode != 0 and "begin with a letter or a digit" in words(done.stdout), done.stdout
    assert other.exists()
    shutil.rmtree(lab.directory / "localhost")
