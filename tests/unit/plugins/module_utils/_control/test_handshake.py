"""The proof that both ends know the token: with one bit changed, or on another port, nobody comes in."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._control import dialling
from ansible_collections.pairbench.lab.plugins.module_utils._control.channel import Stream
from ansible_collections.pairbench.lab.plugins.module_utils._control.peer import PeerLost
from control import HERE, TOKEN, Patience, Relay, as_it_is, dialled, door, soon
from hypothesis import given, settings
from hypothesis import strategies as st
from meetings import met, nobody_comes_in, serve


def test_who_does_not_know_the_token_is_let_in_by_neither_end() -> None:
    opened = door()
    thread, found = dialled(opened.port, token="another", seconds=0.5)
    with pytest.raises(PeerLost, match="turned away"):
        serve(opened, seconds=1)
    thread.join(20)
    assert isinstance(found[0], PeerLost)
    opened.close()


def test_a_relay_that_passes_everything_on_is_no_more_than_a_router() -> None:
    with met() as (server, client, _relay):
        server.send(kind="over", run_id="r")
        assert client.expect("over", "r", soon())


def test_a_relay_on_a_port_of_its_own_is_not_taken_for_the_server_end() -> None:
    opened = door()
    listener = socket.create_server((HERE, 0))
    bound = opened.port
    relay = Relay(listener, lambda: socket.create_connection((HERE, bound)), as_it_is)
    thread, found = dialled(listener.getsockname()[1], seconds=0.5)
    with pytest.raises(PeerLost):
        serve(opened, seconds=1)
    thread.join(20)
    assert isinstance(found[0], PeerLost)
    assert any(number == 1 for _direction, number, _frame in relay.heard)  # the proof was passed on, and did not fit
    opened.close()
    relay.close()


@given(st.integers(0, 1), st.integers(0, 1), st.integers(0, 10_000))
@settings(max_examples=60)
def test_a_handshake_with_one_bit_changed_lets_nobody_in(direction: int, number: int, where: int) -> None:
    towards = "DL"[direction]

    def meddle(going: str, count: int, frame: bytes) -> Any:
        if (going, count) != (towards, number):
            return [(going, frame)]
        changed = bytearray(frame)
        changed[where % (len(frame) * 8) // 8] ^= 1 << where % 8
        return [(going, bytes(changed))]

    opened = door()
    bound = opened.port
    listener = socket.create_server((HERE, 0))
    relay = Relay(listener, lambda: socket.create_connection((HERE, bound)), meddle)
    connection = socket.create_connection(listener.getsockname())
    found: list[Any] = []

    def introduce() -> None:
        try:
            stream = Stream(connection, Patience())
            found.append(dialling.introduce(stream, TOKEN, "client", (HERE, bound), soon()))
        except PeerLost as error:
            found.append(error)
            connection.close()

    thread = threading.Thread(target=introduce, daemon=True)
    thread.start()
    try:
        # Of the listener's own proof only the dialler can tell; the listener may have seen it go, or not yet.
        assert nobody_comes_in(opened) or (towards, number) == ("L", 1)
    finally:
        opened.close()
        relay.close()
        thread.join(20)
        connection.close()
    assert isinstance(found[0], PeerLost)
