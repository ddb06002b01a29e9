"""Rounds of pairs: nobody twice, nothing over its capacity, and close to as few rounds as there can be."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from collections import Counter

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import Pair
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.rounds import (
    SelectionError,
    all_pairs,
    check_rounds,
    circle_rounds,
    level_rounds,
    lower_bound,
    resources_of,
    rounds_for,
)
from hypothesis import given, settings
from hypothesis import strategies as st

FEW = settings(max_examples=60, deadline=None, derandomize=True)


def no_resources(_pair: Pair) -> tuple[str, ...]:
    """A pair uses nothing but its two hosts."""
    return ()


def hosts_of(count: int) -> list[str]:
    return [f"h{number}" for number in range(count)]


def both_directions(pairs: list[Pair]) -> list[Pair]:
    return pairs + [(second, first) for first, second in pairs]


def random_pairs(hosts: list[str], count: int, seed: int) -> list[Pair]:
    """Ordered pairs, no two the same, some in both directions."""
    draw = random.Random(seed)
    drawn = (draw.sample(hosts, 2) for _ in range(count))
    return list(dict.fromkeys((server, client) for server, client in drawn))


def busiest(pairs: list[Pair]) -> int:
    return max(Counter(host for pair in pairs for host in pair).values(), default=0)


@given(st.integers(2, 101))
def test_circle_rounds_hold_every_pair_once_and_no_host_twice(count: int) -> None:
    names = hosts_of(count)
    rounds = circle_rounds(names)
    assert len(rounds) == (count - 1 if count % 2 == 0 else count)
    assert sorted(itertools.chain(*rounds)) == sorted(itertools.combinations(names, 2))
    for pairs in rounds:
        used = list(itertools.chain(*pairs))
        assert len(set(used)) == len(used)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")).filter(lambda pair: pair[0] != pair[1]),
                max_size=20, unique=True))
def test_declared_pairs_never_share_a_host_in_a_round(pairs: list[tuple[str, str]]) -> None:
    rounds = rounds_for(pairs, no_resources, {})
    assert sorted(itertools.chain(*rounds)) == sorted(pairs)
    for members in rounds:
        used = list(itertools.chain(*members))
        assert len(set(used)) == len(used)


def test_a_ring_of_four_hosts_takes_two_rounds() -> None:
    pairs = [("a", "b"), ("c", "d"), ("b", "c"), ("d", "a")]
    assert check_rounds(rounds_for(pairs, no_resources, {}), pairs, no_resources, {}) == []
    assert len(rounds_for(pairs, no_resources, {})) == 2


# How many rounds, without resources.


@given(st.integers(2, 200))
@FEW
def test_a_full_mesh_takes_the_rounds_of_the_circle_method(count: int) -> None:
    pairs = all_pairs(hosts_of(count))
    rounds = rounds_for(pairs, no_resources, {})
    assert check_rounds(rounds, pairs, no_resources, {}) == []
    assert len(rounds) == len(circle_rounds(hosts_of(count))) == (count - 1 if count % 2 == 0 else count)


@given(st.integers(2, 60), st.randoms(use_true_random=False))
@FEW
def test_a_full_mesh_in_any_order_takes_as_many_for_each_direction(count: int, order: random.Random) -> None:
    pairs = both_directions(all_pairs(hosts_of(count)))
    order.shuffle(pairs)
    rounds = rounds_for(pairs, no_resources, {})
    assert check_rounds(rounds, pairs, no_resources, {}) == []
    assert len(rounds) == 2 * (count - 1 if count % 2 == 0 else count)


@given(st.integers(1, 100), st.integers(1, 100))
@FEW
def test_group_against_group_takes_as_many_rounds_as_the_larger_has_members(servers: int, clients: int) -> None:
    pairs = [(f"s{server}", f"c{client}") for server in range(servers) for client in range(clients)]
    rounds = rounds_for(pairs, no_resources, {})
    assert check_rounds(rounds, pairs, no_resources, {}) == []
    assert len(rounds) == max(servers, clients)


@given(st.integers(2, 60), st.integers(1, 1500), st.integers(0, 2**32))
@FEW
def test_any_bipartite_choice_takes_as_many_rounds_as_the_busiest_host_has_pairs(
    count: int, amount: int, seed: int
) -> None:
    draw = random.Random(seed)
    pairs = list({(f"s{draw.randrange(count)}", f"c{draw.randrange(count)}"): None for _ in range(amount)})
    rounds = rounds_for(pairs, no_resources, {})
    assert check_rounds(rounds, pairs, no_resources, {}) == []
    assert len(rounds) == busiest(pairs)


@given(st.integers(2, 200), st.integers(1, 1500), st.integers(0, 2**32))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_declared_pairs_stay_within_vizings_bound(count: int, amount: int, seed: int) -> None:
    pairs = random_pairs(hosts_of(count), amount, seed)
    rounds = rounds_for(pairs, no_resources, {})
    assert check_rounds(rounds, pairs, no_resources, {}) == []
    often = max(Counter(frozenset(pair) for pair in pairs).values())
    assert busiest(pairs) <= len(rounds) <= busiest(pairs) + often


def test_petersens_graph_needs_one_more_than_the_busiest_host_has() -> None:
    """The smallest graph without a bridge in which every vertex has three edges and three colours do not do."""
    outer = [(f"o{index}", f"o{(index + 1) % 5}") for index in range(5)]
    inner = [(f"i{index}", f"i{(index + 2) % 5}") for index in range(5)]
    pairs = [*outer, *inner, *((f"o{index}", f"i{index}") for index in range(5))]
    rounds = rounds_for(pairs, no_resources, {})
    assert check_rounds(rounds, pairs, no_resources, {}) == []
    assert len(rounds) == 4


def test_no_pairs_take_no_rounds() -> None:
    assert rounds_for([], no_resources, {}) == []
    assert lower_bound([], no_resources, {}) == 0


@pytest.mark.parametrize(
    ("pairs", "sentence"),
    [
        ([("a", "a")], "a is paired with itself: a pair is two different hosts"),
        (
            [("a", "b"), ("a", "b")],
            "the pair of server a and client b is there more than once: a pair is measured once in a block",
        ),
    ],
)
def test_pairs_that_cannot_be_are_refused(pairs: list[Pair], sentence: str) -> None:
    with pytest.raises(SelectionError) as refused:
        rounds_for(pairs, no_resources, {})
    assert str(refused.value) == sentence


# Under capacities.


@st.composite
def labs(draw: st.DrawFn) -> tuple[list[Pair], dict[str, str], dict[str, list[str]], dict[str, int]]:
    """Pairs of up to 200 hosts, on hypervisors and behind uplinks, with capacities for some of these."""
    count = draw(st.integers(2, 200))
    chance = random.Random(draw(st.integers(0, 2**32)))
    hosts = hosts_of(count)
    kind = draw(st.sampled_from(["mesh", "declared", "groups"]))
    if kind == "mesh":
        pairs = all_pairs(hosts)
    elif kind == "groups":
        cut = chance.randrange(1, count)
        pairs = [(server, client) for server in hosts[:cut] for client in hosts[cut:]]
    else:
        pairs = random_pairs(hosts, chance.randrange(1, 800), chance.randrange(2**32))
    hypervisors = {host: f"v{chance.randrange(1 + count // 4)}" for host in hosts if chance.random() < 0.9}
    uplinks = 1 + chance.randrange(4)
    bottlenecks = {host: [f"u{chance.randrange(uplinks)}"] for host in hosts if chance.random() < 0.7}
    names = sorted({*hypervisors.values(), *(name for behind in bottlenecks.values() for name in behind)})
    capacities = {name: chance.randrange(1, 20) for name in names if chance.random() < 0.8}
    return pairs, hypervisors, bottlenecks, capacities


@given(labs())
@FEW
def test_no_capacity_is_exceeded(
    lab: tuple[list[Pair], dict[str, str], dict[str, list[str]], dict[str, int]],
) -> None:
    pairs, hypervisors, bottlenecks, capacities = lab

    def uses(pair: Pair) -> tuple[str, ...]:
        return resources_of(pair, hypervisors, bottlenecks)

    rounds = rounds_for(pairs, uses, capacities)
    assert check_rounds(rounds, pairs, uses, capacities) == []
    fewest = lower_bound(pairs, uses, capacities)
    assert fewest <= len(rounds) <= 1.05 * fewest + 2


@given(st.integers(4, 120), st.integers(4, 10), st.integers(2, 10), st.booleans())
@FEW
def test_a_mesh_over_equal_hypervisors_stays_close_to_the_bound(
    count: int, machines: int, capacity: int, in_blocks: bool
) -> None:
    pairs = all_pairs(hosts_of(count))
    hypervisors = {
        host: f"v{number * machines // count if in_blocks else number % machines}"
        for number, host in enumerate(hosts_of(count))
    }
    capacities = {f"v{number}": capacity for number in range(machines)}

    def uses(pair: Pair) -> tuple[str, ...]:
        return resources_of(pair, hypervisors, {})

    rounds = rounds_for(pairs, uses, capacities)
    assert check_rounds(rounds, pairs, uses, capacities) == []
    assert len(rounds) <= 1.03 * lower_bound(pairs, uses, capacities) + 2


def test_a_mesh_that_is_tight_everywhere_stays_close_to_the_bound() -> None:
    """20 hosts a hypervisor and 60 an uplink: in the best schedule every uplink is full in every round."""
    pairs = all_pairs(hosts_of(180))
    hypervisors = {host: f"v{number // 20}" for number, host in enumerate(hosts_of(180))}
    uplinks = {host: [f"u{number // 60}"] for number, host in enumerate(hosts_of(180))}
    capacities = dict.fromkeys(hypervisors.values(), 6) | {f"u{number}": 12 for number in range(3)}

    def uses(pair: Pair) -> tuple[str, ...]:
        return resources_of(pair, hypervisors, uplinks)

    rounds = rounds_for(pairs, uses, capacities)
    assert check_rounds(rounds, pairs, uses, capacities) == []
    assert len(rounds) <= 1.1 * lower_bound(pairs, uses, capacities)


def test_capacities_that_never_bind_cost_no_round() -> None:
    pairs = all_pairs(hosts_of(20))
    assert len(rounds_for(pairs, lambda _pair: ("switch",), {"switch": 10})) == 19


def test_a_resource_without_a_capacity_bears_one_pair() -> None:
    pairs = [("a", "b"), ("c", "d")]
    assert rounds_for(pairs, lambda _pair: ("switch",), {}) == [[("a", "b")], [("c", "d")]]


def test_a_capacity_below_one_is_refused() -> None:
    for function in (rounds_for, lower_bound):
        with pytest.raises(SelectionError, match="the capacity of switch is 0; at least one pair"):
            function([("a", "b")], lambda _pair: ("switch",), {"switch": 0})


def test_the_bound_counts_hosts_and_resources() -> None:
    pairs = [("a", "b"), ("a", "c"), ("d", "e"), ("f", "g"), ("h", "i")]
    assert lower_bound(pairs, no_resources, {}) == 2
    assert lower_bound(pairs, lambda _pair: ("switch",), {"switch": 2}) == 3
    assert lower_bound(pairs, lambda _pair: ("switch", "switch"), {"switch": 3}) == 2


PROGRAM = """
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.rounds import all_pairs, rounds_for
hosts = [f"h{number}" for number in range(30)]
print(rounds_for(all_pairs(hosts), lambda pair: {"v" + host[1] for host in pair}, {"v1": 2, "v2": 3}))
"""


def test_rounds_are_the_same_in_every_process() -> None:
    """Names hash differently in every process; nothing may depend on the order of a set."""
    said = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1


# What a pair uses.


@pytest.mark.parametrize(
    ("pair", "resources"),
    [
        (("a", "b"), ("v1",)),
        (("a", "c"), ("v1", "v2", "rack1")),
        (("a", "d"), ("v1", "v3", "rack1", "rack2")),
        (("c", "e"), ("v2",)),
        (("d", "f"), ("v3", "room")),
        (("x", "y"), ()),
    ],
)
def test_a_pair_uses_its_hypervisors_and_the_uplinks_it_crosses(pair: Pair, resources: tuple[str, ...]) -> None:
    hypervisors = {"a": "v1", "b": "v1", "c": "v2", "d": "v3"}
    bottlenecks = {"a": ["rack1"], "b": ["rack1"], "d": ["rack2"], "f": ["rack2", "room"]}
    assert resources_of(pair, hypervisors, bottlenecks) == resources
    assert set(resources_of((pair[1], pair[0]), hypervisors, bottlenecks)) == set(resources)


# The checker can fail.


def checked(rounds: list[list[Pair]], pairs: list[Pair]) -> list[str]:
    return check_rounds(rounds, pairs, lambda pair: ("up",) if "x" in pair else (), {"up": 1})


def test_the_checker_names_every_violation() -> None:
    pairs = [("a", "b"), ("c", "d"), ("x", "e")]
    assert checked([pairs], pairs) == []
    assert checked([pairs[:2]], pairs) == ["the pair of server x and client e is in 0 rounds, not in 1"]
    assert checked([pairs, pairs[:1]], pairs) == ["the pair of server a and client b is in 2 rounds, not in 1"]
    assert checked([pairs, [("a", "x")]], pairs) == ["the pair of server a and client x is in 1 rounds, not in 0"]
    assert checked([pairs, []], pairs) == ["round 2 is empty"]
    shared = [("a", "b"), ("b", "c")]
    assert checked([shared], shared) == ["b is in 2 pairs of round 1"]
    crowded = [("x", "a"), ("b", "x")]
    assert checked([crowded], crowded) == ["x is in 2 pairs of round 1", "2 pairs of round 1 use up, which bears 1"]


@given(st.integers(4, 30), st.integers(0, 2**32))
@FEW
def test_the_checker_sees_every_pair_that_is_moved_lost_or_doubled(count: int, seed: int) -> None:
    """In a mesh of an even number of hosts every host is in every round, so a pair fits nowhere else."""
    count += count % 2
    pairs = all_pairs(hosts_of(count))
    draw = random.Random(seed)
    rounds = rounds_for(pairs, no_resources, {})
    source, target = draw.sample(range(len(rounds)), 2)
    index = draw.randrange(len(rounds[source]))
    moved = [list(members) for members in rounds]
    moved[target].append(moved[source].pop(index))
    lost = [list(members) for members in rounds]
    lost[source].pop(index)
    doubled = [list(members) for members in rounds]
    doubled[target].append(doubled[source][index])
    for mutation in (moved, lost, doubled):
        assert check_rounds(mutation, pairs, no_resources, {}) != []


# Concurrent levels.


def test_levels_are_nested_and_share_no_host() -> None:
    pairs = [("a", "b"), ("a", "c"), ("c", "d"), ("b", "e"), ("e", "f")]
    assert level_rounds(pairs, [3, 1, 2]) == [
        (3, [("a", "b"), ("c", "d"), ("e", "f")]),
        (1, [("a", "b")]),
        (2, [("a", "b"), ("c", "d")]),
    ]


def test_a_level_that_is_too_high_is_refused_with_the_largest() -> None:
    with pytest.raises(SelectionError, match=r"3 pairs at once were asked for; .* largest possible level is 2, because"):
        level_rounds([("a", "b"), ("b", "c"), ("c", "d")], [1, 3])
    with pytest.raises(SelectionError, match="a concurrent level is 0; the lowest is 1"):
        level_rounds([("a", "b")], [0])


@given(st.integers(2, 80), st.integers(1, 300), st.integers(0, 2**32))
@FEW
def test_every_level_is_disjoint_and_within_the_next(count: int, amount: int, seed: int) -> None:
    pairs = random_pairs(hosts_of(count), amount, seed)
    with pytest.raises(SelectionError) as refused:
        level_rounds(pairs, [len(pairs) + 1])
    largest = int(str(refused.value).partition("level is ")[2].partition(",")[0])
    levels = level_rounds(pairs, range(1, largest + 1))
    for (level, members), (_next, more) in zip(levels, levels[1:] + levels[-1:], strict=True):
        assert len(members) == level == len({host for pair in members for host in pair}) / 2
        assert set(members) <= set(more) <= set(pairs)
