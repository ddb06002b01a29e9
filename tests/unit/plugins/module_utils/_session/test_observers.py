"""The server end's side of observers that lie, are silent, or have more to tell than a message holds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._control.channel import Channel
from ansible_collections.pairbench.lab.plugins.module_utils._control.messages import OBSERVATION_BYTES
from ansible_collections.pairbench.lab.plugins.module_utils._session import observer
from ansible_collections.pairbench.lab.plugins.module_utils._session.observers import Observers
from control import dialled, door, soon

OBSERVATION: dict[str, Any] = {
    "run_id": "r", "guest": "vm1", "hypervisor": "hv", "pid": 7, "comm": "qemu", "command": "qemu", "arch": "x86_64",
    "mode": "count", "probe": "p", "version": "1", "output": "calls", "stderr": "", "returncode": 0, "started_at": None,
    "ended_at": None, "seconds": 1.0, "problem": None,
}  # fmt: skip


class Watched:
    """Observers with one channel a side, and the hypervisors' ends of them."""

    def __init__(self) -> None:
        self.observers = Observers({"server": "", "client": ""})
        self.hypervisors: dict[str, Channel] = {}
        opened = door()
        for side in ("server", "client"):
            thread, found = dialled(opened.port, role="observer-" + side)
            self.observers.join(*opened.admit(["observer-" + side], soon()))
            thread.join(20)
            self.hypervisors[side] = found[0]
        opened.close()

    def say(self, side: str, **message: Any) -> None:
        self.hypervisors[side].send(**message)

    def armed(self) -> dict[str, Any]:
        for side in self.hypervisors:
            self.say(side, kind="armed", run_id="r", problem=None)
        found: dict[str, Any] = self.observers.arm("r")
        return found

    def close(self) -> None:
        self.observers.close()
        for channel in self.hypervisors.values():
            channel.close()


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched()
    yield made
    made.close()


def test_what_both_observed_is_returned(watched: Watched) -> None:
    results = watched.armed()
    for side in ("server", "client"):
        watched.say(side, kind="disarmed", run_id="r")
        watched.say(side, kind="observed", run_id="r", observation=OBSERVATION | {"guest": side})
    watched.observers.disarm("r", results)
    found = watched.observers.observations("r", results)
    assert found == {side: OBSERVATION | {"guest": side} for side in ("server", "client")}


@pytest.mark.parametrize("lie", [
    {"kind": "observed", "run_id": "r", "observation": OBSERVATION | {"pid": "7"}},
    {"kind": "observed", "run_id": "r", "observation": OBSERVATION | {"seconds": float("nan")}},
    {"kind": "observed", "run_id": "r", "observation": OBSERVATION | {"more": 1}},
    {"kind": "observed", "run_id": "another", "observation": OBSERVATION},
    {"kind": "over", "run_id": "r"},
    {"kind": "done", "run_id": "r", "measured": True},
])  # fmt: skip
def test_an_observer_that_lies_costs_its_counts_and_nothing_else(watched: Watched, lie: dict[str, Any]) -> None:
    results = watched.armed()
    for side in ("server", "client"):
        watched.say(side, kind="disarmed", run_id="r")
    watched.observers.disarm("r", results)
    watched.say("server", **lie)
    watched.say("client", kind="observed", run_id="r", observation=OBSERVATION)
    found = watched.observers.observations("r", results)
    assert found["client"] == OBSERVATION
    assert found["server"]["problem"]["reason"] == "vmm_not_traced"
    assert "its observer was lost: " in found["server"]["problem"]["detail"]
    watched.say("client", kind="armed", run_id="r2", problem=None)
    assert set(watched.observers.arm("r2")) == {"server"}  # and it is not asked again


def test_both_silent_observers_cost_one_deadline(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    expect = Channel.expect

    def note(channel: Channel, kind: str, run_id: str, deadline: float) -> Any:
        asked.append(deadline)
        return expect(channel, kind, run_id, soon(0.1))

    monkeypatch.setattr(Channel, "expect", note)
    found = watched.observers.arm("r")
    assert {result["problem"]["reason"] for result in found.values()} == {"vmm_not_traced"}
    assert len(asked) == 2 and len(set(asked)) == 1


def test_what_is_too_large_to_tell_is_not_told_in_part(watched: Watched) -> None:
    observation = OBSERVATION | {"output": "x" * OBSERVATION_BYTES}
    results = watched.armed()
    watched.say("server", kind="disarmed", run_id="r")
    watched.hypervisors["client"].close()
    watched.observers.disarm("r", results)
    teller = threading.Thread(target=observer._tell, args=(watched.hypervisors["server"], "r", observation), daemon=True)
    teller.start()
    found = watched.observers.observations("r", results)
    teller.join(20)
    assert found["server"]["output"] == "" and found["server"]["guest"] == "vm1"
    assert "what the tracer printed is too large: a message of 4194" in found["server"]["problem"]["detail"]
