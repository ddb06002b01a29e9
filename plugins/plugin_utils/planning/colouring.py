"""Edge colouring on whole numbers: the arithmetic under `schedule`.

Vertices are 0 … n - 1, an edge is two different ones, a colour is a round. What a vertex has free is one integer
whose bits are colours, so that what two vertices have free together is one ``&``: the mesh of a thousand hosts takes
seconds.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

Edge = tuple[int, int]
NO_COLOUR = -1


def edge_colours(edges: Sequence[Edge], vertices: int) -> list[int]:
    """A colour for each edge so that no vertex has one twice.

    With D the largest degree, at most D colours for a bipartite graph (König), D + m for any other, m being the
    largest number of edges between the same two vertices (Vizing), n - 1 or n for the complete graph on an even or odd
    number n of vertices. Mostly D, because edges get a further colour only when no repair has helped.
    """
    colouring = _Colouring(edges, vertices, _fewest(edges, vertices))
    waiting = _in_order(edges, _turns(edges, vertices))
    while waiting:
        waiting = [edge for edge in waiting if not colouring.place(edge)]
        if waiting:
            colouring.widen()
    return colouring.colours


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


def _in_order(edges: Sequence[Edge], turn: Callable[[int, int], int]) -> list[int]:
    """Edge numbers by the turn of each edge; the second edge between two vertices comes after every first one."""
    vertices, span = 1 + max((max(edge) for edge in edges), default=0), len(edges) + 1
    earlier: Counter[int] = Counter()
    keys = []
    for number, (first, second) in enumerate(edges):
        both = min(first, second) * vertices + max(first, second)
        # One integer a key: a hundred bytes less an edge than a tuple.
        keys.append((earlier[both] * vertices + turn(first, second)) * span + number)
        earlier[both] += 1
    keys.sort()
    return [key % span for key in keys]


def _turns(edges: Sequence[Edge], vertices: int) -> Callable[[int, int], int]:
    """The turn of an edge, such that first fit by turns is the best for a complete or complete bipartite graph.

    That is the turn of the circle method, or the diagonal of the table with one side as rows, the other as columns.
    """
    sides = _Sides(edges, vertices)
    return sides.turn if sides.bipartite else _circle_turn(vertices)


def _circle_turn(vertices: int) -> Callable[[int, int], int]:
    """The turn in which two vertices meet: one of an even number stays, the others turn around it."""
    turns = vertices if vertices % 2 else vertices - 1

    def turn(first: int, second: int) -> int:
        if first == turns:
            return 2 * second % turns
        return 2 * first % turns if second == turns else (first + second) % turns

    return turn


class _Sides:
    """Whether the vertices fall into two sides with every edge between them, and where in its side each one is."""

    def __init__(self, edges: Sequence[Edge], vertices: int) -> None:
        self._neighbours: list[list[int]] = [[] for _ in range(vertices)]
        for first, second in edges:
            self._neighbours[first].append(second)
            self._neighbours[second].append(first)
        self._side = [0] * vertices
        self._place = [0] * vertices
        self._longer = [1] * vertices
        self.bipartite = all(self._spread(start) for start in range(vertices) if not self._side[start])
        del self._neighbours

    def _spread(self, start: int) -> bool:
        """Give sides 1 and -1 to everything that hangs together with ``start``; whether that is possible."""
        self._side[start] = 1
        members, sizes = [start], {1: 0, -1: 0}
        for vertex in members:
            side = self._side[vertex]
            for other in self._neighbours[vertex]:
                if self._side[other] == side:
                    return False
                if not self._side[other]:
                    self._side[other] = -side
                    members.append(other)
        for vertex in sorted(members):
            self._place[vertex] = sizes[self._side[vertex]]
            sizes[self._side[vertex]] += 1
        for vertex in members:
            self._longer[vertex] = max(sizes.values())
        return True

    def turn(self, first: int, second: int) -> int:
        """The diagonal on which two vertices of different sides meet."""
        return (self._place[first] + self._place[second]) % self._longer[first]


def _fewest(edges: Sequence[Edge], vertices: int) -> int:
    """The largest degree, or what follows from a colour holding at most half as many edges as there are vertices."""
    degrees = [0] * vertices
    for first, second in edges:
        degrees[first] += 1
        degrees[second] += 1
    return max(max(degrees, default=0), -(-len(edges) // max(1, vertices // 2)))


def _bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, lowest first."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


class _Colouring:
    """A colouring in the making, never wrong: no vertex ever has a colour twice."""

    def __init__(self, edges: Sequence[Edge], vertices: int, palette: int) -> None:
        self.colours = [NO_COLOUR] * len(edges)
        self._edges = edges
        self._palette = palette
        self._free = [(1 << palette) - 1] * vertices
        # Which edge has a colour at a vertex. Only repairs need it, and a complete graph needs no repairs.
        self._at: list[dict[int, int]] | None = None

    def widen(self) -> None:
        """Allow one colour more."""
        bit = 1 << self._palette
        self._palette += 1
        self._free = [free | bit for free in self._free]

    def place(self, edge: int) -> bool:
        """Colour an edge, recolouring others where needed; whether that was possible with the colours allowed."""
        first, second = self._edges[edge]
        common = self._free[first] & self._free[second]
        if common:
            self._set(edge, _lowest(common))
            return True
        return self._swap(edge, first, second) or self._turn_fan(edge, first, second)

    def _set(self, edge: int, colour: int) -> None:
        self.colours[edge] = colour
        for vertex in self._edges[edge]:
            self._free[vertex] &= ~(1 << colour)
            if self._at is not None:
                self._at[vertex][colour] = edge

    def _clear(self, edge: int) -> int:
        """Take an edge's colour away and return it."""
        colour = self.colours[edge]
        self.colours[edge] = NO_COLOUR
        for vertex in self._edges[edge]:
            self._free[vertex] |= 1 << colour
            if self._at is not None:
                del self._at[vertex][colour]
        return colour

    def _index(self) -> list[dict[int, int]]:
        if self._at is None:
            self._at = [{} for _ in self._free]
            for edge, colour in enumerate(self.colours):
                if colour != NO_COLOUR:
                    for vertex in self._edges[edge]:
                        self._at[vertex][colour] = edge
        return self._at

    def _other_end(self, edge: int, vertex: int) -> int:
        first, second = self._edges[edge]
        return second if vertex == first else first

    def _swap(self, edge: int, first: int, second: int) -> bool:
        """Make a colour that is free at the first vertex free at the second too, along one path (Kempe)."""
        if not self._free[first] or not self._free[second]:
            return False
        wanted, spare = _lowest(self._free[first]), _lowest(self._free[second])
        if not self._exchange(second, wanted, spare, avoid=first):
            return False
        self._set(edge, wanted)
        return True

    def _exchange(self, start: int, wanted: int, spare: int, avoid: int) -> bool:
        """Exchange two colours along the path of both that begins at ``start``, where ``spare`` is free.

        Afterwards ``wanted`` is free there. Nothing is done, and False returned, when the path ends at ``avoid``.
        """
        at = self._index()
        path, vertex, colour = [], start, wanted
        while (edge := at[vertex].get(colour)) is not None:
            path.append(edge)
            vertex = self._other_end(edge, vertex)
            colour = spare if colour == wanted else wanted
        if vertex == avoid:
            return False
        old = [self._clear(edge) for edge in path]
        for edge, colour in zip(path, old, strict=True):
            self._set(edge, spare if colour == wanted else wanted)
        return True

    def _turn_fan(self, edge: int, centre: int, rim: int) -> bool:
        """Colour an edge by Vizing's fan around one of its vertices.

        The fan is a tree of edges at the centre, each of a colour that is free at its parent's rim vertex. Where a rim
        vertex and the centre have a colour free together, every colour moves one edge towards the root. Where two rim
        vertices have one free together, one of them gets a colour free at the centre by an exchange, after which the
        fan, grown again, has such a rim vertex: hence two attempts.
        """
        if not self._free[centre]:
            return False
        return any(self._grow_fan(edge, centre, rim) for _attempt in range(2))

    def _grow_fan(self, edge: int, centre: int, rim: int) -> bool:
        at = self._index()
        parents: dict[int, tuple[int, int]] = {rim: (edge, NO_COLOUR)}
        owner: dict[int, int] = {}
        owned = 0
        fan = [rim]
        for vertex in fan:
            free = self._free[vertex]
            if free & self._free[centre]:
                self._shift(vertex, _lowest(free & self._free[centre]), parents)
                return True
            if free & owned:
                spare, wanted = _lowest(free & owned), _lowest(self._free[centre])
                if not self._exchange(vertex, wanted, spare, avoid=centre):
                    self._exchange(owner[spare], wanted, spare, avoid=centre)
                return False
            owned |= free
            for colour in _bits(free):
                owner[colour] = vertex
                further = at[centre][colour]
                end = self._other_end(further, centre)
                if end not in parents:
                    parents[end] = (further, vertex)
                    fan.append(end)
        return False

    def _shift(self, vertex: int, colour: int, parents: dict[int, tuple[int, int]]) -> None:
        """Give ``colour`` to the fan's edge at ``vertex``, its old one to its parent's, and so on to the root."""
        while vertex != NO_COLOUR:
            edge, parent = parents[vertex]
            old = self._clear(edge) if parent != NO_COLOUR else NO_COLOUR
            self._set(edge, colour)
            vertex, colour = parent, old


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
        for edge in _in_order(edges, _turns(edges, self.vertices)):
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
        self._set(edge, _lowest(~taken))

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
                self._set(other, _lowest(free))
                self._set(edge, colour)
                return True
        return False

    def _refusing(self, edge: int, colours: int) -> Iterator[tuple[int, int]]:
        """The edges that use, with one of these colours, what the edge needs; with the colour."""
        for name in self._uses[edge]:
            for colour in _bits(colours & self._full[name]):
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
