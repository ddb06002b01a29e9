"""Which pairs are measured at the same time: rounds in which no two pairs share a host or exceed a capacity.

Pairs are the edges of a graph whose vertices are the hosts, and rounds are its edge colouring. `rounds_for` colours
in the order of the circle method, repairs with alternating paths and Vizing fans, and so needs the known minimum for
a full mesh and for every bipartite choice of pairs, and at most one round more than the busiest host has pairs for
any other (Vizing 1964). Under declared capacities, where the exact answer is NP-hard, it is a heuristic, held
against `lower_bound`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from ..model import Pair
from .capacities import capped_colours
from .colouring import Edge, edge_colours

Uses = Callable[[Pair], Collection[str]]
"""The names of the resources that a pair uses while it is measured (`resources_of` with its mappings filled in)."""


class SelectionError(ValueError):
    """Pairs cannot be chosen or put into rounds as asked; the text says why and what to change."""


def all_pairs(hosts: Sequence[str]) -> list[Pair]:
    """Every pair once, the earlier host of the inventory first."""
    return [(first, second) for index, first in enumerate(hosts) for second in hosts[index + 1 :]]


def circle_rounds(hosts: Sequence[str]) -> list[list[Pair]]:
    """Every pair once, in n - 1 rounds for even n and n rounds for odd n (circle method).

    One host stays, the others turn around it; with an odd number an absent host takes part, and whoever meets it
    rests. Within a pair the earlier host of ``hosts`` comes first.
    """
    order = {host: index for index, host in enumerate(hosts)}
    ring: list[str | None] = [*hosts] if len(hosts) % 2 == 0 else [*hosts, None]
    rounds: list[list[Pair]] = []
    for _turn in range(len(ring) - 1):
        met = zip(ring[: len(ring) // 2], reversed(ring[len(ring) // 2 :]), strict=True)
        pairs = [(a, b) if order[a] < order[b] else (b, a) for a, b in met if a is not None and b is not None]
        rounds.append(pairs)
        ring = [ring[0], ring[-1], *ring[1:-1]]
    return rounds


def isolated_rounds(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """One pair at a time."""
    return [[pair] for pair in pairs]


def level_rounds(pairs: Sequence[Pair], levels: Sequence[int]) -> list[tuple[int, list[Pair]]]:
    """For each level k of ``levels``, k pairs that share no host, to be measured at once on purpose.

    Pairs are taken from ``pairs`` in order, so the pairs of a level are among those of every higher one and a
    difference between two levels is made by the added pairs alone. Raises SelectionError.
    """
    chosen: list[Pair] = []
    busy: set[str] = set()
    for pair in pairs:
        if busy.isdisjoint(pair):
            chosen.append(pair)
            busy.update(pair)
    for level in levels:
        if level < 1:
            raise SelectionError(f"a concurrent level is {level}; the lowest is 1, one pair alone")
        if level > len(chosen):
            raise SelectionError(
                f"{level} pairs at once were asked for; of these {len(pairs)} pairs, taken in order, the largest possible "
                f"level is {len(chosen)}, because no host takes part in two pairs at once"
            )
    return [(level, chosen[:level]) for level in levels]


def resources_of(
    pair: Pair, hypervisors: Mapping[str, str], bottlenecks: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """What a pair uses beside its hosts, each name once.

    That is the hypervisor of each end, whose CPUs work for the pair (once when both ends are on the same one), and
    every bottleneck, as an uplink, that exactly one end is behind: what two hosts behind the same uplink send to each
    other does not cross it. Hosts that a mapping does not name have no hypervisor, and are behind nothing.
    """
    first, second = pair
    names = [hypervisors[host] for host in pair if host in hypervisors]
    behind_first, behind_second = bottlenecks.get(first, ()), bottlenecks.get(second, ())
    names += [name for name in behind_first if name not in behind_second]
    names += [name for name in behind_second if name not in behind_first]
    return tuple(dict.fromkeys(names))


def lower_bound(pairs: Sequence[Pair], uses: Uses, capacities: Mapping[str, int]) -> int:
    """Rounds that no schedule can do without: the busiest host's pairs, or the busiest resource's over its capacity."""
    hosts: Counter[str] = Counter()
    resources: Counter[str] = Counter()
    for pair in pairs:
        hosts.update(pair)
        resources.update(set(uses(pair)))
    shares = (-(-count // _capacity(name, capacities)) for name, count in resources.items())
    return max(max(hosts.values(), default=0), max(shares, default=0))


def rounds_for(pairs: Sequence[Pair], uses: Uses, capacities: Mapping[str, int]) -> list[list[Pair]]:
    """Every pair in exactly one round; in a round no host is twice and no resource is used more than it can bear.

    ``uses`` names the resources of a pair, ``capacities`` says how many pairs may use a resource at the same time (1
    where it says nothing). The same arguments give the same rounds in every process.

    Without resources, or where they never bind, the number of rounds is at most

    - n - 1 (even n) or n (odd n) for a full mesh of n hosts, and twice that for both directions,
    - the number of pairs of the busiest host for pairs between two groups (any bipartite graph),
    - otherwise that number + 1, or + 2 when the same two hosts are paired in both directions (Vizing).

    With resources that bind there is no guarantee; `lower_bound` says how far from the best it can be at most. Memory
    grows with the number of pairs: 0.4 kB each, 0.9 kB under capacities (benchmarks/plan_speed.py).
    Raises SelectionError when a pair is there twice or with itself, or a capacity is below 1.
    """
    _check_pairs(pairs)
    problem = _numbered(pairs, uses, capacities)
    colours = edge_colours(problem.edges, problem.vertices)
    if _exceeds(problem, colours):
        fewest = lower_bound(pairs, uses, capacities)
        colours = capped_colours(
            problem.edges, problem.vertices, problem.demands, problem.capacities, colours, fewest
        )
    rounds: list[list[Pair]] = [[] for _ in range(max(colours, default=-1) + 1)]
    for pair, colour in zip(pairs, colours, strict=True):
        rounds[colour].append(pair)
    return [members for members in rounds if members]


def check_rounds(
    rounds: Sequence[Sequence[Pair]], pairs: Sequence[Pair], uses: Uses, capacities: Mapping[str, int]
) -> list[str]:
    """What is wrong with rounds, a sentence for each violation of what `rounds_for` promises; nothing when all is well.

    It knows nothing of how the rounds were made.
    """
    faults = [f"round {number} is empty" for number, members in enumerate(rounds, start=1) if not members]
    planned, placed = Counter(pairs), Counter(pair for members in rounds for pair in members)
    for pair, times in (planned - placed).items():
        faults.append(f"{_told(pair)} is in {planned[pair] - times} rounds, not in {planned[pair]}")
    for pair, times in (placed - planned).items():
        faults.append(f"{_told(pair)} is in {planned[pair] + times} rounds, not in {planned[pair]}")
    for number, members in enumerate(rounds, start=1):
        hosts = Counter(host for pair in members for host in pair)
        faults += [f"{host} is in {times} pairs of round {number}" for host, times in hosts.items() if times > 1]
        used = Counter(name for pair in members for name in sorted(set(uses(pair))))
        for name, times in used.items():
            if times > capacities.get(name, 1):
                faults.append(f"{times} pairs of round {number} use {name}, which bears {capacities.get(name, 1)}")
    return faults


@dataclass(frozen=True)
class _Problem:
    """Pairs with numbers for names."""

    edges: list[Edge]
    vertices: int
    demands: list[tuple[int, ...]]
    capacities: list[int]


def _numbered(pairs: Sequence[Pair], uses: Uses, capacities: Mapping[str, int]) -> _Problem:
    hosts = {host: number for number, host in enumerate(dict.fromkeys(host for pair in pairs for host in pair))}
    resources: dict[str, int] = {}
    same: dict[tuple[int, ...], tuple[int, ...]] = {}
    demands = []
    for pair in pairs:
        # Sorted: a set of names has another order in every process.
        numbers = tuple(resources.setdefault(name, len(resources)) for name in sorted(set(uses(pair))))
        demands.append(same.setdefault(numbers, numbers))
    return _Problem(
        edges=[(hosts[first], hosts[second]) for first, second in pairs],
        vertices=len(hosts),
        demands=demands,
        capacities=[_capacity(name, capacities) for name in resources],
    )


def _exceeds(problem: _Problem, colours: Sequence[int]) -> bool:
    """Whether rounds made without looking at the resources ask too much of one."""
    used: Counter[tuple[int, int]] = Counter()
    for colour, demand in zip(colours, problem.demands, strict=True):
        for resource in demand:
            used[resource, colour] += 1
    return any(times > problem.capacities[resource] for (resource, _colour), times in used.items())


def _check_pairs(pairs: Sequence[Pair]) -> None:
    for first, second in pairs:
        if first == second:
            raise SelectionError(f"{first} is paired with itself: a pair is two different hosts")
    if len(set(pairs)) < len(pairs):
        twice = next(pair for pair, times in Counter(pairs).items() if times > 1)
        raise SelectionError(f"{_told(twice)} is there more than once: a pair is measured once in a block")


def _capacity(name: str, capacities: Mapping[str, int]) -> int:
    capacity = capacities.get(name, 1)
    if capacity < 1:
        raise SelectionError(f"the capacity of {name} is {capacity}; at least one pair must be able to use it")
    return capacity


def _told(pair: Pair) -> str:
    return f"the pair of server {pair[0]} and client {pair[1]}"
