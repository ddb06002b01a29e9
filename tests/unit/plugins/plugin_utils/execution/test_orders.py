"""Orders as they cross Ansible."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.orders import Orders
from ansible_collections.pairbench.lab.plugins.plugin_utils.lab.guests import Guest
from hypothesis import given
from hypothesis import strategies as st
from passes import orders

NAMES = st.text(min_size=1, max_size=20)


@given(
    only=st.none() | st.frozensets(NAMES),
    guests=st.dictionaries(NAMES, st.builds(Guest, NAMES, st.dictionaries(NAMES, NAMES))),
    ports=st.lists(st.fixed_dictionaries({"protocol": NAMES, "port": st.integers(1, 65535), "variable": NAMES})),
    hosts=st.dictionaries(NAMES, NAMES),
    lease=st.floats(0, 1e9),
)
def test_orders_are_the_same_on_the_other_side(
    only: frozenset[str] | None, guests: dict[str, Guest], ports: list[dict[str, object]], hosts: dict[str, str],
    lease: float,
) -> None:
    given_orders = orders(
        sweep_dir=Path("/results/a sweep"), only=only, guests=guests, ports=tuple(ports), hosts=hosts, lease_seconds=lease
    )
    document = json.loads(json.dumps(given_orders.to_json()))
    assert Orders.from_json(document | {"changed": True, "invocation": {}}) == given_orders


def test_only_nobody_is_not_the_same_as_everybody() -> None:
    assert Orders.from_json(orders(only=frozenset()).to_json()).only == frozenset()
    assert Orders.from_json(orders(only=None).to_json()).only is None


@pytest.mark.parametrize("name", list(Orders.__dataclass_fields__))
def test_no_field_may_be_missing(name: str) -> None:
    document = orders().to_json()
    del document[name]
    with pytest.raises(KeyError):
        Orders.from_json(document)
