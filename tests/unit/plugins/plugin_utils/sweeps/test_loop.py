"""The loop over blocks: which passes there are, what is said, and how it ends."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import REFUSED
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import store_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps import loop
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps.decisions import Goal, Width
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps.loop import Outcome, Sweep
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps.playbook import PassResult
from pretended_passes import Passes, plan


class Stage:
    """A sweep with pretended passes and all that it said."""

    def __init__(self, sweep_dir: Path) -> None:
        self.passes = Passes(sweep_dir)
        self.said: list[str] = []

    def sweep(self, goal: Goal, **more: Any) -> Sweep:
        self.said.clear()
        self.passes.blocks.clear()
        return Sweep(self.passes.sweep_dir, goal, self.passes, self.said.append, **more)

    def run(self, goal: Goal, **more: Any) -> tuple[Outcome, list[int]]:
        return self.sweep(goal, **more).run(), list(self.passes.blocks)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "s")


def test_every_block_has_its_pass_and_its_line(stage: Stage) -> None:
    assert stage.run(Goal(3)) == (Outcome(), [1, 2, 3])
    assert [line.partition(";")[0].partition(",")[0] for line in stage.said] == [f"Block {n} of 3" for n in (1, 2, 3)]
    assert stage.said[1].endswith("pass-002.log") and " left in all" in stage.said[1]
    assert stage.run(Goal(3)) == (Outcome(), []) and stage.said == []


def test_a_pass_that_was_refused_ends_the_sweep_with_its_result(stage: Stage) -> None:
    store_plan(stage.passes.sweep_dir, plan(blocks=1))
    stage.passes.refuses = PassResult(2, REFUSED, ("why",), stage.passes.sweep_dir / "log")
    assert stage.run(Goal(3)) == (Outcome(refused=stage.passes.refuses), [1])


def test_what_cannot_be_measured_now_is_left_behind_and_more_are_counted_from_there(stage: Stage) -> None:
    stage.passes.away = "h3"
    assert stage.run(Goal(2), more=2)[1] == [1, 2]
    assert stage.run(Goal(3), more=2)[1] == [1, 3, 4]
    assert stage.said[1] == "What is missing of the first 2 blocks cannot be measured now"


def test_a_limit_asks_for_nothing_of_other_hosts(stage: Stage) -> None:
    stage.passes.away = "h3"
    assert stage.run(Goal(2))[1] == [1, 2]
    assert stage.run(Goal(2), only=frozenset({"h1", "h2"}))[1] == []


def test_the_first_signal_interrupts_and_the_second_kills(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    monkeypatch.setattr(stage.passes, "stop", sent.append)
    sweep = stage.sweep(Goal(3))
    monkeypatch.setattr(stage.passes, "_measure", interrupting(sweep, stage.passes._measure))
    assert sweep.run() == Outcome(signal=signal.SIGTERM)
    assert stage.passes.blocks == [1] and sent == [signal.SIGINT, signal.SIGKILL]
    assert [line for line in stage.said if line.startswith("Stopping")] == [
        "Stopping: the sessions that are running are ended. Once more kills the playbook"
    ]


def interrupting(sweep: Sweep, measure: Callable[[], PassResult]) -> Callable[[], PassResult]:
    def measure_and_interrupt() -> PassResult:
        sweep.interrupt(signal.SIGTERM)
        sweep.interrupt(signal.SIGINT)
        return measure()

    return measure_and_interrupt


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(loop, "time", made)
    return made


def test_a_period_is_from_start_to_start(stage: Stage, clock: Clock) -> None:
    assert stage.run(Goal(3, every=60.0))[1] == [1, 2, 3]
    assert clock.now == pytest.approx(1120.0)
    assert stage.said[1::2] == ["Block 2 begins in 1 min 0 s", "Block 3 begins in 1 min 0 s"]


def test_a_block_that_is_due_before_the_last_has_ended_is_late(
    stage: Stage, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = stage.passes._measure

    def slow() -> PassResult:
        clock.sleep(90.0)
        return measure()

    monkeypatch.setattr(stage.passes, "_measure", slow)
    assert stage.run(Goal(2, every=60.0))[1] == [1, 2]
    assert stage.said[1] == "Block 2 is 30 s late: the one before took longer than --every"


def test_no_block_begins_that_would_end_after_the_budget(stage: Stage, clock: Clock) -> None:
    assert stage.run(Goal(9, every=60.0, budget=130.0))[1] == [1, 2, 3]
    assert stage.said[-1].startswith("No time for block 4")


def test_narrow_intervals_end_a_sweep_between_blocks_only(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Width("a case", "throughput_received", 0.2)]
    monkeypatch.setattr(Sweep, "widths", lambda _self: found)
    assert stage.run(Goal(9, width=0.3))[1] == [1, 2, 3, 4, 5, 6], "an interval needs six blocks"
    assert stage.run(Goal(7, width=0.1))[1] == [7]
