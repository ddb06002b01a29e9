"""What is still to be done of a plan."""

from __future__ import annotations

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.listed import step_seconds
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import run_count, widest_step
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.remaining import remaining, what_remains
from hypothesis import given
from hypothesis import strategies as st
from plans import plan


def test_remaining_leaves_out_what_is_done() -> None:
    made = plan()
    done = {run.run_id for run in made.steps[0].sessions[0].runs} | {made.steps[1].sessions[0].runs[0].run_id}
    left = dict(remaining(made, done))
    assert {run.run_id for step in left.values() for session in step.sessions for run in session.runs} == {
        run.run_id for run in made.runs
    } - done
    assert list(left) == list(range(1, len(made.steps)))
    assert not list(remaining(made, {run.run_id for run in made.runs}))
    assert 0 < sum(step_seconds(step) for step in left.values()) < made.steps.expected_seconds
    assert what_remains(made, {run.run_id for run in made.runs}).seconds == 0


def test_of_what_is_done_no_run_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(4, blocks=3)
    done = {run.run_id for run in made.runs if run.block < 3}
    asked: list[int] = []
    real = type(made.steps).__getitem__
    monkeypatch.setattr(type(made.steps), "__getitem__", lambda self, index: asked.append(index) or real(self, index))
    left = what_remains(made, done)
    assert asked == list(left.indexes) and {real(made.steps, index).block for index in asked} == {3}


@given(st.integers(2, 7), st.sampled_from(["rounds", "isolated", "concurrent"]), st.booleans())
def test_what_remains_of_an_untouched_plan_is_counted_without_making_its_runs(count: int, mode: str, trace: bool) -> None:
    made = plan(count, mode=mode, trace=trace, directions={"iperf3": "both", "sockperf": "first_serves"})
    quick, slow = what_remains(made), what_remains(made, done={"no such run"})
    assert (list(quick.indexes), quick.runs, quick.hosts, quick.benchmarks) == (
        list(slow.indexes), slow.runs, slow.hosts, slow.benchmarks,
    )
    assert quick.seconds == pytest.approx(slow.seconds)
    assert quick.runs == run_count(made) == len(made.runs)


def test_a_limit_leaves_pairs_of_other_hosts_out() -> None:
    made = plan(4)
    assert widest_step(made) == 2 and widest_step(made, {"h0", "h2", "h3"}) == 1
    left = what_remains(made, only=frozenset({"h0", "h2", "h3"}))
    assert left.hosts == {"h0", "h2", "h3"} and left.runs == run_count(made) // 2
    sessions = [session for _index, step in remaining(made, (), {"h0", "h2"}) for session in step.sessions]
    assert {frozenset((session.server, session.client)) for session in sessions} == {frozenset(("h0", "h2"))}
