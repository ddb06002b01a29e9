"""Which pairs are measured."""

from __future__ import annotations

import random

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.pairs import (
    Pair,
    SelectionError,
    pairs_by_value,
    select_pairs,
)
from hypothesis import given, settings
from hypothesis import strategies as st

HOSTS = ["a", "b", "c", "d"]


def test_every_two_hosts_are_a_pair_when_nothing_is_chosen() -> None:
    assert select_pairs(HOSTS) == [("a", "b"), ("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"), ("c", "d")]


def test_declared_pairs_are_taken_as_they_are_each_once() -> None:
    assert select_pairs(HOSTS, declared=[("d", "a"), ("b", "c"), ("d", "a")]) == [("d", "a"), ("b", "c")]
    assert select_pairs(HOSTS, declared=[("d", "a"), ("a", "d")]) == [("d", "a"), ("a", "d")]


def test_groups_give_every_server_with_every_client_but_none_with_itself() -> None:
    assert select_pairs(HOSTS, groups=[(["a", "b"], ["b", "c"])]) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert select_pairs(HOSTS, groups=[(["a"], ["b", "c"]), (["a", "d"], ["c"])]) == [("a", "b"), ("a", "c"), ("d", "c")]


def test_declared_pairs_come_before_those_of_groups() -> None:
    assert select_pairs(HOSTS, declared=[("c", "d")], groups=[(["a", "c"], ["d"])]) == [("c", "d"), ("a", "d")]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"declared": [("a", "z")]}, "pairbench_pairs holds ['a', 'z'], and z is not a host of the play"),
        ({"declared": [("a", "a")]}, "pairbench_pairs holds a with itself: a pair is two different hosts"),
        ({"declared": [("a",)]}, "pairbench_pairs holds ['a']: a pair is two hosts, the server and the client"),
        (
            {"groups": [(["a"], ["b"]), (["a"], [])]},
            "the client group of choice 2 of groups against groups has no hosts in the play: check inventory and --limit",
        ),
        (
            {"groups": [([], ["b"])]},
            "the server group of choice 1 of groups against groups has no hosts in the play: check inventory and --limit",
        ),
        (
            {"groups": [(["z"], ["b"])]},
            "z, in the server group of choice 1 of groups against groups, is not a host of the play",
        ),
        (
            {"groups": [(["a"], ["a"])]},
            "both groups of choice 1 of groups against groups hold a alone: a pair is two different hosts",
        ),
        ({"sample": -1}, "the sample of pairs is -1; it must be 0 (all pairs) or more"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_with_a_sentence(arguments: dict[str, list[Pair]], sentence: str) -> None:
    with pytest.raises(SelectionError) as refused:
        select_pairs(HOSTS, **arguments)  # type: ignore[arg-type]
    assert str(refused.value) == sentence


def test_a_sample_is_the_same_on_every_python() -> None:
    """A change here changes which pairs a stored seed stands for."""
    drawn = [("h1", "h7"), ("h2", "h3"), ("h2", "h5"), ("h2", "h6"), ("h5", "h6")]
    assert select_pairs([f"h{number}" for number in range(8)], sample=5, seed=7) == drawn


@given(st.integers(2, 60), st.integers(0, 400), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_sample_keeps_order_and_size(count: int, sample: int, seed: int) -> None:
    hosts = [f"h{number}" for number in range(count)]
    everything = select_pairs(hosts)
    chosen = select_pairs(hosts, sample=sample, seed=seed)
    assert len(set(chosen)) == len(chosen) == (min(sample, len(everything)) if sample else len(everything))
    assert chosen == [pair for pair in everything if pair in set(chosen)]
    assert chosen == select_pairs(hosts, sample=sample, seed=seed)


def test_every_pair_has_the_same_chance_to_be_drawn() -> None:
    drawn = [pair for seed in range(3000) for pair in select_pairs(HOSTS, sample=2, seed=seed)]
    shares = [drawn.count(pair) / 3000 for pair in select_pairs(HOSTS)]
    assert all(0.28 < share < 0.39 for share in shares)


def test_a_sample_does_not_touch_the_random_numbers_of_others() -> None:
    random.seed(1)
    expected = random.random()
    random.seed(1)
    select_pairs(HOSTS, sample=2, seed=5)
    assert random.random() == expected


def test_equal_values_make_pairs_in_the_order_of_the_inventory() -> None:
    assert pairs_by_value({"a": "7", "b": 8, "c": 7, "d": None, "e": "", "f": 7}) == (("a", "c"), ("a", "f"), ("c", "f"))
    with pytest.raises(SelectionError, match="no two hosts have an equal value"):
        pairs_by_value({"a": 1, "b": 2, "c": None})
