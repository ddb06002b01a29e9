"""Many groups at once say what each of them says alone."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.statistics import groups as module
from ansible_collections.pairbench.lab.plugins.plugin_utils.statistics.groups import medians, shifts
from ansible_collections.pairbench.lab.plugins.plugin_utils.statistics.ranks import (
    MOST_COUNTED,
    interval_ranks,
    signed_rank_cut,
)
from hypothesis import given
from hypothesis import strategies as st

Groups = list[list[float]]
GROUPS = st.lists(st.lists(st.floats(0, 1e6), min_size=1, max_size=14), min_size=1, max_size=6)


def mixed(groups: Groups, order: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The values of all groups, in any order, with the number of the group of each."""
    pairs = [(number, value) for number, values in enumerate(groups) for value in values]
    np.random.default_rng(order).shuffle(pairs)
    return np.array([int(number) for number, _ in pairs]), np.array([value for _, value in pairs])


def walsh(values: list[float]) -> list[float]:
    return sorted((one + other) / 2 for place, one in enumerate(values) for other in values[place:])


def same(value: float, wanted: float | None) -> bool:
    return bool(np.isnan(value)) if wanted is None else value == wanted


@given(GROUPS, st.integers(0, 5))
def test_medians_are_those_of_each_group(groups: Groups, order: int) -> None:
    found = medians(*mixed(groups, order))
    for number, values in enumerate(groups):
        ordered, ranks = sorted(values), interval_ranks(len(values))
        middle = statistics.median(values)
        assert found.counts[number] == len(values)
        assert found.centre[number] == middle
        assert found.mad[number] == statistics.median(abs(value - middle) for value in values)
        assert (found.smallest[number], found.largest[number]) == (ordered[0], ordered[-1])
        assert same(found.low[number], None if ranks is None else ordered[ranks[0] - 1])
        assert same(found.high[number], None if ranks is None else ordered[ranks[1] - 1])


@given(GROUPS, st.integers(0, 5))
def test_shifts_are_those_of_each_group(groups: Groups, order: int) -> None:
    found = shifts(*mixed(groups, order))
    for number, values in enumerate(groups):
        averages, cut = walsh(sorted(values)), signed_rank_cut(len(values))
        assert found.centre[number] == statistics.median(averages)
        assert same(found.low[number], None if cut is None else averages[cut])
        assert same(found.high[number], None if cut is None else averages[-1 - cut])


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=60))
def test_averages_that_are_only_counted_are_those_that_would_be_sorted(values: list[float]) -> None:
    ordered = np.array(sorted(values))
    averages = walsh(ordered.tolist())
    near = pytest.approx(averages, rel=1e-12, abs=1e-9)
    assert module._walsh_averages(ordered, range(len(averages))) == near


def test_the_averages_of_a_very_large_group_are_never_in_memory() -> None:
    count = 20_000  # 200 million averages, 1.6 GB
    values = np.random.default_rng(3).normal(1, 1, count)
    largest = 0
    between = module._averages_between

    def watched(*arguments: np.ndarray) -> np.ndarray:
        nonlocal largest
        averages = between(*arguments)
        largest = max(largest, len(averages))
        return averages

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_averages_between", watched)
        found = shifts(np.zeros(count, dtype=int), values)
    assert 0 < largest <= module.FEW_AVERAGES * count
    assert found.centre[0] == pytest.approx(1, abs=0.03)
    assert found.low[0] < found.centre[0] < found.high[0] < found.low[0] + 0.05


def test_small_and_large_groups_stand_beside_each_other() -> None:
    source = np.random.default_rng(5)
    groups = [source.normal(size=size).tolist() for size in (3, MOST_COUNTED + 1, 7, MOST_COUNTED)]
    found = shifts(*mixed(groups))
    wanted = [statistics.median(walsh(values)) for values in groups]
    assert found.centre == pytest.approx(wanted)
    assert np.isnan(found.low).tolist() == [True, False, False, False]


def test_equal_differences_are_their_own_shift() -> None:
    count = MOST_COUNTED + 100
    found = shifts(np.zeros(count, dtype=int), np.full(count, 0.25))
    assert (found.centre[0], found.low[0], found.high[0]) == (0.25, 0.25, 0.25)
