from __future__ import annotations

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import Plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import (
    PlanError,
    Selection,
    directed_pairs,
    run_count,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.rounds import check_rounds, resources_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps.shards import Stage, in_stages, stages_of
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import small_plan as plan


def pairs_of(made: Plan) -> set[frozenset[str]]:
    return {frozenset((server, client)) for _benchmark, server, client in directed_pairs(made)}


def check_stages(stages: list[Stage], pairs: set[frozenset[str]], shared: dict[str, str]) -> list[str]:
    """Sentences about what is wrong: a host in two jobs of a stage, or a pair that no job covers.

    ``shared`` maps hosts to what they share; two jobs of one stage must not have it in common either.
    """
    problems = []
    for number, stage in enumerate(stages, 1):
        seen: dict[str, int] = {}
        for job in stage:
            for name in {*job.hosts, *(shared[host] for host in job.hosts if host in shared)}:
                if name in seen:
                    problems.append(f"stage {number}: {name} is in jobs {seen[name]} and {job.worker}")
                seen[name] = job.worker
    for pair in pairs:
        if not any(pair <= set(job.hosts) for stage in stages for job in stage):
            problems.append(f"{' and '.join(sorted(pair))} meet in no stage")
    return problems


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(2, 60), workers=st.integers(1, 8), sample=st.integers(0, 40),
    carried=st.lists(st.integers(0, 30), min_size=60, max_size=60),
)
def test_every_pair_meets_and_no_two_jobs_of_a_stage_share_anything(
    count: int, workers: int, sample: int, carried: list[int]
) -> None:
    # Numbers above 12 stand for a host of its own, so that most hypervisors carry a few hosts.
    hypervisors = {f"h{number:02}": f"hv{on}" for number, on in enumerate(carried[:count], 1) if on <= 12}
    sample = min(sample, count * (count - 1) // 2)
    made = plan(count, hypervisors, selection=Selection(sample=sample))
    try:
        stages = stages_of(made, workers)
    except PlanError as error:
        assert "only one controller" in str(error) and workers > 1
        return
    assert not check_stages(stages, pairs_of(made), hypervisors)
    assert sum(job.pairs for stage in stages for job in stage) == len(pairs_of(made))
    assert all(len(stage) <= workers for stage in stages) and len(stages) <= 2 * workers - 1
    arranged = in_stages(made, stages)
    assert pairs_of(arranged) == pairs_of(made) and run_count(arranged) == run_count(made)
    for item in arranged.steps.rounds:  # capacity 1 where nothing else is said
        assert not check_rounds([item.pairs], item.pairs, lambda pair: resources_of(pair, hypervisors, {}), {})


def rounds_taken(made: Plan, stages: list[Stage]) -> int:
    """How many rounds follow each other when the workers of each stage work at once."""
    done: set[frozenset[str]] = set()
    total = 0
    for stage in stages:
        mine = [{pair for pair in pairs_of(made) - done if pair <= set(job.hosts)} for job in stage]
        total += max(sum(any(set(pair) in pairs for pair in item.pairs) for item in made.steps.rounds) for pairs in mine)
        done |= set().union(*mine)
    return total


@pytest.mark.parametrize(("hosts", "workers"), [(8, 2), (40, 2), (40, 4), (30, 3)])
def test_shards_take_no_more_rounds_than_one_controller(hosts: int, workers: int) -> None:
    made = plan(hosts)
    stages = stages_of(made, workers)
    assert rounds_taken(made, stages) > hosts - 1  # as the plan is made for one controller
    assert rounds_taken(in_stages(made, stages), stages) <= hosts - 1 + 2 * workers  # groups of unequal size


def test_a_full_mesh_keeps_all_workers_busy_in_every_stage() -> None:
    stages = stages_of(plan(16), 4)
    assert len(stages) == 7 and {len(stage) for stage in stages} == {4}
    assert [sum(len(job.hosts) for job in stage) for stage in stages] == [16] * 7


def test_the_check_finds_what_would_break_the_guarantee() -> None:
    made = plan(8)
    stages = stages_of(made, 2)
    assert "meet in no stage" in check_stages(stages[1:], pairs_of(made), {})[0]
    assert any("h01 is in jobs" in problem for problem in check_stages([(*stages[0], *stages[0])], set(), {}))


@pytest.mark.parametrize(
    ("made", "workers", "named"),
    [
        (plan(4), 0, "--workers is 0"),
        (plan(4, mode="isolated"), 2, "mode is isolated"),
        (plan(4, {f"h0{number}": "hv" for number in range(1, 5)}), 2, "Use one controller"),
    ],
)
def test_a_plan_that_cannot_be_shared_is_refused(made: Plan, workers: int, named: str) -> None:
    with pytest.raises(PlanError, match=named):
        stages_of(made, workers)
