"""Messages with a man in the middle, on connections that break, and with an end that never reads."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._control import channel
from ansible_collections.pairbench.lab.plugins.module_utils._control.channel import KEEPALIVE, Channel
from ansible_collections.pairbench.lab.plugins.module_utils._control.messages import (
    DETAIL_CHARS,
    MESSAGE_BYTES,
    OBSERVATION_BYTES,
)
from ansible_collections.pairbench.lab.plugins.module_utils._control.peer import (
    ControlChanged,
    PeerLost,
    PeerSilent,
    PeerUnfit,
    TooLarge,
)
from control import Meddle, Patience, dialled, door, soon
from hypothesis import given, settings
from hypothesis import strategies as st
from meetings import liar, met, serve


def test_the_two_ends_meet_and_hear_each_other() -> None:
    opened = door()
    thread, found = dialled(opened.port)
    role, server = serve(opened)
    thread.join(20)
    [client] = found
    opened.close()
    assert role == "client"
    server.send(kind="ready", run_id="r1", problem=None)
    client.send(kind="done", run_id="r1", measured=True)
    assert client.expect("ready", "r1", soon())["problem"] is None
    assert server.expect("done", "r1", soon())["measured"] is True
    observation: dict[str, Any] = {
        "run_id": "r1", "guest": "vm ä", "hypervisor": "hv", "pid": 7, "comm": "qemu", "command": "/usr/bin/qemu \udce4",
        "arch": "x", "mode": "count", "probe": "p", "version": None, "output": '{"type": "map"}\n' * 90_000, "stderr": "",
        "returncode": 0, "started_at": "2026-01-01", "ended_at": None, "seconds": 1.5,
        "problem": {"reason": "vmm_not_traced", "detail": "x" * 9000},
    }  # fmt: skip
    thread, found = _sending(client, kind="observed", run_id="r1", observation=observation)
    heard = server.expect("observed", "r1", soon())["observation"]
    thread.join(20)
    assert not found
    assert heard["output"] == observation["output"] and heard["seconds"] == 1.5 and heard["guest"] == "vm ä"
    assert heard["command"] == "/usr/bin/qemu ?"
    assert heard["problem"] == {"reason": "vmm_not_traced", "detail": "x" * DETAIL_CHARS}
    with pytest.raises(TooLarge):
        client.send(kind="observed", run_id="r1", observation=observation | {"output": "x" * OBSERVATION_BYTES})
    client.send(kind="done", run_id="r2", measured=False)  # nothing of what was too large was sent
    assert server.expect("done", "r2", soon())["measured"] is False
    client.close()
    with pytest.raises(PeerLost, match="closed the control connection"):
        server.receive(soon())


def _sending(channel: Channel, **message: Any) -> Any:
    errors: list[Exception] = []

    def send() -> None:
        try:
            channel.send(**message)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread, errors


MESSAGES = [("over", {}), ("arm", {}), ("done", {"measured": True}), ("ready", {"problem": None}), ("disarm", {})]


def _meddling(kind: str, at: int, where: int, seed: bytes, said: list[bytes]) -> Meddle:
    """What somebody does to one frame of the server's, number ``at``, whose earlier ones are in ``said``."""
    held: list[bytes] = []

    def meddle(direction: str, number: int, frame: bytes) -> Any:
        if direction != "L" or number < 2:
            return [(direction, frame)]
        said.append(frame)
        if held:
            return [(direction, frame), (direction, held.pop())]
        if number - 2 != at:
            return [(direction, frame)]
        position = where % (len(frame) * 8)
        if kind == "flip":
            changed = bytearray(frame)
            changed[position // 8] ^= 1 << position % 8
            return [(direction, bytes(changed))]
        if kind == "leave out":
            return []
        if kind == "repeat":
            return [(direction, frame), (direction, frame)]
        if kind == "replay":
            return [(direction, said[where % len(said)] if where % len(said) != at else seed + frame)]
        if kind == "swap":
            held.append(frame)
            return []
        if kind == "send back":
            return [("D", frame)]
        if kind == "insert":
            return [(direction, seed + frame)]
        if kind == "cut":
            return [(direction, frame[: position // 8] + b"end")]
        if kind == "break":
            return [(direction, frame[: position // 8]), (direction, b"")]
        raise AssertionError(kind)

    return meddle


@given(
    st.sampled_from(["flip", "leave out", "repeat", "replay", "swap", "send back", "insert", "cut", "break"]),
    st.integers(0, len(MESSAGES) - 2), st.integers(0, 10_000), st.binary(min_size=1, max_size=80),
)
@settings(max_examples=100)
def test_a_message_that_was_meddled_with_is_never_believed(kind: str, at: int, where: int, seed: bytes) -> None:
    said: list[bytes] = []
    with met(_meddling(kind, at, where, seed, said)) as (server, client, _relay):
        with contextlib.suppress(*([PeerLost] if kind == "break" else [])):
            for number, (name, fields) in enumerate(MESSAGES):
                server.send(kind=name, run_id=f"r{number}", **fields)
        heard: list[Any] = []
        victim = server if kind == "send back" else client
        with pytest.raises(PeerLost) as caught:
            while True:
                heard.append(victim.receive(soon(5)))
        believed = 0 if kind == "send back" else at + (kind == "repeat")
        assert [message["run_id"] for message in heard] == [f"r{number}" for number in range(believed)]
        assert caught.type is (PeerLost if kind == "break" else ControlChanged), caught.value
        with pytest.raises(caught.type):  # and nothing after it
            victim.receive(soon())


def test_what_comes_late_is_still_heard() -> None:
    with met() as (server, client, _relay):
        with pytest.raises(PeerSilent, match="said nothing in the time"):
            client.receive(soon(0))
        server.send(kind="over", run_id="r")
        assert client.expect("over", "r", soon())


def test_a_connection_that_breaks_is_told_apart_from_one_that_was_meddled_with() -> None:
    with met(lambda towards, number, frame: [(towards, frame if number < 2 else b"")]) as (server, client, _relay):
        server.send(kind="over", run_id="r")
        with pytest.raises(PeerLost) as caught:
            client.receive(soon())
        assert caught.type is PeerLost and "closed the control connection" in str(caught.value)


def test_what_is_said_while_nothing_is_due_is_told() -> None:
    with met() as (server, client, relay):
        relay.say("L", b'{"kind": "over", "run_id": "r"}\n' * 2)
        Patience().wait([client], 20)
        with pytest.raises(ControlChanged, match="control message, while the client was running"):
            client.fail_reading("while the client was running")
    with met() as (server, client, _relay):
        client.send(kind="over", run_id="r")
        Patience().wait([server], 20)
        with pytest.raises(PeerUnfit, match="said over, while"):
            server.fail_reading("while the client was running")


def test_a_length_beyond_the_largest_is_refused() -> None:
    error = liar(b"x" * (MESSAGE_BYTES + 1))
    assert type(error) is PeerUnfit and "where 65536 are the most" in str(error)


def test_an_end_that_never_reads_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "SEND_SECONDS", 0.3)
    opened = door()
    thread, found = dialled(opened.port)
    _role, server = serve(opened)
    thread.join(20)
    opened.close()
    with pytest.raises(PeerLost, match="did not take what was sent"):
        for number in range(10_000):
            server.send(kind="ready", run_id=f"r{number}", problem={"reason": "x", "detail": "y" * 4000})
    with pytest.raises(PeerLost):  # half a frame is out: nothing more can be said
        server.send(kind="over", run_id="r")
    server.close()
    found[0].close()


def test_a_vanished_peer_is_noticed_by_the_kernel() -> None:
    with met() as (server, client, _relay):
        for channel in (server, client):
            for level, option, value in KEEPALIVE:
                assert channel._stream._socket.getsockopt(level, option) in (value, bool(value))
