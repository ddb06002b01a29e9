"""The watch over waits on hosts, with real processes: who does not come back is ended, and nobody else."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.controller import watchdog
from ansible_collections.pairbench.lab.plugins.plugin_utils.controller.processes import (
    children,
    descendants,
    descriptors_problem,
    send,
    state_of,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.controller.watchdog import Watchdog

# A worker that waits for what it has started, as a connection plugin does, and says what came of it.
WORKER = "import subprocess, sys; print(subprocess.run(sys.argv[1:]).returncode, flush=True)"
STUBBORN = "trap '' TERM; while :; do sleep 0.05; done"


def wait_until(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


class Workers:
    """Workers by host; each waits for a process of its own."""

    def __init__(self) -> None:
        self.by_host: dict[str, subprocess.Popen[str]] = {}
        self.interrupts = 0
        self.watch = Watchdog(self._pid_of, self._interrupted)

    def start(self, host: str, *command: str, seconds: float) -> subprocess.Popen[str]:
        worker = subprocess.Popen([sys.executable, "-c", WORKER, *command], stdout=subprocess.PIPE, text=True)
        self.by_host[host] = worker
        wait_until(lambda: children(worker.pid))
        self.watch.begin(host, "task", "a task", seconds)
        return worker

    def _pid_of(self, host: str, task: str) -> int | None:
        worker = self.by_host[host]
        return worker.pid if task == "task" and worker.poll() is None else None

    def _interrupted(self) -> None:
        self.interrupts += 1

    def end(self) -> None:
        self.watch.stop()
        for worker in self.by_host.values():
            if worker.poll() is None:
                send([*descendants(worker.pid), worker.pid], signal.SIGKILL)
            worker.wait()


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    monkeypatch.setattr(watchdog, "CUT_SECONDS", 0.5)
    monkeypatch.setattr(watchdog, "AGAIN_SECONDS", 0.2)
    made = Workers()
    yield made
    made.end()


def said(worker: subprocess.Popen[str]) -> str:
    return worker.communicate(timeout=60)[0].strip()


def test_a_stopped_program_is_told_to_end_and_its_worker_comes_back(workers: Workers) -> None:
    worker = workers.start("slow", "sleep", "600", seconds=0.5)
    for pid in children(worker.pid):
        os.kill(pid, signal.SIGSTOP)
    bystander = workers.start("quick", "sleep", "600", seconds=600)
    assert said(worker) == str(-signal.SIGTERM)
    assert workers.watch.end("slow") == "it gave no answer within 0 s at: a task"
    assert bystander.poll() is None and workers.watch.end("quick") == ""
    assert not workers.watch.killed and not workers.interrupts


def test_a_program_that_does_not_end_is_killed_with_all_that_it_started(workers: Workers) -> None:
    worker = workers.start("slow", "sh", "-c", f"sh -c \"{STUBBORN}\" & {STUBBORN}", seconds=600)
    wait_until(lambda: len(descendants(worker.pid)) >= 3)
    everything = descendants(worker.pid)
    workers.watch.hasten("slow", 0.2)  # not before all are there
    assert said(worker) == str(-signal.SIGKILL)
    wait_until(lambda: all(state_of(pid) in ("", "Z") for pid in everything))
    assert workers.watch.end("slow")


def test_a_stopped_worker_is_killed_and_what_it_started_is_left_to_see_that(workers: Workers) -> None:
    worker = workers.start("slow", "sleep", "600", seconds=600)
    (started,) = children(worker.pid)
    os.kill(worker.pid, signal.SIGSTOP)
    workers.watch.hasten("slow", 0.2)
    assert worker.wait(60) == -signal.SIGKILL
    assert state_of(started) == "S"
    os.kill(started, signal.SIGKILL)
    [sentence] = workers.watch.killed
    assert "waited for slow" in sentence
    wait_until(lambda: workers.interrupts)  # nobody has taken note of its end: the play hangs for another reason


def test_the_rest_of_a_session_is_short_when_the_other_end_has_returned(workers: Workers) -> None:
    worker = workers.start("slow", "sleep", "600", seconds=600)
    workers.watch.hasten("slow", 0.2)
    workers.watch.hasten("slow", 900)
    workers.watch.hasten("nobody", 0.1)
    assert said(worker) == str(-signal.SIGTERM)
    assert workers.watch.end("slow")


def test_who_answers_in_time_is_not_touched_nor_is_the_task_that_follows(workers: Workers) -> None:
    first = workers.start("host", "sleep", "0.1", seconds=600)
    assert said(first) == "0"
    assert workers.watch.end("host") == ""
    second = workers.start("host", "sleep", "600", seconds=600)
    workers.watch.begin("host", "another task, which needs no worker", "include", 0.1)
    time.sleep(0.5)
    assert second.poll() is None and not workers.interrupts


def test_whoever_was_stopped_itself_gives_everybody_more_time(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(watchdog, "OVERSLEPT_SECONDS", -1.0)  # every waking is late
    monkeypatch.setattr(watchdog, "CUT_SECONDS", 600.0)
    worker = workers.start("host", "sleep", "600", seconds=0.1)
    wait_until(lambda: workers.watch._waits["host"].due > now + 300)
    assert worker.poll() is None and workers.watch.end("host") == ""


def test_the_want_of_descriptors_is_seen_before_it_hurts() -> None:
    assert descriptors_problem() == ""
    gc.collect()  # else what other tests left open may go between the two counts
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert "raise the limit with ulimit -n" in descriptors_problem(10_000_000)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
