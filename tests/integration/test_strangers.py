"""Real sessions among those who have no business there: strangers who knock, false servers, and a man in the middle."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from control import Meddle, Relay, as_it_is, inside
from namespaces import Pair, finish, run, wait_until

CONTROL_PORT = 5200
HELLO = b"pairbench control 2 hello client           " + b"0" * 64 + b"\n"
GARBAGE = (
    b'{"kind": "hello", "nonce": "\\ud800"}\n',
    b'{"kind": "hello", "nonce": "00"}\n{"kind": "proof", "proof": "\\ud800"}\n',
    b"[" * 100_000 + b"\n",
    b"GET / HTTP/1.1\r\n\r\n" * 20,
    bytes(range(256)) * 10,
    HELLO + b"pairbench control 2 proof " + b"0" * 64 + b"\n",
)


def runs_of(pair: Pair, client: list[str] | None = None) -> dict[str, list[dict[str, Any]]]:
    common = {"run_id": "run0", "protocol": "tcp", "port": 5201, "traced": False, "limit_seconds": 30, "ready_seconds": 15}
    measured = client is None
    serve = ["iperf3", "-s", "-J", "-B", pair.server.address, *(["-1"] if measured else [])]
    common["stop"] = "exits" if measured else "interrupt"
    drive = ["iperf3", "-c", pair.server.address, "-J", "-t", "1"] if client is None else client
    return {"server": [common | {"argv": serve}], "client": [common | {"argv": drive}]}


def assert_nothing_left(pair: Pair) -> None:
    for host in pair.hosts:
        wait_until(lambda host=host: not host.processes(), 20, f"the end of {host.processes()}")
        assert host.listening() == ""


@contextlib.contextmanager
def strangers(pair: Pair, said: list[bytes]) -> Iterator[list[socket.socket]]:
    """As many connections from the client's host to the control port, each of which says that."""
    found = []
    try:
        for text in said:
            address = (pair.server.address, CONTROL_PORT)
            found.append(inside(pair.client.name, lambda address=address: socket.create_connection(address, timeout=10)))
            with contextlib.suppress(ConnectionError):  # it may be hung up in the middle of what it says
                found[-1].sendall(text)
        yield found
    finally:
        for connection in found:
            connection.close()


def heard(connection: socket.socket) -> bytes:
    """Everything that the other side said until it hung up."""
    text = b""
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(4096):
            text += chunk
    return text


def test_strangers_do_not_keep_a_session_from_its_runs(pair: Pair) -> None:
    runs = runs_of(pair)
    server = pair.start_end("server", runs["server"])
    wait_until(lambda: f":{CONTROL_PORT}" in pair.server.listening(), 20)
    with strangers(pair, [*GARBAGE, *[b""] * 20, HELLO, *GARBAGE]) as found:
        client = pair.start_end("client", runs["client"])
        for result in (finish(server), finish(client)):
            assert result["problem"] is None
            end = result["ends"]["run0"]
            assert end["problem"] is None and end["returncode"] == 0 and '"sum_received"' in end["stdout"]
        told = [heard(connection) for connection in found]
    # Who said nothing in the protocol's words was told nothing; who said hello got a nonce, and never a proof.
    assert {text for text in told if not text.startswith(b"pairbench control 2 hello server ")} == {b""}
    assert max(len(text) for text in told) <= len(HELLO)
    assert told[len(GARBAGE) : len(GARBAGE) + 20] == [b""] * 20
    assert_nothing_left(pair)


@contextlib.contextmanager
def false_server(pair: Pair, said: bytes) -> Iterator[None]:
    """Somebody who listens where the server end should, accepts, says that, and hangs up after it unless it is nothing."""
    listener = inside(pair.server.name, lambda: socket.create_server((pair.server.address, CONTROL_PORT)))
    kept = []

    def answer() -> None:
        with contextlib.suppress(OSError):
            while True:
                kept.append(listener.accept()[0])
                kept[-1].settimeout(10)
                if said:
                    with contextlib.suppress(OSError):
                        kept[-1].sendall(said)
                        kept[-1].shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(20)
        for connection in (listener, *kept):
            connection.close()


