# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""The frames of a control connection: bytes with deadlines, and messages that nobody on the way can have touched.

Messages are sent as frames. K is HMAC(token, "D speaks" about) for what the dialler says and HMAC(token, "L speaks" about)
for what it hears (``handshake`` defines ``about``), n (8 bytes) counts the frames of one direction from 0, and the highest
byte comes first::

    length of body, 4 bytes | HMAC(K, "length" n length) | body | HMAC(K, "body" n body)

HMAC is HMAC-SHA256. A frame that was changed, repeated, left out, moved, sent back to its sender, or taken from another
session, role or port does not fit, and is told apart from a connection that broke.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import select
import socket
import struct
import time

from ansible_collections.pairbench.lab.plugins.module_utils._control.messages import MESSAGE_BYTES, decode, encode, largest
from ansible_collections.pairbench.lab.plugins.module_utils._control.peer import (
    ControlChanged,
    PeerLost,
    PeerSilent,
    PeerUnfit,
    TooLarge,
)

SEND_SECONDS = 30.0

# A vanished peer is noticed where something is to be sent, and also in a long silence: one packet a minute, and none in a
# run of the usual length. A lost one must not end a session, so the time is that of several.
KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 6),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 120_000),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)

_CODE_BYTES = hashlib.sha256().digest_size
_HEADER_BYTES = 4 + _CODE_BYTES


class Stream:
    """A connection on which every wait has a deadline, and from which no more is read than is due."""

    def __init__(self, connection, wakeup):
        self._socket = connection
        self._wakeup = wakeup
        self._heard = bytearray()
        connection.setblocking(False)
        for option in KEEPALIVE:
            connection.setsockopt(*option)

    def fileno(self):
        return self._socket.fileno()

    def close(self):
        self._socket.close()

    def send(self, data, deadline):
        """Raises PeerLost when the connection breaks, or takes less than all until the deadline."""
        left = memoryview(data)
        while left:
            try:
                left = left[self._socket.send(left):]
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise PeerLost("the other end did not take what was sent to it") from None
                self._await_room(deadline)
            except OSError as error:
                raise PeerLost("the control connection broke while sending: %s" % error) from error

    def _await_room(self, deadline):
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT)
        poll.poll(min(0.5, max(0.0, deadline - time.monotonic())) * 1000)
        self._wakeup.wait([], 0)  # whether a signal has come

    def peek(self, size, deadline):
        """The next bytes, as many as asked for; they stay. Raises PeerLost at the deadline or when the peer has gone."""
        looked = False
        while len(self._heard) < size:
            left = deadline - time.monotonic()
            if left <= 0 and looked:
                what = "stopped in the middle of a message" if self._heard else "said nothing in the time it was given"
                raise PeerSilent("the other end " + what)
            looked = True
            if self._wakeup.wait([self._socket], left):
                self._hear(size - len(self._heard))
        return bytes(self._heard[:size])

    def skip(self, size):
        """Discard bytes that were looked at."""
        del self._heard[:size]

    def _hear(self, most):
        try:
            chunk = self._socket.recv(min(most, 1 << 18))
        except BlockingIOError:
            return
        except OSError as error:
            raise PeerLost("the control connection broke: %s" % error) from error
        if not chunk:
            where = " in the middle of a message" if self._heard else ""
            raise PeerLost("the other end closed the control connection" + where)
        self._heard += chunk


class Channel:
    """One authenticated connection: messages in order, each once, from a peer that has proved to be the other end."""

    def __init__(self, stream, key_out, key_in):
        self._stream = stream
        self._key_out, self._key_in = key_out, key_in
        self._sent = self._received = 0
        self._broken = None

    def fileno(self):
        return self._stream.fileno()

    def close(self):
        self._stream.close()

    def send(self, **message):
        """Send a message. Raises PeerLost when it cannot be sent, and TooLarge when it is too large to be."""
        body = encode(message)
        if len(body) > largest(message["kind"]):
            raise TooLarge("a message of %d bytes, where %d are the most" % (len(body), largest(message["kind"])))
        length = struct.pack(">I", len(body))
        frame = length + code(self._key_out, b"length", self._sent, length)
        frame += body + code(self._key_out, b"body", self._sent, body)
        with self._unless_broken():
            self._sent += 1
            self._stream.send(frame, time.monotonic() + SEND_SECONDS)

    def receive(self, deadline, most_bytes=MESSAGE_BYTES):
        """The next message.

        Raises PeerLost at the deadline (``time.monotonic``) or when the peer has gone, ControlChanged when what came is
        not what the peer said at this place, and PeerUnfit when the peer itself said something that is no message.
        """
        with self._unless_broken():
            header = self._stream.peek(_HEADER_BYTES, deadline)
            self._require_code(header[4:], b"length", header[:4])
            [length] = struct.unpack(">I", header[:4])
            if length > most_bytes:
                raise PeerUnfit("the other end sent a message of %d bytes, where %d are the most" % (length, most_bytes))
            frame = self._stream.peek(_HEADER_BYTES + length + _CODE_BYTES, deadline)
            body = frame[_HEADER_BYTES:-_CODE_BYTES]
            self._require_code(frame[-_CODE_BYTES:], b"body", body)
            self._stream.skip(len(frame))
            self._received += 1
            return decode(body)

    def expect(self, kind, run_id, deadline):
        """The next message, which must be of this kind and about this run."""
        message = self.receive(deadline, largest(kind))
        if message["kind"] != kind or message["run_id"] != run_id:
            raise PeerUnfit(
                "expected %s for %s, the other end said %.40r for %.200r"
                % (kind, run_id, message["kind"], message["run_id"])
            )
        return message

    def fail_reading(self, when):
        """Say why there is something to read where nothing was due: always raises PeerLost."""
        try:
            message = self.receive(time.monotonic())
        except PeerLost as error:
            raise type(error)("%s, %s" % (error, when)) from error
        raise PeerUnfit("the other end said %s, %s" % (message["kind"], when))

    def _require_code(self, found, what, data):
        if not hmac.compare_digest(found, code(self._key_in, what, self._received, data)):
            raise ControlChanged("somebody on the network changed, repeated or left out a control message")

    @contextlib.contextmanager
    def _unless_broken(self):
        """After the first fault nothing of this connection counts any more."""
        if self._broken is not None:
            raise type(self._broken)(str(self._broken))
        try:
            yield
        except PeerSilent:
            raise
        except PeerLost as error:
            self._broken = error
            raise


def code(key, what, number, data):
    """The code of one part of frame ``number``: ``what`` is length or body, ``data`` what it says."""
    return hmac.digest(key, what + struct.pack(">Q", number) + data, "sha256")
