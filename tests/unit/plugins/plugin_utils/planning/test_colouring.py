"""Edge colouring of graphs that pairs of hosts cannot make: many edges between the same two vertices."""

from __future__ import annotations

from collections import Counter

from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.colouring import Edge, edge_colours
from hypothesis import given, settings
from hypothesis import strategies as st

EDGES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda edge: edge[0] != edge[1]), max_size=120)


def twice(edges: list[Edge], colours: list[int]) -> list[tuple[int, int]]:
    """Vertices and colours that meet more than once."""
    seen = Counter((vertex, colour) for edge, colour in zip(edges, colours, strict=True) for vertex in edge)
    return [key for key, times in seen.items() if times > 1]


@given(EDGES)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_multigraph_stays_within_vizings_bound(edges: list[Edge]) -> None:
    colours = edge_colours(edges, 10)
    assert twice(edges, colours) == []
    largest = max(Counter(vertex for edge in edges for vertex in edge).values(), default=0)
    most = max(Counter(frozenset(edge) for edge in edges).values(), default=0)
    assert len(set(colours)) <= largest + most
    assert all(colour >= 0 for colour in colours)


@given(EDGES)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_a_bipartite_multigraph_takes_as_many_colours_as_its_largest_degree(edges: list[Edge]) -> None:
    between = [(first, second + 10) for first, second in edges]
    colours = edge_colours(between, 20)
    assert twice(between, colours) == []
    assert len(set(colours)) == max(Counter(vertex for edge in between for vertex in edge).values(), default=0)


def test_shannons_graph_takes_half_as_many_more() -> None:
    """Three vertices with m edges between every two have degree 2 m, and no two edges can share a colour."""
    edges = [(0, 1), (1, 2), (2, 0)] * 4
    assert len(set(edge_colours(edges, 3))) == 12
