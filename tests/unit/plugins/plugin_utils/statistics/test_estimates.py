from __future__ import annotations

import math
import random
from collections.abc import Callable
from statistics import fmean, median

import numpy as np
import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.statistics.estimates import (
    Estimate,
    hodges_lehmann,
    trace_costs,
    verdict,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.statistics.groups import medians
from ansible_collections.pairbench.lab.plugins.plugin_utils.statistics.ranks import interval_ranks
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats


def trace_cost(traced: dict[int, float], untraced: dict[int, float]) -> Estimate | None:
    """The cost of tracing in one group, from the figures of the blocks that have one."""
    blocks = sorted({*traced, *untraced})
    twins = [np.array([figures.get(block, math.nan) for block in blocks]) for figures in (traced, untraced)]
    groups, costs = trace_costs(np.full(len(blocks), 3), *twins)
    if not len(groups):
        return None
    assert groups.tolist() == [3]
    [(centre, low, high)] = zip(costs.centre, costs.low, costs.high, strict=True)
    return Estimate(float(centre), None if math.isnan(low) else (float(low), float(high)))


@pytest.mark.parametrize(
    ("count", "ranks"),
    [(1, None), (5, None), (6, (1, 6)), (7, (1, 7)), (9, (2, 8)), (10, (2, 9)), (20, (6, 15)), (30, (10, 21))],
)
def test_ranks_are_those_of_the_binomial(count: int, ranks: tuple[int, int] | None) -> None:
    assert interval_ranks(count) == ranks


@given(st.integers(6, 300))
def test_the_interval_covers_at_least_what_it_promises_and_no_rank_is_wasted(count: int) -> None:
    ranks = interval_ranks(count)
    assert ranks is not None
    low, high = ranks
    assert low + high == count + 1
    assert 1 - 2 * stats.binom.cdf(low - 1, count, 0.5) >= 0.95
    assert 1 - 2 * stats.binom.cdf(low, count, 0.5) < 0.95


@pytest.mark.parametrize("count", [6, 10, 25])
def test_the_interval_covers_the_median_of_a_skewed_distribution(count: int) -> None:
    source = random.Random(count)
    true_median = stats.lognorm.median(1)
    values = np.array([source.lognormvariate(0, 1) for _value in range(1000 * count)])
    found = medians(np.repeat(np.arange(1000), count), values)
    assert ((found.low <= true_median) & (true_median <= found.high)).sum() >= 930


@given(st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=12, unique=True))
def test_the_shift_interval_excludes_zero_exactly_when_the_signed_rank_test_rejects(values: list[float]) -> None:
    if any(abs(abs(one) - abs(other)) < 1e-9 for i, one in enumerate(values) for other in values[:i]) or 0 in values:
        return  # ties: scipy's exact distribution does not hold
    interval = hodges_lehmann(values).interval
    assert interval is not None
    excludes = interval[0] > 0 or interval[1] < 0
    assert excludes == (stats.wilcoxon(values, method="exact").pvalue <= 0.05)


def test_five_pairs_are_too_few_for_an_interval() -> None:
    assert hodges_lehmann([1, 2, 3, 4, 5]) == Estimate(3.0, None)
    assert hodges_lehmann([1, 2, 3, 4, 5, 6]).interval == (1.0, 6.0)


def test_the_cost_of_tracing_is_paired_by_block() -> None:
    untraced = {block: 100.0 * block for block in range(1, 8)}
    traced = {block: 105.0 * block for block in range(1, 7)}
    cost = trace_cost(traced, untraced)
    assert cost is not None and cost.interval is not None
    assert cost.centre == pytest.approx(5) and cost.interval == pytest.approx((5, 5))
    assert trace_cost({1: 1.0}, {2: 1.0}) is None
    assert trace_cost({1: 1.0}, {1: 0.0}) is None


def test_a_pair_without_a_ratio_is_left_out_of_the_cost_of_tracing() -> None:
    cost = trace_cost({1: 0.0, 2: 5.0, 3: 2.0, 4: -1.0}, {1: 4.0, 2: 0.0, 3: 1.0, 4: 1.0})
    assert cost is not None and cost.centre == pytest.approx(100)


def lognormal(source: random.Random, spread: float) -> float:
    return source.lognormvariate(0, spread)


def symmetric(source: random.Random, spread: float) -> float:
    return source.uniform(1 - spread * math.sqrt(3), 1 + spread * math.sqrt(3))


Draw = Callable[[random.Random, float], float]


def simulated_costs(draw: Draw, spread: float, effect: float) -> list[Estimate]:
    """What 1000 sweeps of ten blocks say where tracing multiplies a figure by ``effect``."""
    source = random.Random(f"{spread}/{effect}")
    costs = []
    for _sweep in range(1000):
        untraced = {block: draw(source, spread) for block in range(10)}
        cost = trace_cost({block: effect * draw(source, spread) for block in range(10)}, untraced)
        assert cost is not None and cost.interval is not None
        costs.append(cost)
    return costs


@pytest.mark.parametrize("draw", [lognormal, symmetric])
@pytest.mark.parametrize(("spread", "at_most"), [(0.2, 0.01), (0.5, 0.03)])
@pytest.mark.parametrize("effect", [1.0, 1.1])
def test_the_cost_of_tracing_is_what_it_is_however_much_runs_scatter(
    draw: Draw, spread: float, at_most: float, effect: float
) -> None:
    costs = simulated_costs(draw, spread, effect)
    # Ratios are averaged on logs here too: the arithmetic mean of any of them lies above their centre.
    middle = math.exp(fmean(math.log1p(cost.centre / 100) for cost in costs))
    assert middle == pytest.approx(effect, rel=at_most)
    assert median(cost.centre for cost in costs) == pytest.approx(100 * (effect - 1), abs=150 * at_most)
    covered = [cost.interval[0] <= 100 * (effect - 1) <= cost.interval[1] for cost in costs if cost.interval]
    assert 0.93 <= fmean(covered) <= 0.98


def test_verdicts_follow_their_thresholds() -> None:
    assert verdict("throughput_received", Estimate(100, (98, 102))) == "stable"
    assert verdict("throughput_received", Estimate(100, (97, 102.1))) == "unstable"
    assert verdict("latency_p50", Estimate(100, (95, 105))) == "stable"
    assert verdict("latency_p50", Estimate(100, None)) == "too few"


def test_mad_is_the_plain_median_deviation() -> None:
    assert medians(np.zeros(5, dtype=int), np.array([1.0, 2, 3, 4, 100])).mad.tolist() == [1]
