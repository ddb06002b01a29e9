"""When Ansible looks for results: at the end of a worker while hosts measure, else as often as it is configured."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from types import SimpleNamespace

import pytest
from ansible import constants
from ansible_collections.pairbench.lab.plugins.plugin_utils.controller import polling
from ansible_collections.pairbench.lab.plugins.plugin_utils.controller.polling import OPTION, Polling

FORK = multiprocessing.get_context("fork")
FOREVER = 600.0
"""A pause that would end no test in time."""


def wait_as_if_begun_long_ago(pauses: Polling, holder: SimpleNamespace) -> None:
    """Wait for workers of which none has ended for a long time."""
    pauses.wait_for_workers()
    getattr(holder, OPTION)._ended = -2 * FOREVER


class Worker:
    """A process that ends when it is told."""

    def __init__(self) -> None:
        self._told = FORK.Event()
        self.process = FORK.Process(target=self._told.wait, args=(60,), daemon=True)
        self.process.start()

    def end(self, seconds: float = 0.0) -> None:
        """It is told after so many seconds, and may take its time."""
        threading.Timer(seconds, self._told.set).start()

    @property
    def has_ended(self) -> bool:
        return bool(wait([self.process.sentinel], 0))


@pytest.fixture
def start() -> Iterator[Callable[[], Worker]]:
    """Starts a worker."""
    workers: list[Worker] = []

    def started() -> Worker:
        workers.append(Worker())
        return workers[-1]

    yield started
    for worker in workers:
        worker.end()
        worker.process.join()
        worker.process.close()


@pytest.fixture
def holder(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What has the option. No pause ends because of the time, and after a worker's end there is no time to look."""
    monkeypatch.setattr(polling, "LONGEST_SECONDS", FOREVER)
    monkeypatch.setattr(polling, "ARRIVAL_SECONDS", 0.0)
    return SimpleNamespace(**{OPTION: 0.001})


def test_a_pause_lasts_until_a_worker_ends(
    holder: SimpleNamespace, start: Callable[[], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "ARRIVAL_SECONDS", FOREVER)  # it may end just before a pause begins, which then is short
    early, late, pauses = start(), start(), Polling(holder)
    for worker in (early, late):
        wait_as_if_begun_long_ago(pauses, holder)
        worker.end(0.2)
        time.sleep(getattr(holder, OPTION))
        assert worker.has_ended
        worker.process.join()


def test_a_worker_that_is_ending_is_not_waited_for_again_and_again(
    holder: SimpleNamespace, start: Callable[[], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "ARRIVAL_SECONDS", FOREVER)
    pauses, worker = Polling(holder), start()
    monkeypatch.setattr(polling, "wait", lambda sentinels, _seconds: waits.append(len(sentinels)) or sentinels)
    waits: list[int] = []
    wait_as_if_begun_long_ago(pauses, holder)
    for _look in range(3):
        time.sleep(getattr(holder, OPTION))
    assert waits == [1] and worker.process.is_alive()


def test_what_ends_between_two_pauses_is_looked_for_as_often_as_configured(
    holder: SimpleNamespace, start: Callable[[], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "ARRIVAL_SECONDS", FOREVER)
    one, _other = start(), start()
    wait_as_if_begun_long_ago(Polling(holder), holder)
    one.end()
    one.process.join()
    time.sleep(getattr(holder, OPTION))  # else until the other ends, which is never
    time.sleep(getattr(holder, OPTION))


def test_results_of_workers_that_were_gone_at_once_are_looked_for(
    holder: SimpleNamespace, start: Callable[[], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "ARRIVAL_SECONDS", FOREVER)
    start()
    Polling(holder).wait_for_workers()
    time.sleep(getattr(holder, OPTION))


def test_without_workers_a_pause_is_as_configured(holder: SimpleNamespace) -> None:
    Polling(holder).wait_for_workers()
    time.sleep(getattr(holder, OPTION))


def test_a_worker_that_does_not_end_is_looked_at_now_and_then(
    holder: SimpleNamespace, start: Callable[[], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "LONGEST_SECONDS", 0.01)
    worker = start()
    Polling(holder).wait_for_workers()
    for _look in range(3):
        time.sleep(getattr(holder, OPTION))
    assert worker.process.is_alive()


@pytest.mark.parametrize("configured", [0.001, 0.5])
def test_what_was_configured_is_put_back(configured: float) -> None:
    holder = SimpleNamespace(**{OPTION: configured})
    pauses = Polling(holder)
    for _step in range(2):
        pauses.wait_for_workers()
        pauses.wait_for_workers()
        pauses.restore()
        assert getattr(holder, OPTION) == configured
    pauses.restore()
    assert getattr(holder, OPTION) == configured


def test_ansible_has_the_option() -> None:
    assert isinstance(getattr(constants, OPTION), float)
