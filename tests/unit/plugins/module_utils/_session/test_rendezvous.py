"""The control connection among strangers, with a man in the middle, and with an end that lies."""

from __future__ import annotations

import contextlib
import resource
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._session import rendezvous
from ansible_collections.pairbench.lab.plugins.module_utils._session.rendezvous import (
    Channel,
    ControlChanged,
    Door,
    PeerLost,
    PeerSilent,
    PeerUnfit,
    TooLarge,
)
from control import HERE, TOKEN, Meddle, Patience, Relay, as_it_is, dialled, door, soon
from hypothesis import example, given, settings
from hypothesis import strategies as st

ISSUE = (  # what ended sessions once
    b'{"kind": "hello", "nonce": "\\ud800"}\n',
    b'{"kind": "hello", "nonce": "00"}\n{"kind": "proof", "proof": "\\ud800"}\n',
    b"[" * 100_000,
)
HELLO = rendezvous._hello("client", "0" * 64)
PROOF = b"pairbench control 2 proof " + b"0" * 64 + b"\n"


def serve(opened: Door, roles: tuple[str, ...] = ("client",), seconds: float = 20) -> tuple[str, Channel]:
    return opened.admit(list(roles), soon(seconds))


def stranger(opened: Door, said: bytes = b"") -> socket.socket:
    """A connection to the door on which that is said; the door may hang up in the middle of it."""
    connection = socket.create_connection((HERE, opened.port), timeout=10)
    with contextlib.suppress(OSError):
        connection.sendall(said)
    return connection


def nobody_comes_in(opened: Door) -> bool:
    """Whether the door turns away the one who is there."""
    limit = soon()
    while opened.turned_away == 0 and time.monotonic() < limit:
        with contextlib.suppress(PeerLost):
            serve(opened, seconds=0.02)
            return False
    return opened.turned_away == 1


def hung_up(connection: socket.socket) -> bool:
    """Whether the other side closed a connection, without having said anything."""
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


@contextlib.contextmanager
def met(meddle: Meddle = as_it_is) -> Iterator[tuple[Channel, Channel, Relay]]:
    """The server's and the client's channel, and who sits between them."""
    opened = door()
    listener = socket.create_server((HERE, 0))
    bound = opened.port

    relay = Relay(listener, lambda: socket.create_connection((HERE, bound)), meddle)
    channels: list[Channel] = []
    try:
        # The relay has a port of its own, so the dialler is told that it dialled the door's.
        stream = rendezvous._Stream(socket.create_connection(listener.getsockname()), Patience())
        found: list[Any] = []
        def introduce() -> None:
            found.append(rendezvous._introduce(stream, TOKEN, "client", (HERE, bound), soon()))

        thread = threading.Thread(target=introduce, daemon=True)
        thread.start()
        _role, server = serve(opened)
        channels.append(server)
        thread.join(20)
        channels.append(found[0])
        yield server, found[0], relay
    finally:
        opened.close()
        for channel in channels:
            channel.close()
        relay.close()


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
    assert heard["problem"] == {"reason": "vmm_not_traced", "detail": "x" * rendezvous.DETAIL_CHARS}
    with pytest.raises(TooLarge):
        client.send(kind="observed", run_id="r1", observation=observation | {"output": "x" * rendezvous.OBSERVATION_BYTES})
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


# Strangers at the door


def test_twenty_silent_strangers_are_still_waiting_when_the_client_has_met() -> None:
    opened = door()
    silent = [stranger(opened) for _number in range(20)]
    halfway = [stranger(opened, HELLO) for _number in range(5)]
    thread, found = dialled(opened.port)
    role, server = serve(opened)
    thread.join(20)
    assert role == "client" and isinstance(found[0], Channel)
    assert opened.waiting == 25
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
    for number in range(rendezvous.CALLERS + 10):
        crowd.append(stranger(opened))
        if number % 50 == 49:  # let them in: the kernel's queue is not what is tried here
            with pytest.raises(PeerLost, match="did not come to the control port in time"):
                serve(opened, seconds=0.2)
    thread, found = dialled(opened.port)
    serve(opened)[1].close()
    thread.join(20)
    found[0].close()
    assert opened.waiting <= rendezvous.CALLERS
    assert [hung_up(connection) for connection in crowd[:10]] == [True] * 10  # who was silent for longest went
    assert not hung_up(crowd[-1])
    opened.close()
    for connection in crowd:
        connection.close()


def test_strangers_do_not_push_out_who_comes_from_the_expected_address() -> None:
    opened = door(expected=HERE)
    expected = [stranger(opened) for _number in range(3)]
    strangers = []
    for number in range(rendezvous.CALLERS + 20):
        other = socket.socket()
        other.bind((f"127.0.0.{2 + number % 5}", 0))
        other.connect((HERE, opened.port))
        strangers.append(other)
        if number % 50 == 49:
            with pytest.raises(PeerLost):
                serve(opened, seconds=0.2)
    with pytest.raises(PeerLost, match=r"others came and were turned away \(.* from 127\.0\.0\."):
        serve(opened, seconds=0.2)
    assert opened.waiting == rendezvous.CALLERS
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


