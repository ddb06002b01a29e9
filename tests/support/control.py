"""Both ends of a control connection, and those who have no business there: strangers and a man in the middle."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from ansible_collections.pairbench.lab.plugins.module_utils._control.dialling import connect
from ansible_collections.pairbench.lab.plugins.module_utils._control.door import Door
from ansible_collections.pairbench.lab.plugins.module_utils._control.handshake import HELLO_BYTES, PROOF_BYTES
from ansible_collections.pairbench.lab.plugins.module_utils._control.peer import PeerLost
from ansible_collections.pairbench.lab.plugins.module_utils._network import netns

TOKEN = "the token of this session"
HERE = "127.0.0.1"
SECONDS = 20.0
"""Longest wait for what comes at once on a machine that has time."""


class Patience:
    """Waits for descriptors as a module does, without taking over the signals of this process."""

    def wait(self, descriptors: Iterable[Any], timeout_seconds: float) -> list[Any]:
        poll = select.poll()
        items = list(descriptors)
        for item in items:
            poll.register(item, select.POLLIN)
        ready = {number for number, _event in poll.poll(max(0.0, timeout_seconds) * 1000)}
        return [item for item in items if item.fileno() in ready]


def inside(namespace: str, make: Callable[[], socket.socket]) -> socket.socket:
    """A socket made in a network namespace, where it stays."""
    made: list[Any] = []

    def enter() -> None:  # in a thread of its own: nobody else is to enter
        try:
            netns.enter(namespace)
            made.append(make())
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    found: socket.socket = made[0]
    return found


def soon(seconds: float = SECONDS) -> float:
    return time.monotonic() + seconds


def door(expected: str = HERE) -> Door:
    """The server end's door on a port of the kernel's choice."""
    return Door(HERE, 0, TOKEN, Patience(), expected)


def dialled(
    port: int, role: str = "client", token: str = TOKEN, seconds: float = SECONDS
) -> tuple[threading.Thread, list[Any]]:
    """Dial in the background: the thread, and a list that takes the channel or the PeerLost."""
    found: list[Any] = []

    def dial() -> None:
        try:
            found.append(connect(HERE, port, "", token, Patience(), soon(seconds), role))
        except PeerLost as error:
            found.append(error)

    thread = threading.Thread(target=dial, daemon=True)
    thread.start()
    return thread, found


Meddle = Callable[[str, int, bytes], Iterable[tuple[str, bytes]]]
"""What becomes of a frame: given its direction (``D`` what the dialler says, ``L`` the listener), its number from 0
(the two of the handshake count) and itself; what is said instead and in which direction. Nothing said closes both."""


def as_it_is(direction: str, number: int, frame: bytes) -> Iterable[tuple[str, bytes]]:
    """What a router does."""
    return [(direction, frame)]


class Relay:
    """Who sits between the two ends and passes on what they say, frame by frame, as ``meddle`` wants it.

    It takes one connection after another. ``say`` says something at any other time.
    """

    def __init__(self, listener: socket.socket, dial: Callable[[], socket.socket], meddle: Meddle) -> None:
        self._listener, self._dial, self._meddle = listener, dial, meddle
        self._out: dict[str, socket.socket] = {}
        self._closed = False
        self.heard: list[tuple[str, int, bytes]] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def say(self, direction: str, data: bytes) -> None:
        """Say something to the listener (``D``) or to the dialler (``L``)."""
        self._out[direction].sendall(data)

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._hang_up()
        self._thread.join(SECONDS)

    def _hang_up(self) -> None:
        for connection in self._out.values():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        while not self._closed:
            try:
                dialler, _address = self._listener.accept()
                listener = self._dial()
            except OSError:
                continue
            with dialler, listener:
                self._out = {"D": listener, "L": dialler}
                pumps = [
                    threading.Thread(target=self._pump, args=(direction, source), daemon=True)
                    for direction, source in (("D", dialler), ("L", listener))
                ]
                for pump in pumps:
                    pump.start()
                for pump in pumps:
                    pump.join()

    def _pump(self, direction: str, source: socket.socket) -> None:
        number = 0
        with contextlib.suppress(OSError), contextlib.ExitStack() as at_end:
            at_end.callback(self._hang_up)
            while frame := _frame(source, number):
                self.heard.append((direction, number, frame))
                said = self._meddle(direction, number, frame)
                for towards, data in said:
                    if not data:
                        return
                    self.say(towards, data)
                number += 1


def _frame(source: socket.socket, number: int) -> bytes | None:
    """The next frame of one direction; None at the end of the connection."""
    if number < 2:
        return _exactly(source, (HELLO_BYTES, PROOF_BYTES)[number])
    header = _exactly(source, 4 + 32)
    rest = header and _exactly(source, int.from_bytes(header[:4], "big") + 32)
    return header + rest if header and rest else None


def _exactly(source: socket.socket, size: int) -> bytes | None:
    heard = b""
    while len(heard) < size:
        chunk = source.recv(size - len(heard))
        if not chunk:
            return None
        heard += chunk
    return heard
