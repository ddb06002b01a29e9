"""The steps of a planned sweep: all there, in an order that depends on the seed, made when asked for."""

from __future__ import annotations

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.listed import ListedSteps, series_of
from hypothesis import given
from hypothesis import strategies as st
from plans import CASES, plan


@given(st.integers(2, 9), st.integers(0, 2**31), st.sampled_from(["rounds", "isolated"]), st.booleans())
def test_every_block_holds_everything_once(count: int, seed: int, mode: str, trace: bool) -> None:
    made = plan(count, seed=seed, mode=mode, trace=trace, directions={"iperf3": "both", "sockperf": "first_serves"})
    pairs = count * (count - 1) // 2
    twins = 2 if trace else 1
    assert len({run.run_id for run in made.runs}) == len(made.runs) == 3 * twins * pairs * (2 * 2 + 1)
    for step in made.steps:
        used = [host for session in step.sessions for host in (session.server, session.client)]
        assert len(set(used)) == len(used)
        assert mode == "rounds" or len(step.sessions) == 1
        for session in step.sessions:
            cases = [(run.case, run.traced) for run in session.runs]
            assert len(set(cases)) == len(cases)


def test_a_longer_plan_begins_with_the_shorter_one_and_order_is_random() -> None:
    short, long = plan(4, blocks=2), plan(4, blocks=5)
    assert list(long.steps[: len(short.steps)]) == list(short.steps)
    assert plan(4, blocks=2) == short
    assert plan(4, blocks=2, seed=8).steps != short.steps


def test_the_steps_of_a_plan_can_be_had_one_by_one_in_any_order() -> None:
    made = plan(5)
    everything = list(made.steps)
    assert [made.steps[index] for index in reversed(range(len(made.steps)))] == everything[::-1]
    assert made.steps[-1] == everything[-1]
    with pytest.raises(IndexError):
        made.steps[len(everything)]


def test_levels_are_nested_and_start_one_run_at_a_time() -> None:
    made = plan(6, mode="concurrent", levels=[1, 3], blocks=2)
    by_level: dict[int, set[frozenset[str]]] = {}
    for step in made.steps:
        [(level, case)] = {(run.level, (run.case, run.traced)) for session in step.sessions for run in session.runs}
        assert all(len(session.runs) == 1 for session in step.sessions) and len(step.sessions) == level and case
        by_level.setdefault(level, set()).update(frozenset((one.server, one.client)) for one in step.sessions)
    assert by_level[1] < by_level[3] and len(by_level[3]) == 3


def test_directions_say_who_serves() -> None:
    made = plan()
    assert {(run.benchmark, run.server, run.client) for run in made.runs} == {
        ("iperf3", "h0", "h1"), ("sockperf", "h1", "h0"),
    }


def test_run_ids_are_file_names_whatever_hosts_are_called() -> None:
    names = {"a-b": "10.0.0.1", "a": "10.0.0.2", "b-c/ü": "10.0.0.3", "x" * 200: "10.0.0.4"}
    made = plan(hosts=names, directions={"iperf3": "both", "sockperf": "both"})
    for run in made.runs:
        assert len(run.run_id) < 200 and "/" not in run.run_id and run.run_id.isascii()


def test_the_longest_session_of_a_step_decides_its_time() -> None:
    made = plan(4, cases={"iperf3": CASES["iperf3"]}, blocks=1, mode="rounds")
    assert made.steps.expected_seconds == pytest.approx(3 * (4 * 5.0 + 1.5))


@given(st.integers(2, 6), st.sampled_from(["rounds", "isolated", "concurrent"]), st.booleans(), st.booleans())
def test_names_parts_and_series_are_those_of_the_runs(count: int, mode: str, trace: bool, odd: bool) -> None:
    hosts = {f"h-{n}" if odd else f"h{n}": f"10.0.0.{n}" for n in range(1, count + 1)}
    made = plan(hosts=hosts, mode=mode, trace=trace, blocks=2, directions={"iperf3": "both", "sockperf": "first_serves"})
    listed = ListedSteps(tuple(made.steps))
    runs = made.runs
    for steps in (made.steps, listed):
        for index, step in enumerate(steps):
            named = [run.run_id for session in step.sessions for run in session.runs]
            assert sorted(steps.run_ids(index)) == sorted(named)
        series = list(steps.series())
        assert len(series) == len(set(series)) and set(series) == {series_of(run) for run in runs}
        for one in series[:3]:
            assert {run.run_id for run in steps.runs_of(one)} == {run.run_id for run in runs if series_of(run) == one}
            assert all(run in runs for run in steps.runs_of(one))
        assert [index for _part, positions in steps.parts() for index in positions] == list(range(len(steps)))
    for part, positions in made.steps.parts():
        assert {run_id[:5] for index in positions for run_id in made.steps.run_ids(index)} == {f"b{part:03d}-"}
    assert [part for part, _positions in listed.parts()] == [0]
