"""Edge colouring under capacities: no vertex and no resource ever has more than it bears."""

from __future__ import annotations

from collections import Counter

from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.capacities import capped_colours
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.colouring import Edge, edge_colours
from hypothesis import given, settings
from hypothesis import strategies as st

EDGES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda edge: edge[0] != edge[1]), max_size=120)


def twice(edges: list[Edge], colours: list[int]) -> list[tuple[int, int]]:
    """Vertices and colours that meet more than once."""
    seen = Counter((vertex, colour) for edge, colour in zip(edges, colours, strict=True) for vertex in edge)
    return [key for key, times in seen.items() if times > 1]


@given(EDGES.filter(bool), st.lists(st.integers(1, 4), min_size=3, max_size=3))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_capacities_hold_for_every_resource(edges: list[Edge], capacities: list[int]) -> None:
    demands = [tuple({first % 3, second % 3}) for first, second in edges]
    colours = capped_colours(edges, 10, demands, capacities, edge_colours(edges, 10), 1)
    assert twice(edges, colours) == []
    used = Counter((name, colour) for demand, colour in zip(demands, colours, strict=True) for name in demand)
    assert all(times <= capacities[name] for (name, _colour), times in used.items())
