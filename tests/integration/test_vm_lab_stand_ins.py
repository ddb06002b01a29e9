"""What a lab makes, refuses and leaves, on hypervisors whose programs only pretend: no guest is started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import words
from stand_ins import StandInLab
from vm_labs import changes


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


def test_each_playbook_changes_nothing_the_second_time(lab: StandInLab) -> None:
    assert changes(lab.play("provision", *lab.reachable())) > 0
    pids = lab.emulators()
    assert changes(lab.play("provision", *lab.reachable())) == 0
    assert lab.emulators() == pids and len(pids) == 2
    assert changes(lab.play("destroy")) > 0
    assert not lab.left()
    assert changes(lab.play("destroy")) == 0
    assert changes(lab.play("destroy", "--check")) == 0


def test_a_hypervisor_may_carry_no_guest(lab: StandInLab) -> None:
    lab.place(hv1={}, hv2={})
    lab.set(vm_lab_pairs=2)
    assert changes(lab.play("provision", *lab.reachable()), "hv2") > 0
    assert len(lab.emulators()) == 4
    lab.set(vm_lab_pairs=1)
    assert changes(lab.play("provision", *lab.reachable()), "hv2") > 0
    assert len(lab.emulators()) == 2 and not (lab.directory / "hv2/labs").exists()
    assert changes(lab.play("provision", *lab.reachable()), "hv2") == 0


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


def test_a_network_that_cannot_be_made_leaves_nothing(lab: StandInLab) -> None:
    arguments = f"backend=qemu name=pairbench-{lab.name}-no bridge=br0 address=10.10.1.300/24"
    done = lab.run("ansible", "localhost", "-m", "pairbench.lab.vm_network", "-a", arguments)
    assert done.returncode != 0 and "addr add" in done.stdout, done.stdout + done.stderr
    assert not lab.left()
