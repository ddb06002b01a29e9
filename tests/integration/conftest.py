"""Real pairs of hosts for the integration tests: two network namespaces each, always removed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from namespaces import Mesh, Pair

NUMBERS = itertools.count(1)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two joined namespaces; everything in them is ended and they are removed afterwards."""
    built = Pair(next(NUMBERS))
    try:
        built.up()
        yield built
    finally:
        built.down()


@pytest.fixture
def mesh(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    """Namespaces on one switch, as many as the test's parameter says (four without one)."""
    built = Mesh(next(NUMBERS), getattr(request, "param", 4))
    try:
        built.up()
        yield built
    finally:
        built.down()


@pytest.fixture(scope="session")
def tracer() -> dict[str, Any]:
    """The tracer's self-test on this machine; tests of tracing need it to pass."""
    from ansible_collections.pairbench.lab.plugins.module_utils._tracing.tracer import self_test

    result: dict[str, Any] = self_test()
    assert result["available"], result["reason"]
    return result
