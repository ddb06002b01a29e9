"""Ranks of order statistics, against the library that has them for one sample at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.statistics import ranks
from ansible_collections.pairbench.lab.plugins.plugin_utils.statistics.ranks import (
    MOST_COUNTED,
    interval_ranks,
    signed_rank_cut,
)
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats


@given(st.integers(1, 3000), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_ranks_of_a_median_are_those_of_the_quantile_test(count: int, confidence: float) -> None:
    interval = stats.quantile_test(range(1, count + 1)).confidence_interval(confidence)
    unknown = math.isnan(interval.low) or math.isnan(interval.high)
    assert interval_ranks(count, confidence) == (None if unknown else (interval.low, interval.high))


@pytest.mark.parametrize("count", range(1, 17))
def test_the_cut_leaves_no_more_than_the_tail_below_it(count: int) -> None:
    sums = np.array([0])
    for rank in range(1, count + 1):
        sums = np.concatenate((sums, sums + rank))
    cut = signed_rank_cut(count)
    least = 0 if cut is None else cut + 1
    assert cut is None or np.mean(sums <= cut) <= 0.025
    assert np.mean(sums <= least) > 0.025


@pytest.mark.parametrize("count", [100, 200, MOST_COUNTED])
def test_the_approximation_of_many_pairs_is_what_counting_gives(count: int) -> None:
    counted = ranks._counted_cut(count, 0.025)
    assert counted is not None and abs(counted - ranks._approximate_cut(count, 0.025)) <= 2  # of thousands of averages


def test_a_hundred_thousand_pairs_have_a_cut() -> None:
    assert 0.24 < (signed_rank_cut(100_000) or 0) / 1e10 < 0.25
