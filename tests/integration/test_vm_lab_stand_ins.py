"""What a lab makes, refuses and leaves, on hypervisors whose programs only pretend: no guest is started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
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
