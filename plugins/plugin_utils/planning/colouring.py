"""Edge colouring on whole numbers: the arithmetic under `rounds`.

Vertices are 0 … n - 1, an edge is two different ones, a colour is a round. What a vertex has free is one integer
whose bits are colours, so that what two vertices have free together is one ``&``: the mesh of a thousand hosts takes
seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

Edge = tuple[int, int]
NO_COLOUR = -1


def edge_colours(edges: Sequence[Edge], vertices: int) -> list[int]:
    """A colour for each edge so that no vertex has one twice.

    With D the largest degree, at most D colours for a bipartite graph (König), D + m for any other, m being the
    largest number of edges between the same two vertices (Vizing), n - 1 or n for the complete graph on an even or odd
    number n of vertices. Mostly D, because edges get a further colour only when no repair has helped.
    """
    colouring = _Colouring(edges, vertices, _fewest(edges, vertices))
    waiting = in_order(edges, turns_of(edges, vertices))
    while waiting:
        waiting = [edge for edge in waiting if not colouring.place(edge)]
        if waiting:
            colouring.widen()
    return colouring.colours


def in_order(edges: Sequence[Edge], turn: Callable[[int, int], int]) -> list[int]:
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


def turns_of(edges: Sequence[Edge], vertices: int) -> Callable[[int, int], int]:
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


def bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, lowest first."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def lowest_bit(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


class _Colouring:
    """A colouring in the making, never wrong: no vertex ever has a colour twice.

    Its repairs are what keeps the bound of `edge_colours`. First fit that moves one other edge, as under capacities, needs
    no more colours for full meshes and random pairs, but up to three more where all vertices have one degree (43, not 40).
    """

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
            self._set(edge, lowest_bit(common))
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
        wanted, spare = lowest_bit(self._free[first]), lowest_bit(self._free[second])
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
                self._shift(vertex, lowest_bit(free & self._free[centre]), parents)
                return True
            if free & owned:
                spare, wanted = lowest_bit(free & owned), lowest_bit(self._free[centre])
                if not self._exchange(vertex, wanted, spare, avoid=centre):
                    self._exchange(owner[spare], wanted, spare, avoid=centre)
                return False
            owned |= free
            for colour in bits(free):
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
