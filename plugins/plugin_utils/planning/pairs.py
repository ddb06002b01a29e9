"""Which pairs of hosts are measured: a full mesh, declared pairs, groups against groups, a random sample of these."""

from __future__ import annotations

import random
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from ..model import Pair
from .rounds import SelectionError, all_pairs

__all__ = ["SelectionError", "pairs_by_value", "select_pairs", "within"]


def select_pairs(
    hosts: Sequence[str],
    *,
    declared: Sequence[Pair] = (),
    groups: Sequence[tuple[Sequence[str], Sequence[str]]] = (),
    sample: int = 0,
    seed: int = 0,
) -> list[Pair]:
    """The pairs to measure, each once.

    ``declared`` pairs come first, then every (server, client) of each of the ``groups``, which are members of a
    server group and of a client group; a host is never paired with itself. With neither, every two of ``hosts`` are a
    pair, the earlier host of the inventory first. ``sample`` above 0 keeps that many of them, drawn with ``seed``, in
    their order; all when there are fewer. The draw is the same on every Python. Raises SelectionError.
    """
    known = set(hosts)
    if declared or groups:
        pairs = [*_declared(declared, known), *_between(groups, known)]
    else:
        pairs = all_pairs(list(dict.fromkeys(hosts)))
    chosen = list(dict.fromkeys(pairs))
    return _sampled(chosen, sample, seed)


def within(pair: Pair, only: frozenset[str] | None) -> bool:
    """Whether both hosts of a pair are among ``only``; None limits nothing."""
    return only is None or (pair[0] in only and pair[1] in only)


def pairs_by_value(values: Mapping[str, Any]) -> tuple[Pair, ...]:
    """Every two hosts whose values are equal, the earlier host of the inventory first.

    ``values`` has one of each host, None or an empty text where it has none. Raises SelectionError when none are equal.
    """
    alike: dict[str, list[str]] = {}
    for host, value in values.items():
        if value is not None and str(value) != "":
            alike.setdefault(str(value), []).append(host)
    pairs = tuple(pair for hosts in alike.values() for pair in all_pairs(hosts))
    if not pairs:
        told = ", ".join(f"{host}: {value!r}" for host, value in list(values.items())[:6])
        raise SelectionError(f"no two hosts have an equal value of the variable that pairbench_pair_by names ({told})")
    return pairs


def _declared(pairs: Sequence[Pair], known: Container[str]) -> Iterable[Pair]:
    for pair in pairs:
        if len(pair) != 2:
            raise SelectionError(f"pairbench_pairs holds {list(pair)}: a pair is two hosts, the server and the client")
        server, client = pair
        if server == client:
            raise SelectionError(f"pairbench_pairs holds {server} with itself: a pair is two different hosts")
        for host in pair:
            if host not in known:
                raise SelectionError(f"pairbench_pairs holds {list(pair)}, and {host} is not a host of the play")
        yield server, client


def _between(groups: Sequence[tuple[Sequence[str], Sequence[str]]], known: Container[str]) -> Iterable[Pair]:
    for number, (servers, clients) in enumerate(groups, start=1):
        where = f"choice {number} of groups against groups"
        for side, members in (("server", servers), ("client", clients)):
            if not members:
                raise SelectionError(f"the {side} group of {where} has no hosts in the play: check inventory and --limit")
            for host in members:
                if host not in known:
                    raise SelectionError(f"{host}, in the {side} group of {where}, is not a host of the play")
        pairs = [(server, client) for server in servers for client in clients if server != client]
        if not pairs:
            raise SelectionError(f"both groups of {where} hold {servers[0]} alone: a pair is two different hosts")
        yield from pairs


def _sampled(pairs: list[Pair], sample: int, seed: int) -> list[Pair]:
    """Draw by ``random()``, whose numbers Python promises to keep for a seed; of ``sample()`` it does not."""
    if sample < 0:
        raise SelectionError(f"the sample of pairs is {sample}; it must be 0 (all pairs) or more")
    if sample == 0 or sample >= len(pairs):
        return pairs
    draw = random.Random(f"{seed}/pairs").random
    ranked = sorted((draw(), index) for index in range(len(pairs)))
    return [pairs[index] for index in sorted(index for _rank, index in ranked[:sample])]
