"""Two ends that meet through a relay, strangers at the door, and an end that has proved itself and lies."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._control import dialling
from ansible_collections.pairbench.lab.plugins.module_utils._control.channel import Channel, Stream, code
from ansible_collections.pairbench.lab.plugins.module_utils._control.door import Door
from ansible_collections.pairbench.lab.plugins.module_utils._control.handshake import hello
from ansible_collections.pairbench.lab.plugins.module_utils._control.peer import PeerLost
from control import HERE, TOKEN, Meddle, Patience, Relay, as_it_is, door, soon

ISSUE = (  # what ended sessions once
    b'{"kind": "hello", "nonce": "\\ud800"}\n',
    b'{"kind": "hello", "nonce": "00"}\n{"kind": "proof", "proof": "\\ud800"}\n',
    b"[" * 100_000,
)
HELLO = hello("client", "0" * 64)
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
    while opened._turned_away.total() == 0 and time.monotonic() < limit:
        with contextlib.suppress(PeerLost):
            serve(opened, seconds=0.02)
            return False
    return opened._turned_away.total() == 1


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
        stream = Stream(socket.create_connection(listener.getsockname()), Patience())
        found: list[Any] = []
        def introduce() -> None:
            found.append(dialling.introduce(stream, TOKEN, "client", (HERE, bound), soon()))

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


def liar(body: bytes) -> PeerLost:
    """What comes of a body in a frame whose codes are right."""
    with met() as (server, client, _relay):
        length = struct.pack(">I", len(body))
        frame = length + code(client._key_out, b"length", 0, length)
        frame += body + code(client._key_out, b"body", 0, body)
        client._stream.send(frame, soon())
        with pytest.raises(PeerLost) as caught:
            server.receive(soon())
        return caught.value
