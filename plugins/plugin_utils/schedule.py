"""Which pairs are measured at the same time: rounds in which no two pairs share a host."""

from __future__ import annotations

from collections.abc import Sequence

Pair = tuple[str, str]


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


def greedy_rounds(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """Declared pairs in rounds: each goes into the first round in which both of its hosts are free."""
    rounds: list[list[Pair]] = []
    busy: list[set[str]] = []
    for pair in pairs:
        for members, hosts in zip(rounds, busy, strict=True):
            if not hosts & set(pair):
                members.append(pair)
                hosts.update(pair)
                break
        else:
            rounds.append([pair])
            busy.append(set(pair))
    return rounds


def isolated_rounds(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """One pair at a time."""
    return [[pair] for pair in pairs]
