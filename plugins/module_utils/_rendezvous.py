# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""The control connection on which the two ends of a pair meet: ready, done, over.

One TCP connection a session, bound to the data address of the server end, opened before and silent during each
run. Both ends prove that they know the session's token (HMAC-SHA256 of the other's nonce) before anything else
is said; whoever cannot is turned away and the waiting goes on. Every wait has a deadline.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import time

MAX_LINE_BYTES = 1 << 20
HANDSHAKE_SECONDS = 5.0
RETRY_SECONDS = 0.1


class PeerLost(Exception):
    """The other end went away, or did not say what was due in time. The text says which."""


def _proof(token, role, nonce):
    return hmac.new(token.encode(), (role + ":" + nonce).encode(), hashlib.sha256).hexdigest()


class Channel:
    """One authenticated connection; messages are JSON objects, one a line."""

    def __init__(self, connection, wakeup):
        self._socket = connection
        self._wakeup = wakeup
        self._buffer = b""
        connection.setblocking(True)
        connection.settimeout(HANDSHAKE_SECONDS)

    def fileno(self):
        return self._socket.fileno()

    def send(self, **message):
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise PeerLost("the control connection broke while sending: %s" % error) from error

    def receive(self, deadline):
        """The next message. Raises PeerLost at the deadline (``time.monotonic``) or when the peer has gone."""
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise PeerLost("the other end said nothing in the time it was given")
            if not self._wakeup.wait([self._socket], left):
                continue
            try:
                chunk = self._socket.recv(65536)
            except OSError as error:
                raise PeerLost("the control connection broke: %s" % error) from error
            if not chunk:
                raise PeerLost("the other end closed the control connection")
            self._buffer += chunk
            if len(self._buffer) > MAX_LINE_BYTES:
                raise PeerLost("the other end sent more than a message may hold")
        line, self._buffer = self._buffer.split(b"\n", 1)
        try:
            message = json.loads(line.decode("utf-8"))
        except ValueError as error:
            raise PeerLost("the other end sent something that is not a message") from error
        if not isinstance(message, dict):
            raise PeerLost("the other end sent something that is not a message")
        return message

    def expect(self, kind, run_id, deadline):
        """The next message, which must be of this kind and about this run."""
        message = self.receive(deadline)
        if message.get("kind") != kind or message.get("run_id") != run_id:
            raise PeerLost(
                "expected %s for %s, the other end said %r for %r"
                % (kind, run_id, message.get("kind"), message.get("run_id"))
            )
        return message

    def close(self):
        self._socket.close()


def _authenticate(channel, token, role, peer_roles):
    """Prove our role and hear who the other end is; its role. Raises PeerLost when it cannot prove one of these."""
    nonce = os.urandom(16).hex()
    channel.send(kind="hello", nonce=nonce)
    deadline = time.monotonic() + HANDSHAKE_SECONDS
    theirs = channel.receive(deadline).get("nonce")
    channel.send(kind="proof", proof=_proof(token, role, str(theirs)))
    proof = str(channel.receive(deadline).get("proof"))
    for peer_role in peer_roles:
        if hmac.compare_digest(proof.encode(), _proof(token, peer_role, nonce).encode()):
            return peer_role
    raise PeerLost("the other end does not know this session's token")


def listen(address, port):
    """The listening socket of the server end. Raises OSError (address not on this host, port taken)."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
        listener.listen(8)
    except OSError:
        listener.close()
        raise
    return listener


def make_known(address, peer_address, port):
    """Let the other end's kernel learn where we are now.

    Where this host came back with another hardware address, as a guest that was made anew, the kernels of others go on
    sending to the old one, for up to a minute. To send them anything we have to ask for their address, and whoever is
    asked takes down who asks. Nobody listens to the datagram itself.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as knocking:
            knocking.bind((address, 0))
            knocking.sendto(b"pairbench", (peer_address, port))
    except OSError:
        return  # whether the other end is reached shows when it comes


def accept(listener, token, wakeup, deadline, roles=("client",)):
    """Wait for somebody in one of the roles; strangers are turned away. Returns (role, channel).

    Raises PeerLost at the deadline.
    """
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise PeerLost("the %s end did not come to the control port in time" % roles[0])
        if not wakeup.wait([listener], left):
            continue
        connection, _address = listener.accept()
        channel = Channel(connection, wakeup)
        try:
            return _authenticate(channel, token, "server", roles), channel
        except PeerLost:
            channel.close()


def connect(address, port, source_address, token, wakeup, deadline, role="client"):
    """Reach the server end, trying again until the deadline. Raises PeerLost when it never answers."""
    last = "no answer"
    while time.monotonic() < deadline:
        try:
            connection = socket.create_connection(
                (address, port), timeout=max(0.1, min(2.0, deadline - time.monotonic())),
                source_address=(source_address, 0) if source_address else None,
            )
        except OSError as error:
            last = str(error)
            wakeup.wait([], RETRY_SECONDS)
            continue
        channel = Channel(connection, wakeup)
        try:
            _authenticate(channel, token, role, ("server",))
            return channel
        except PeerLost as error:
            last = str(error)
            channel.close()
            wakeup.wait([], RETRY_SECONDS)
    raise PeerLost("the server end at %s port %d was not reached: %s" % (address, port, last))
