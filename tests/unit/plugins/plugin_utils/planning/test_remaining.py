"""What is still to be done of a plan."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.listed import step_seconds
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import make_plan, run_count, widest_step
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.remaining import remaining, what_remains
from hypothesis import given
from hypothesis import strategies as st

CASES = {
    "iperf3": [CaseSpec("iperf3", "P1", {"parallel": 1}, 5.0), CaseSpec("iperf3", "P4", {"parallel": 4}, 5.0)],
    "sockperf": [CaseSpec("sockperf", "pp", {}, 7.0)],
}
DIRECTIONS = {"iperf3": "first_serves", "sockperf": "second_serves"}


def hosts(count: int) -> dict[str, str]:
    return {f"h{number}": f"10.0.{number // 250}.{number % 250 + 1}" for number in range(count)}


def plan(count: int = 2, **changes: Any) -> Any:
    given = {"sweep": "s", "configuration": "c", "hosts": hosts(count), "cases": CASES, "directions": DIRECTIONS,
             "blocks": 3, "seed": 7, "settings": {"a": 1}}
    return make_plan(**(given | changes))


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