@pytest.mark.parametrize(("said", "why"), [
    (b"", "said nothing in the time it was given"),
    (GARBAGE[0] * 4, "does not speak this protocol"),
    (GARBAGE[2], "does not speak this protocol"),
    (HELLO.replace(b"client", b"server"), "closed the control connection"),
    (HELLO.replace(b"client", b"server") + GARBAGE[-1][len(HELLO):], "does not know this session's token"),
])  # fmt: skip
def test_a_false_server_costs_the_client_its_deadline_and_is_not_believed(pair: Pair, said: bytes, why: str) -> None:
    with false_server(pair, said):
        result = finish(pair.start_end("client", runs_of(pair)["client"], rendezvous_seconds=1.5))
    assert result["problem"]["reason"] == "peer_lost" and not result["met"]
    assert why in result["problem"]["detail"], result["problem"]
    assert_nothing_left(pair)


@contextlib.contextmanager
def man_in_the_middle(pair: Pair, meddle: Meddle) -> Iterator[Relay]:
    """Somebody who has taken the server's address in the network of the client."""
    address = (pair.server.address, CONTROL_PORT)
    run("ip", "-n", pair.client.name, "addr", "add", f"{pair.server.address}/32", "dev", "lo")
    listener = inside(pair.client.name, lambda: socket.create_server(address))
    relay = Relay(listener, lambda: inside(pair.server.name, lambda: socket.create_connection(address, timeout=10)), meddle)
    try:
        yield relay
    finally:
        relay.close()


def session_through(pair: Pair, meddle: Meddle, forged: bytes = b"") -> dict[str, dict[str, Any]]:
    """What both ends return of a session whose control connection goes through somebody.

    ``forged`` is said to the server end while the client runs.
    """
    runs = runs_of(pair, ["sleep", "3" if forged else "0.5"])
    with man_in_the_middle(pair, meddle) as relay:
        server = pair.start_end("server", runs["server"])
        wait_until(lambda: f":{CONTROL_PORT}" in pair.server.listening(), 20)
        client = pair.start_end("client", runs["client"])
        if forged:
            wait_until(lambda: any(line.split()[1] == "sleep" for line in pair.client.processes()), 20, "the client")
            relay.say("D", forged)
        results = {"server": finish(server), "client": finish(client)}
    assert_nothing_left(pair)
    return results


def test_a_relay_that_passes_everything_on_changes_nothing(pair: Pair) -> None:
    for result in session_through(pair, as_it_is).values():
        assert result["problem"] is None and result["ends"]["run0"]["problem"] is None


def test_a_forged_done_ends_the_session_with_the_true_reason(pair: Pair) -> None:
    forged = b'{"kind": "done", "run_id": "run0", "measured": true}\n'
    results = session_through(pair, as_it_is, forged)
    assert results["server"]["problem"]["reason"] == "control_changed"
    assert results["client"]["problem"]["reason"] == "peer_lost"


@pytest.mark.parametrize(("direction", "victim"), [("L", "client"), ("D", "server")])
@pytest.mark.parametrize("how", ["changed", "repeated", "sent back"])
def test_a_message_that_was_meddled_with_ends_the_session_with_the_true_reason(
    pair: Pair, direction: str, victim: str, how: str
) -> None:
    def meddle(towards: str, number: int, frame: bytes) -> list[tuple[str, bytes]]:
        if (towards, number) != (direction, 2):  # ready, and done: the first after the two of the handshake
            return [(towards, frame)]
        return {
            "changed": [(towards, frame[:-40] + bytes([frame[-40] ^ 1]) + frame[-39:])],
            "repeated": [(towards, frame), (towards, frame)],
            "sent back": [("D" if towards == "L" else "L", frame)],
        }[how]

    results = session_through(pair, meddle)
    told = {role: (result["problem"] or {}).get("reason") for role, result in results.items()}
    if how == "sent back":
        victim = "server" if victim == "client" else "client"
    if (how, victim) == ("repeated", "server"):
        # The copy of done comes after the last message that was due: nobody reads it.
        assert told == {"server": None, "client": None}
    else:
        assert told[victim] == "control_changed", told
        assert set(told.values()) <= {"control_changed", "peer_lost"}