def test_who_does_not_know_the_token_is_let_in_by_neither_end() -> None:
    opened = door()
    thread, found = dialled(opened.port, token="another", seconds=0.5)
    with pytest.raises(PeerLost, match="turned away"):
        serve(opened, seconds=1)
    thread.join(20)
    assert isinstance(found[0], PeerLost)
    opened.close()


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
    st.builds(lambda role, tail: rendezvous._hello(role, "0" * 64) + tail,
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


@given(st.one_of(
    st.binary(max_size=400),
    st.builds(lambda role, tail: rendezvous._hello(role, "0" * 64) + tail,
              st.sampled_from(["client", "server"]), st.binary(max_size=200)),
    st.just(rendezvous._hello("server", "0" * 64) + PROOF),
))
@example(ISSUE[0])
@example(ISSUE[1])
@example(ISSUE[2][:400])
@settings(max_examples=100)
def test_no_bytes_of_a_false_server_end_make_a_dialler_believe_it(said: bytes) -> None:
    with socket.create_server((HERE, 0)) as listener:
        dialler = socket.create_connection(listener.getsockname())
        false, _address = listener.accept()
        with dialler, false:
            false.sendall(said)
            false.shutdown(socket.SHUT_WR)
            stream = rendezvous._Stream(dialler, Patience())
            with pytest.raises(PeerLost):
                rendezvous._introduce(stream, TOKEN, "client", dialler.getpeername(), soon())


def test_a_server_end_that_accepts_and_is_silent_costs_the_dialler_its_deadline() -> None:
    with socket.create_server((HERE, 0)) as listener:
        thread, found = dialled(listener.getsockname()[1], seconds=0.5)
        thread.join(20)
        assert str(found[0]).endswith("the other end said nothing in the time it was given")


# A man in the middle


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
            stream = rendezvous._Stream(connection, Patience())
            found.append(rendezvous._introduce(stream, TOKEN, "client", (HERE, bound), soon()))
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


# An end that has proved itself, and lies


def liar(body: bytes) -> PeerLost:
    """What comes of a body in a frame whose codes are right."""
    with met() as (server, client, _relay):
        length = struct.pack(">I", len(body))
        frame = length + rendezvous._code(client._key_out, b"length", 0, length)
        frame += body + rendezvous._code(client._key_out, b"body", 0, body)
        client._stream.send(frame, soon())
        with pytest.raises(PeerLost) as caught:
            server.receive(soon())
        return caught.value


OVER = b'kind "over"\nrun_id "r"\n'


@pytest.mark.parametrize("body", [
    b"", b"[" * 60_000, b'{"a":' * 10_000, b'kind "over"', b'kind "over"\n', OVER + b'more "x"\n', OVER + b'run_id "r"\n',
    OVER + b"\n" * 200, b'kind "over"\nrun_id 1\n', b'kind "over"\nrun_id [1]\n', b'kind "over"\nrun_id "\\ud800"\n',
    b'kind "over"\nrun_id "' + b"x" * 1001 + b'"\n', b'kind "over"\nrun_id.a.b.c "r"\n',
    b'kind "over"\nrun_id.a "r"\nrun_id "r"\n', b'kind "over"\nrun_id "r"\nrun_id.a "r"\n',
    b'kind "over"\nrun_id "a" "b"\n', b'kind "no-such-kind"\nrun_id "r"\n', b'kind ["over"]\nrun_id "r"\n', b"\xff" + OVER,
    b'kind "done"\nrun_id "r"\nmeasured 1\n', b'kind "done"\nrun_id "r"\nmeasured "true"\n', b"kind null\nrun_id null\n",
    b'kind "ready"\nrun_id "r"\nproblem.reason "x"\n', b'kind "ready"\nrun_id "r"\nproblem true\n',
    b'kind "ready"\nrun_id "r"\nproblem.reason "x"\nproblem.detail 9e999\n', b'kind "over"\nrun_id ' + b"9" * 5000 + b"\n",
    b'kind "observed"\nrun_id "r"\nobservation null\n',
])  # fmt: skip
def test_what_is_no_message_ends_the_session_with_a_sentence(body: bytes) -> None:
    error = liar(body)
    assert type(error) is PeerUnfit and error.reason == "malformed_reply"
    assert len(str(error)) < 400


def test_a_length_beyond_the_largest_is_refused() -> None:
    error = liar(b"x" * (rendezvous.MESSAGE_BYTES + 1))
    assert type(error) is PeerUnfit and "where 65536 are the most" in str(error)


@given(st.one_of(
    st.binary(max_size=300),
    st.lists(st.sampled_from([
        b'kind "over"\n', b'kind "done"\n', b'kind "ready"\n', b'run_id "r"\n', b"run_id 1\n", b"measured true\n", b"\n",
        b"kind", b"problem null\n", b'problem.reason "x"\n', b'problem.detail "y"\n', b"problem.detail -1.5e+30\n",
        b'x "\\u0000"\n',
    ]), max_size=8).map(b"".join),
))
@settings(max_examples=500)
def test_a_body_is_a_message_of_a_known_shape_or_refused(body: bytes) -> None:
    try:
        message = rendezvous.decode(body)
    except PeerUnfit:
        return
    assert rendezvous.KINDS[message["kind"]](message)
    assert rendezvous.decode(rendezvous.encode(message)) == message


@given(st.dictionaries(st.sampled_from(["run_id"]), st.text(max_size=50), min_size=1), st.text(max_size=6000))
def test_whatever_text_an_honest_end_says_arrives(fields: dict[str, str], detail: str) -> None:
    message = {"kind": "ready", "run_id": fields["run_id"], "problem": {"reason": "x", "detail": detail}}
    heard = rendezvous.decode(rendezvous.encode(message))
    assert heard["run_id"] == fields["run_id"] and heard["problem"]["detail"] == detail[: rendezvous.DETAIL_CHARS]


def test_an_end_that_never_reads_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous, "SEND_SECONDS", 0.3)
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
            for level, option, value in rendezvous.KEEPALIVE:
                assert channel._stream._socket.getsockopt(level, option) in (value, bool(value))
