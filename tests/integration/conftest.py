"""Real pairs of hosts for the integration tests: two network namespaces each, always removed; and what tests leave."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from leftovers import Session
from namespaces import Mesh, Pair

NUMBERS = itertools.count(1)
SOMETHING_IS_LEFT = 8
"""The exit status of a session whose tests have left something; pytest itself has those up to 5."""
LEFTOVERS = pytest.StashKey[Session]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFTOVERS] = Session()


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[LEFTOVERS].close()


@pytest.fixture(scope="session", autouse=True)
def folder_of_the_tests(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is mounted and what lives there is of these tests."""
    request.config.stash[LEFTOVERS].folders.append(tmp_path_factory.getbasetemp())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    done = yield
    item.config.stash[LEFTOVERS].look(item.nodeid, nextitem is None or nextitem.path != item.path)
    return done


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.stash[LEFTOVERS].left:
        session.exitstatus = SOMETHING_IS_LEFT


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    found = config.stash[LEFTOVERS]
    if found.left:
        terminalreporter.section("left behind", red=True)
        for thing, test in found.left.items():
            terminalreporter.line(f"{thing}, first seen after {test}")
    if found.looks:
        milliseconds = 1000 * found.seconds / found.looks
        terminalreporter.line(f"leftovers were looked for {found.looks} times, {milliseconds:.1f} ms each")


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
