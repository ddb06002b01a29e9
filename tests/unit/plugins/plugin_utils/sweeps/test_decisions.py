"""Decisions of a sweep that repeats itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import planned_runs
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import store_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps.decisions import (
    BadValue,
    Goal,
    block_after,
    blocks_tried,
    duration,
    first_block,
    fits,
    relative_width,
    too_wide,
    wait_before,
    widths,
)
from hypothesis import given
from hypothesis import strategies as st
from pretended_passes import finish, plan


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5", 1.5), ("90s", 90), ("30m", 1800), ("30min", 1800), ("1h30m", 5400), ("1d 2h", 93600)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "1x", "-5", "1h30", "5 weeks", "1e9"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadValue, match="like 1h30m"):
        duration(text)


@pytest.mark.parametrize(("text", "value"), [("5%", 0.05), ("0.05", 0.05), ("12.5 %", 0.125)])
def test_widths_are_fractions_of_the_median(text: str, value: float) -> None:
    assert relative_width(text) == value


@pytest.mark.parametrize("text", ["0", "5", "100%", "-1%", "narrow"])
def test_what_is_no_width_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadValue, match="like 5%"):
        relative_width(text)


def test_blocks_follow_each_other_to_the_last() -> None:
    assert [block_after(number, Goal(3)) for number in (1, 2, 3, 4)] == [2, 3, None, None]


def test_the_first_block_is_the_first_of_which_something_is_missing(tmp_path: Path) -> None:
    assert first_block(tmp_path, Goal(6)) == 1
    made = plan(blocks=2)
    store_plan(tmp_path, made)
    assert first_block(tmp_path, Goal(6)) == 1
    runs = list(planned_runs(made))
    finish(tmp_path, [run.run_id for run in runs if run.block == 1])
    assert first_block(tmp_path, Goal(6)) == 2
    finish(tmp_path, [run.run_id for run in runs if run.block == 2])
    assert first_block(tmp_path, Goal(6)) == 3
    assert first_block(tmp_path, Goal(2)) is None


def test_a_block_has_had_its_turn_when_another_followed_or_nothing_of_it_is_missing(tmp_path: Path) -> None:
    assert blocks_tried(tmp_path) == 0
    store_plan(tmp_path, plan(blocks=2))
    assert blocks_tried(tmp_path) == 1
    finish(tmp_path, [run.run_id for run in planned_runs(plan(blocks=2)) if run.block == 2])
    assert blocks_tried(tmp_path) == 2


def test_a_limit_looks_at_its_own_pairs_only(tmp_path: Path) -> None:
    made = plan(blocks=1)
    store_plan(tmp_path, made)
    finish(tmp_path, [run.run_id for run in planned_runs(made) if {run.server, run.client} == {"h1", "h2"}])
    assert first_block(tmp_path, Goal(1), frozenset({"h1", "h2"})) is None
    assert first_block(tmp_path, Goal(1)) == 1


@given(every=st.floats(1, 1e5), now=st.floats(0, 1e6), start=st.floats(0, 1e6))
def test_a_block_is_due_a_period_after_the_one_before_began(every: float, now: float, start: float) -> None:
    wait = wait_before(Goal(6, every=every), now, start)
    assert now + wait == pytest.approx(start + every, abs=1e-3)
    assert wait_before(Goal(6, every=every), now, None) == wait_before(Goal(6), now, start) == 0


def test_a_block_must_end_within_the_budget() -> None:
    goal = Goal(6, budget=100)
    assert fits(goal, started=1000, begin=1040, block_seconds=60)
    assert not fits(goal, started=1000, begin=1041, block_seconds=60)
    assert fits(Goal(6), started=0, begin=1e9, block_seconds=1e9)


def row(server: str, client: str, **changes: Any) -> dict[str, Any]:
    return {"benchmark": "iperf3", "server": server, "client": client, "case": "case",
            "metric": "throughput_received", "median": 100.0, "ci_low": 99.0, "ci_high": 102.0} | changes


def test_every_planned_pair_counts_for_convergence_whether_it_has_an_interval_or_not() -> None:
    rows = [row("h1", "h2"), row("h1", "h3", ci_low=None, ci_high=None), row("h1", "h2", metric="other", ci_high=900.0)]
    found = widths(plan(), rows)
    assert [item.value for item in found] == [None, None, 0.03]  # h2 <- h3 has no row at all
    assert len(too_wide(found, 0.05)) == 2 and len(too_wide(found, 0.02)) == 3
    assert widths(plan(), rows, frozenset({"h1", "h2"})) == [found[2]]
    assert str(found[2]) == "iperf3 case, h1 <- h2, throughput_received: 3 %"
    assert "no interval" in str(found[0])
