"""The door of the server end among strangers: who is silent, lies, or comes in crowds keeps nobody waiting."""

from __future__ import annotations

import contextlib
import resource
import socket

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._control.channel import Channel
from ansible_collections.pairbench.lab.plugins.module_utils._control.door import CALLERS
from ansible_collections.pairbench.lab.plugins.module_utils._control.handshake import hello
from ansible_collections.pairbench.lab.plugins.module_utils._control.peer import PeerLost
from control import HERE, dialled, door
from hypothesis import example, given, settings
from hypothesis import strategies as st
from meetings import HELLO, ISSUE, PROOF, hung_up, nobody_comes_in, serve, stranger


def test_twenty_silent_strangers_are_still_waiting_when_the_client_has_met() -> None:
    opened = door()
    silent = [stranger(opened) for _number in range(20)]
    halfway = [stranger(opened, HELLO) for _number in range(5)]
    thread, found = dialled(opened.port)
    role, server = serve(opened)
    thread.join(20)
    assert role == "client" and isinstance(found[0], Channel)
    assert len(opened._callers) == 25
    assert not any(hung_up(connection) for connection in silent)
    opened.close()
    assert all(hung_up(connection) for connection in silent)
    for connection in (*silent, *halfway, server, found[0]):
        connection.close()


@pytest.mark.parametrize(
    "said", [*ISSUE, HELLO + PROOF, HELLO[:-1] + b" ", b"\0" * 5000, HELLO.replace(b"client", b"server")]
)
def test_what_a_stranger_says_is_turned_away_and_the_client_is_met(said: bytes) -> None:
    opened = door()
    first = stranger(opened, said)
    thread, found = dialled(opened.port)
    role, server = serve(opened)
    thread.join(20)
    assert role == "client" and isinstance(found[0], Channel)
    opened.close()
    for connection in (first, server, found[0]):
        connection.close()


def test_a_crowd_of_strangers_makes_room_for_the_client() -> None:
    opened = door(expected="127.0.0.9")
    crowd = []
    for number in range(CALLERS + 10):
        crowd.append(stranger(opened))
        if number % 50 == 49:  # let them in: the kernel's queue is not what is tried here
            with pytest.raises(PeerLost, match="did not come to the control port in time"):
                serve(opened, seconds=0.2)
    thread, found = dialled(opened.port)
    serve(opened)[1].close()
    thread.join(20)
    found[0].close()
    assert len(opened._callers) <= CALLERS
    assert [hung_up(connection) for connection in crowd[:10]] == [True] * 10  # who was silent for longest went
    assert not hung_up(crowd[-1])
    opened.close()
    for connection in crowd:
        connection.close()


def test_strangers_do_not_push_out_who_comes_from_the_expected_address() -> None:
    opened = door(expected=HERE)
    expected = [stranger(opened) for _number in range(3)]
    strangers = []
    for number in range(CALLERS + 20):
        other = socket.socket()
        other.bind((f"127.0.0.{2 + number % 5}", 0))
        other.connect((HERE, opened.port))
        strangers.append(other)
        if number % 50 == 49:
            with pytest.raises(PeerLost):
                serve(opened, seconds=0.2)
    with pytest.raises(PeerLost, match=r"others came and were turned away \(.* from 127\.0\.0\."):
        serve(opened, seconds=0.2)
    assert len(opened._callers) == CALLERS
    assert not any(hung_up(connection) for connection in expected)
    opened.close()
    for connection in (*expected, *strangers):
        connection.close()


def test_a_door_without_descriptors_turns_a_stranger_away_for_the_client() -> None:
    opened = door()
    crowd = [stranger(opened) for _number in range(10)]
    thread, found = dialled(opened.port)  # its connection stands in the kernel's queue behind the others
    while not thread.is_alive():
        pass
    old = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = socket.socket()
    highest = spare.fileno()
    spare.close()
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 4, old[1]))
        role, server = serve(opened)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, old)
    thread.join(20)
    assert role == "client" and isinstance(found[0], Channel)
    opened.close()
    for connection in (*crowd, server, found[0]):
        connection.close()


def test_only_who_is_awaited_is_let_in() -> None:
    opened = door()
    thread, found = dialled(opened.port, role="observer-client", seconds=0.5)
    with pytest.raises(PeerLost):
        serve(opened, ("client", "observer-server"), seconds=1)
    thread.join(20)
    opened.close()
    assert isinstance(found[0], PeerLost)


@given(st.one_of(
    st.binary(max_size=400),
    st.builds(lambda role, tail: hello(role, "0" * 64) + tail,
              st.sampled_from(["client", "server", "observer-server"]), st.binary(max_size=200)),
    st.builds(lambda proof: HELLO + b"pairbench control 2 proof " + proof.hex().encode() + b"\n",
              st.binary(min_size=32, max_size=32)),
))
@example(ISSUE[0])
@example(ISSUE[1])
@example(ISSUE[2])
@settings(max_examples=150)
def test_no_bytes_open_the_door_and_none_do_more_than_close_it(said: bytes) -> None:
    opened = door()
    with stranger(opened, said) as connection:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        assert nobody_comes_in(opened)
    opened.close()
