"""Coverage-guided fuzzing of the control connection: the door, the dialler, a man in the middle, an end that lies.

Atheris instruments the code and mutates what is said over real TCP connections on loopback. An input that raises
anything but ``PeerLost`` is a crash; one that lets somebody in who does not know the token, or has a message believed
that was not said so at its place, is a wrong acceptance. Either is written to a file by libFuzzer and ends the run. At
the end the counts are printed.

Usage (atheris is not part of the project's environment; give it one of its own)::

    python3 -m venv /tmp/fuzz && /tmp/fuzz/bin/pip install atheris
    /tmp/fuzz/bin/python tools/link_collection.py /tmp/fuzz/bin
    /tmp/fuzz/bin/python tools/fuzz_control.py -max_total_time=300 -max_len=4096 CORPUS_DIRECTORY

The corpus directory is filled when it is empty.
"""

from __future__ import annotations

import collections
import contextlib
import multiprocessing
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["ansible_collections.pairbench"]):
    from ansible_collections.pairbench.lab.plugins.module_utils._control import (
        channel,
        dialling,
        door,
        handshake,
        messages,
        peer,
    )

HERE, TOKEN = "127.0.0.1", "a token that no input holds"
RUN_ID = "b001-iperf3-vm1-vm2-tcp_P4_t30-untraced"
PROBLEM = {"reason": "port_taken", "detail": 'tcp port 5201 is taken by iperf3 (pid 7): "stop it" or \u00e4'}
OBSERVATION = {
    "run_id": RUN_ID, "guest": "vm1", "hypervisor": "hv", "pid": 7, "comm": "qemu", "command": "qemu -m 1", "arch": "x86_64",
    "mode": "count", "probe": "rawtracepoint:sys_enter", "version": None, "output": '{"type": "map"}\n', "stderr": "",
    "returncode": 0, "started_at": "2026-01-01T00:00:00Z", "ended_at": None, "seconds": 1.5, "problem": None,
}  # fmt: skip
MESSAGES: tuple[dict[str, Any], ...] = (
    {"kind": "ready", "run_id": RUN_ID, "problem": None},
    {"kind": "done", "run_id": RUN_ID, "measured": True},
    {"kind": "over", "run_id": RUN_ID},
    {"kind": "armed", "run_id": RUN_ID, "problem": PROBLEM},
    {"kind": "observed", "run_id": RUN_ID, "observation": OBSERVATION},
)
WORDS = ("inputs", "crashes", "wrong acceptances", "right acceptances")
COUNTS = multiprocessing.Array("Q", len(WORDS))  # libFuzzer ends its process without a word, so another one reports


def count(word: str) -> None:
    COUNTS[WORDS.index(word)] += 1


class WrongAcceptance(Exception):
    """Somebody was let in, or something believed, that must not be."""


class Idle(Exception):
    """All that was said has been taken, and nothing else will come."""


class Impatience:
    """Waits for what is there already: both ends live in this one thread, and loopback delivers at once."""

    def wait(self, descriptors: Iterable[Any], timeout_seconds: float) -> list[Any]:
        items = list(descriptors)
        poll = select.poll()
        for item in items:
            poll.register(item, select.POLLIN)
        ready = {number for number, _event in poll.poll(0)}
        if items and not ready:
            raise Idle
        return [item for item in items if item.fileno() in ready]


LISTENER = socket.create_server((HERE, 0))


def connected() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection."""
    one = socket.create_connection(LISTENER.getsockname())
    other, _address = LISTENER.accept()
    for connection in (one, other):  # no port stays behind in TIME_WAIT, or they would run out
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return one, other


class FedDoor(door.Door):
    """A door at which one caller stands already."""

    def __init__(self, caller: socket.socket) -> None:
        self._token, self._wakeup, self._expected = TOKEN, Impatience(), HERE
        self._turned_away: collections.Counter[str] = collections.Counter()
        self._listener = LISTENER
        self._callers = [door.Caller(caller, HERE)]


def soon() -> float:
    return time.monotonic() + 60


def say(connection: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(data)


def knock(data: bytes) -> None:
    """A stranger at the door: whatever is said, nobody comes in."""
    ours, theirs = connected()
    with ours, theirs:
        say(ours, data)
        try:
            FedDoor(theirs).admit(["client", "observer-server"], soon())
        except (Idle, peer.PeerLost):
            return
    raise WrongAcceptance("a stranger was let in")


def pretend(data: bytes) -> None:
    """A false server end: whatever is said, the dialler does not believe it."""
    ours, theirs = connected()
    with ours, theirs:
        say(theirs, data)
        try:
            place = ours.getpeername()
            dialling.introduce(channel.Stream(ours, Impatience()), TOKEN, "client", place, soon())
        except (Idle, peer.PeerLost):
            return
    raise WrongAcceptance("a false server end was believed")


def edited(frame: bytes, edits: bytes) -> bytes:
    """A frame changed as the input says: three bytes an edit (where, what, value)."""
    changed = bytearray(frame)
    for where, what, value in zip(edits[0::3], edits[1::3], edits[2::3], strict=False):
        position = (where << 2 | what & 3) % (len(changed) + 1)
        if what >> 2 == 0:
            changed[position:position] = bytes([value])
        elif what >> 2 == 1:
            del changed[position : position + value % 8]
        elif position < len(changed):
            changed[position] ^= value
    return bytes(changed)


def meddle(data: bytes) -> None:
    """A man in the middle of a handshake, who knows both ends' frames: only what is unchanged is accepted."""
    edits = [data[0::2], data[1::2]]
    nonces = ["1" * 64, "2" * 64]
    ours, theirs = connected()
    with ours, theirs:
        agreed = handshake.Agreement(TOKEN, "client", theirs.getsockname(), *nonces)
        hello, proof = handshake.hello("client", nonces[0]), agreed.proof("D")
        said = [edited(hello, edits[0]), edited(proof, edits[1])]
        original = door.fresh_nonce
        door.fresh_nonce = lambda: nonces[1]
        try:
            say(ours, b"".join(said))
            FedDoor(theirs).admit(["client", "observer-server", "observer-client"], soon())
        except (Idle, peer.PeerLost):
            return
        finally:
            door.fresh_nonce = original
    if b"".join(said) != hello + proof:
        raise WrongAcceptance("a handshake that was meddled with was accepted")
    count("right acceptances")


