from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import (
    Bottlenecks,
    CaseSpec,
    PlanError,
    Selection,
    estimated_seconds,
    make_plan,
    remaining,
    run_count,
    what_remains,
    widest_step,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.rounds import circle_rounds, greedy_rounds
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import (
    load_or_create,
    load_plan,
    store_new,
    store_plan,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.files import StorageError, make_directory
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.lock import held_by
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


@given(st.integers(2, 101))
def test_circle_rounds_hold_every_pair_once_and_no_host_twice(count: int) -> None:
    names = list(hosts(count))
    rounds = circle_rounds(names)
    assert len(rounds) == (count - 1 if count % 2 == 0 else count)
    assert sorted(itertools.chain(*rounds)) == sorted(itertools.combinations(names, 2))
    for pairs in rounds:
        used = list(itertools.chain(*pairs))
        assert len(set(used)) == len(used)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")).filter(lambda pair: pair[0] != pair[1]),
                max_size=20, unique=True))
def test_declared_pairs_never_share_a_host_in_a_round(pairs: list[tuple[str, str]]) -> None:
    rounds = greedy_rounds(pairs)
    assert sorted(itertools.chain(*rounds)) == sorted(pairs)
    for members in rounds:
        used = list(itertools.chain(*members))
        assert len(set(used)) == len(used)


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


