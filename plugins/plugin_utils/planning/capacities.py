"""Edge colouring in which edges also use resources, each of which bears so many edges of one colour.

The exact answer is NP-hard; these are heuristics.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from .colouring import NO_COLOUR, Edge, bits, in_order, lowest_bit, turns_of


def capped_colours(
    edges: Sequence[Edge],
    vertices: int,
    demands: Sequence[Sequence[int]],
    capacities: Sequence[int],
    uncapped: Sequence[int],
    fewest: int,
) -> list[int]:
    """A colour for each edge so that no vertex has one twice and resource r at most ``capacities[r]`` times.

    ``demands`` names the resources of each edge, ``uncapped`` is a colouring that knows nothing of them and ``fewest`` a
    lower bound. The best of some heuristics: first fit in the order of the circle method, and ``uncapped`` with what is
    too much moved elsewhere. Each moves an edge away where that spares a colour.
    """
    problem = _Capped(edges, vertices, demands, capacities, fewest)
    best = problem.fill(0)
    for attempt in range(1, ATTEMPTS if len(edges) <= MANY_EDGES else 1):
        if not problem.is_close(best):
            best = min(best, problem.fill(attempt), key=max)
    kept = None if problem.is_close(best) else problem.keep(uncapped)
    return best if kept is None else min(best, kept, key=max)


ATTEMPTS, MANY_EDGES = 3, 50_000
"""How many orders first fit is tried in, and the number of edges above which, for time, it is one."""
MOVES = 400
"""How many other edges are tried to make room for one."""


@dataclass(frozen=True)
class _Capped:
    """A colouring problem with capacities, and heuristics for it."""

    edges: Sequence[Edge]
    vertices: int
    demands: Sequence[Sequence[int]]
    capacities: Sequence[int]
    fewest: int

    def is_close(self, colours: Sequence[int]) -> bool:
        """Whether there is less than one colour in a hundred to gain."""
        return max(colours) + 1 <= self.fewest + self.fewest // 100

    def keep(self, uncapped: Sequence[int]) -> list[int] | None:
        """Good where resources bind in few places; ``None`` where they bind for more than a tenth of the edges."""
        filling = _Filling(self)
        left = [edge for edge, colour in enumerate(uncapped) if not filling.place_at(edge, colour)]
        if 10 * len(left) > len(self.edges):
            return None
        for edge in left:
            filling.place(edge)
        return filling.colours

    def fill(self, seed: int) -> list[int]:
        """Good where resources bind everywhere.

        Vertices are numbered anew at random: hosts of one machine mostly follow one another, and a turn of the circle
        would ask much of a few machines and nothing of the others.
        """
        draw = random.Random(seed).random
        number = sorted(range(self.vertices), key=lambda _vertex: draw())
        edges = [(number[first], number[second]) for first, second in self.edges]
        filling = _Filling(self)
        for edge in in_order(edges, turns_of(edges, self.vertices)):
            filling.place(edge)
        return filling.colours


class _Filling:
    """First fit under capacities, with a move of another edge where that makes room."""

    def __init__(self, problem: _Capped) -> None:
        vertices = problem.vertices
        self.colours = [NO_COLOUR] * len(problem.edges)
        # What an edge uses, its vertices among it: they are resources that bear one edge.
        self._uses = [
            (*edge, *(vertices + name for name in demand))
            for edge, demand in zip(problem.edges, problem.demands, strict=True)
        ]
        self._capacities = [1] * vertices + list(problem.capacities)
        self._full = [0] * len(self._capacities)
        self._users: list[dict[int, list[int]]] = [{} for _ in self._capacities]
        # The colours that may be used without a thought: there can be no fewer of them.
        self._open = (1 << problem.fewest) - 1

    def place_at(self, edge: int, colour: int) -> bool:
        """Give an edge this colour; whether there was room."""
        if self._taken(edge) >> colour & 1:
            return False
        self._set(edge, colour)
        return True

    def place(self, edge: int) -> None:
        """Colour an edge; with a further colour only where no move of another edge makes room."""
        taken = self._taken(edge)
        if taken & self._open == self._open:
            if self._make_room(edge):
                return
            self._open = self._open << 1 | 1
        self._set(edge, lowest_bit(~taken))

    def _taken(self, edge: int) -> int:
        taken = 0
        for name in self._uses[edge]:
            taken |= self._full[name]
        return taken

    def _make_room(self, edge: int) -> bool:
        """Find a colour that one thing alone refuses, and move an edge away that uses it there."""
        once = twice = 0
        for name in self._uses[edge]:
            twice |= once & self._full[name]
            once |= self._full[name]
        for colour, other in islice(self._refusing(edge, once & ~twice & self._open), MOVES):
            free = ~self._taken(other) & self._open
            if free:
                self._clear(other)
                self._set(other, lowest_bit(free))
                self._set(edge, colour)
                return True
        return False

    def _refusing(self, edge: int, colours: int) -> Iterator[tuple[int, int]]:
        """The edges that use, with one of these colours, what the edge needs; with the colour."""
        for name in self._uses[edge]:
            for colour in bits(colours & self._full[name]):
                for other in self._users[name][colour]:
                    yield colour, other

    def _set(self, edge: int, colour: int) -> None:
        self.colours[edge] = colour
        for name in self._uses[edge]:
            users = self._users[name].setdefault(colour, [])
            users.append(edge)
            if len(users) == self._capacities[name]:
                self._full[name] |= 1 << colour

    def _clear(self, edge: int) -> None:
        colour = self.colours[edge]
        for name in self._uses[edge]:
            self._users[name][colour].remove(edge)
            self._full[name] &= ~(1 << colour)