def channels() -> tuple[socket.socket, channel.Channel, list[bytes]]:
    """A connection to a channel that expects the messages, and the frames that say them."""
    ours, theirs = connected()
    frames = []
    for number, message in enumerate(MESSAGES):
        body = messages.encode(message)
        length = struct.pack(">I", len(body))
        header = length + channel.code(b"D", b"length", number, length)
        frames.append(header + body + channel.code(b"D", b"body", number, body))
    return ours, channel.Channel(channel.Stream(theirs, Impatience()), b"L", b"D"), frames


def relay(data: bytes) -> None:
    """A man in the middle of the messages: frames in an order and with edits of the input's choice."""
    ours, end, frames = channels()
    said = b""
    while data:
        choice, most, data = data[0], data[1:2], data[2:]
        size = 3 * (most[0] % 4) if most else 0
        edits, data = data[:size], data[size:]
        said += edited(frames[choice % len(frames)], edits) if choice < 250 else edits
    with ours, contextlib.closing(end):
        say(ours, said)
        expected = said
        for number, message in enumerate(MESSAGES):
            try:
                heard = end.receive(soon(), messages.OBSERVATION_BYTES)
            except (Idle, peer.PeerLost):
                return
            if heard != message or not expected.startswith(frames[number]):
                raise WrongAcceptance(f"message {number} was believed: {heard}")
            expected = expected[len(frames[number]) :]
            count("right acceptances")
        try:
            heard = end.receive(soon())
        except (Idle, peer.PeerLost):
            return
        raise WrongAcceptance(f"a message after the last was believed: {heard}")


def lie(data: bytes) -> None:
    """An end that has proved itself: a body becomes a message of a known shape, or is refused."""
    ours, theirs = connected()
    length = struct.pack(">I", len(data))
    with ours, contextlib.closing(channel.Channel(channel.Stream(theirs, Impatience()), b"L", b"D")) as end:
        say(ours, length + channel.code(b"D", b"length", 0, length) + data + channel.code(b"D", b"body", 0, data))
        try:
            message = end.receive(soon())
        except peer.PeerUnfit:
            return
    if not messages.KINDS[message["kind"]](message) or messages.decode(messages.encode(message)) != message:
        raise WrongAcceptance(f"no message of a known shape: {message}")
    repr(message).encode("utf-8")
    count("right acceptances")


READERS: tuple[Callable[[bytes], None], ...] = (knock, pretend, meddle, relay, lie)


def test_one_input(data: bytes) -> None:
    """One input: its first byte says who hears the rest."""
    if not data:
        return
    reader = READERS[data[0] % len(READERS)]
    count("inputs")
    try:
        reader(data[1:])
    except WrongAcceptance:
        count("wrong acceptances")
        raise
    except Exception:
        count("crashes")
        raise


def fill_corpus(directory: Path) -> None:
    """Write first inputs: true frames, strangers that ended sessions once, and bodies of every kind of message."""
    if any(directory.iterdir()):
        return
    hello = handshake.hello("client", "0" * 64)
    proof = b"pairbench control 2 proof " + b"0" * 64 + b"\n"
    strangers = [
        b"", hello, hello + proof, hello[:40], b"[" * 2000, b'{"kind": "hello", "nonce": "\\ud800"}\n',
        b'{"kind": "proof", "proof": "\\ud800"}\n', handshake.hello("server", "0" * 64) + proof,
    ]  # fmt: skip
    seeds = [bytes([reader]) + said for reader in (0, 1) for said in strangers]
    seeds += [b"\x02", b"\x02" + bytes(6), b"\x02\x05\x05\x08\x08\x01\x01"]
    orders = (b"\0\0\1\0\2\0\3\0\4\0", b"\0\0\0\0", b"\1\0\0\0", b"\0\1\5\x08\1\1\0", b"\xfa\1abc")
    seeds += [b"\x03" + order for order in orders]
    seeds += [b"\x04" + messages.encode(message) for message in MESSAGES]
    seeds += [b"\x04" + text for text in (b"[" * 2000, b'kind "over"\nrun_id "\\ud800"\n', b'kind "over"\nrun_id 1e999\n')]
    for number, seed in enumerate(seeds):
        (directory / f"{number:03d}").write_bytes(seed)


def main() -> None:
    for argument in sys.argv[1:]:
        if not argument.startswith("-") and Path(argument).is_dir():
            fill_corpus(Path(argument))
            break
    fuzzing = os.fork()
    if fuzzing == 0:
        atheris.Setup(sys.argv, test_one_input)
        atheris.Fuzz()
    _pid, status = os.waitpid(fuzzing, 0)
    print(", ".join(f"{word}: {number}" for word, number in zip(WORDS, COUNTS, strict=True)))
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