def test_capacities_of_a_hypervisor_and_an_uplink_are_kept() -> None:
    shared = Bottlenecks(
        {"h0": "hv", "h1": "hv", "h2": "hv"}, {"h3": ["up"], "h4": ["up"], "h5": ["up"]}, {"hv": 1, "up": 2}
    )
    made = plan(6, bottlenecks=shared, blocks=1)
    for step in made.steps:
        pairs = [{session.server, session.client} for session in step.sessions]
        assert sum(bool(pair & {"h0", "h1", "h2"}) for pair in pairs) <= 1
        assert sum(len(pair & {"h3", "h4", "h5"}) == 1 for pair in pairs) <= 2
    assert len({run.run_id for run in made.runs}) == 15 * 2 * 3


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


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"hosts": {"a": "10.0.0.1"}}, "fewer than two hosts to measure between .a."),
        ({"hosts": {"a": "10.0.0.1", "b": "10.0.0.1"}}, "a and b have the same pairbench_address 10.0.0.1"),
        ({"hosts": {"a": "10.0.0.1", "b": "b.example"}}, "b: pairbench_address is 'b.example'; it must be a literal"),
        ({"blocks": 0}, "pairbench_blocks is 0"),
        ({"mode": "all"}, "pairbench_mode is 'all'"),
        ({"directions": {"iperf3": "up"}}, "iperf3_direction is 'up'"),
        ({"selection": Selection(declared=(("h0", "h9"),))}, "h9"),
        ({"levels": [1], "mode": "rounds"}, "levels need mode concurrent"),
        ({"levels": [3], "mode": "concurrent"}, "3"),
        ({"selection": Selection(declared=(("h0", "h1"), ("h1", "h0"))), "directions": {"iperf3": "both",
          "sockperf": "both"}}, "twice"),
        ({"cases": {"iperf3": [CASES["iperf3"][0], CASES["iperf3"][0]]}}, "two runs of the plan have the same name"),
    ],
)
def test_what_cannot_be_planned_is_named(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        plan(**changes)


def test_remaining_leaves_out_what_is_done() -> None:
    made = plan()
    done = {run.run_id for run in made.steps[0].sessions[0].runs} | {made.steps[1].sessions[0].runs[0].run_id}
    left = dict(remaining(made, done))
    assert {run.run_id for step in left.values() for session in step.sessions for run in session.runs} == {
        run.run_id for run in made.runs
    } - done
    assert list(left) == list(range(1, len(made.steps)))
    assert not list(remaining(made, {run.run_id for run in made.runs}))
    assert estimated_seconds(()) == 0 < estimated_seconds(left.values()) < estimated_seconds(made.steps)


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


def test_the_longest_session_of_a_step_decides_its_time() -> None:
    made = plan(4, cases={"iperf3": CASES["iperf3"]}, blocks=1, mode="rounds")
    assert estimated_seconds(made.steps) == pytest.approx(3 * (4 * 5.0 + 1.5))


def test_a_stored_plan_reads_back_and_grows_but_never_changes(tmp_path: Path) -> None:
    def create(seed: int, blocks: int) -> Any:
        return plan(12, seed=seed, blocks=blocks)

    made, new = load_or_create(tmp_path, create, blocks=2, seed=0)
    assert new and made.seed > 0
    store_plan(tmp_path, made)
    assert load_plan(tmp_path) == made
    assert list(load_plan(tmp_path).hosts) == list(made.hosts) and made.uid
    assert load_or_create(tmp_path, create, blocks=2, seed=0) == (made, False)
    assert load_or_create(tmp_path, create, blocks=1, seed=0) == (made, False)
    grown, new = load_or_create(tmp_path, create, blocks=4, seed=made.seed)
    assert new and list(grown.steps[: len(made.steps)]) == list(made.steps) and grown.uid == made.uid

    def other(seed: int, blocks: int) -> Any:
        return plan(3, seed=seed, blocks=blocks, settings={"a": 2, "b": True})

    with pytest.raises(PlanError) as caught:
        load_or_create(tmp_path, other, blocks=2, seed=made.seed + 1)
    for sentence in ("a was 1 and is now 2", "b was not set and is now true", "h2 (10.0.0.3)", "pairbench_seed was",
                     "pairbench_sweep=NAME"):
        assert sentence in str(caught.value)


def test_cases_that_differ_are_named(tmp_path: Path) -> None:
    def create(name: str) -> Any:
        return lambda seed, blocks: plan(2, seed=seed, blocks=blocks, settings={"iperf3_cases": {name: {"seconds": 3}}})

    store_plan(tmp_path, load_or_create(tmp_path, create("tcp_P4_t3"), blocks=1, seed=0)[0])
    with pytest.raises(PlanError, match=r"iperf3_cases was tcp_P4_t3 and is now tcp_P1_t3\. Choose another name"):
        load_or_create(tmp_path, create("tcp_P1_t3"), blocks=1, seed=0)


def test_results_below_a_file_are_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "results").touch()
    folder = tmp_path / "results" / "default"
    assert held_by(folder) == ""
    with pytest.raises(StorageError) as caught:
        make_directory(folder)
    mend = "check that the folder may be written and run again"
    assert str(caught.value) == f"{folder} could not be written (Not a directory): {mend}"


def test_two_controllers_that_begin_together_go_by_one_plan(tmp_path: Path) -> None:
    """Both find no plan, and the second one stores its own after the first."""
    sweep = tmp_path / "results" / "s"

    def again() -> tuple[Any, bool]:
        return load_or_create(sweep, lambda seed, blocks: plan(3, seed=seed, blocks=blocks), blocks=2, seed=0)

    (one, _new), (other, _new) = again(), again()
    assert one.uid != other.uid
    assert store_new(sweep, one, again) == (one, True)
    assert store_new(sweep, other, again) == (one, False) and load_plan(sweep) == one
    grown = load_or_create(sweep, lambda seed, blocks: plan(3, seed=seed, blocks=blocks), blocks=4, seed=0)[0]
    assert store_new(sweep, grown, again) == (grown, True) and load_plan(sweep) == grown
    assert held_by(sweep) == ""


@pytest.mark.parametrize("content", ["", "{}", '{"schema": 99}', "[]", '{"schema": 1, "steps": [1]}'])
def test_a_damaged_plan_is_an_error_that_names_the_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(PlanError, match=r"plan\.json"):
        load_plan(tmp_path)
