# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Where the server end of a session lets the others in, while strangers may knock too."""

from __future__ import annotations

import collections
import errno
import socket
import time

from ansible_collections.pairbench.lab.plugins.module_utils._control.channel import Channel, Stream
from ansible_collections.pairbench.lab.plugins.module_utils._control.handshake import (
    HANDSHAKE_SECONDS,
    HELLO_BYTES,
    PROOF_BYTES,
    Agreement,
    fresh_nonce,
    hello,
    hello_of,
    plain_address,
)
from ansible_collections.pairbench.lab.plugins.module_utils._control.peer import PeerLost

CALLERS = 64  # who may stand at the door at once without having proved anything
BACKLOG = 128
ROOM_SECONDS = 0.1
NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Caller:
    """Somebody at the door who has not proved anything yet."""

    def __init__(self, connection, source):
        connection.setblocking(False)
        self.connection = connection
        self.source = source
        self.since = time.monotonic()
        self.heard = b""
        self.role = None
        self.agreement = None

    def fileno(self):
        return self.connection.fileno()

    def hear(self, token, roles):
        """Take what has come and answer a hello. Whether the caller has proved its role. Raises PeerLost, OSError."""
        due = PROOF_BYTES if self.agreement else HELLO_BYTES
        try:
            chunk = self.connection.recv(due - len(self.heard))
        except BlockingIOError:
            return False
        if not chunk:
            raise PeerLost("it went away")
        self.heard += chunk
        if len(self.heard) < due:
            return False
        frame, self.heard = self.heard, b""
        if self.agreement:
            self._take_proof(frame)
            return True
        self._take_hello(frame, token, roles)
        return False

    def _take_hello(self, frame, token, roles):
        role, theirs = hello_of(frame)
        if role not in roles:
            raise PeerLost("nobody is awaited in that role")
        nonce = fresh_nonce()
        self.role = role
        self.agreement = Agreement(token, role, self.connection.getsockname(), theirs, nonce)
        self._say(hello("server", nonce))

    def _take_proof(self, frame):
        self.agreement.require_proof("D", frame)
        self._say(self.agreement.proof("L"))
        try:  # a dialler that lost patience comes again: it must not be taken for met
            self.connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        raise PeerLost("it went away, or goes on talking where it has to listen")

    def _say(self, frame):
        """A frame fits into the buffer that any connection has; a connection without one is not ours."""
        if self.connection.send(frame) != len(frame):
            raise PeerLost("it does not listen")


class Door:
    """Where the server end lets the others in: many may wait there at once, and one who is silent keeps nobody else waiting.

    There is room for ``CALLERS``. When it is full, somebody has to go: of those from the most frequent address the one
    that has been silent for longest, and somebody from the expected peer's address only when there is nobody else.
    """

    def __init__(self, address, port, token, wakeup, expected=""):
        """Raises OSError: the address is not on this host, the port is taken."""
        self._token = token
        self._wakeup = wakeup
        self._expected = plain_address(expected)
        self._callers = []
        self._turned_away = collections.Counter()
        self._listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.setblocking(False)
            self._listener.bind((address, port))
            self._listener.listen(BACKLOG)
        except OSError:
            self._listener.close()
            raise

    @property
    def port(self):
        """The port on which the door is."""
        return self._listener.getsockname()[1]

    def admit(self, roles, deadline):
        """Wait for somebody in one of the roles: (role, channel). Raises PeerLost at the deadline (``time.monotonic``)."""
        while True:
            now = time.monotonic()
            for caller in [caller for caller in self._callers if now - caller.since >= HANDSHAKE_SECONDS]:
                self._turn_away(caller)
            if now >= deadline:
                raise PeerLost(self._nobody(roles[0]))
            until = min([deadline] + [caller.since + HANDSHAKE_SECONDS for caller in self._callers])
            ready = self._wakeup.wait([*self._callers, self._listener], until - now)
            for caller in [caller for caller in self._callers if caller in ready]:
                channel = self._hear(caller, roles)
                if channel is not None:
                    return caller.role, channel
            if self._listener in ready:
                self._open()

    def close(self):
        """Let nobody in any more."""
        self._listener.close()
        for caller in self._callers:
            caller.connection.close()
        self._callers = []

    def _open(self):
        for _turn in range(BACKLOG):
            try:
                connection, source = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in NO_ROOM:
                    self._make_room()
                return  # else who came has gone again
            self._callers.append(Caller(connection, plain_address(source[0])))
            if len(self._callers) > CALLERS:
                self._turn_away(self._least_welcome())

    def _make_room(self):
        if self._callers:
            self._turn_away(self._least_welcome())
        else:
            self._wakeup.wait([], ROOM_SECONDS)

    def _least_welcome(self):
        crowd = collections.Counter(caller.source for caller in self._callers)
        return min(
            self._callers,
            key=lambda caller: (
                caller.source == self._expected, -crowd[caller.source], caller.agreement is not None, caller.since
            ),
        )

    def _hear(self, caller, roles):
        """The channel to a caller who has proved its role now."""
        try:
            if not caller.hear(self._token, roles):
                return None
            stream = Stream(caller.connection, self._wakeup)
        except (PeerLost, OSError):
            self._turn_away(caller)
            return None
        self._callers.remove(caller)
        return Channel(stream, caller.agreement.key("L"), caller.agreement.key("D"))

    def _turn_away(self, caller):
        self._callers.remove(caller)
        self._turned_away[caller.source if len(self._turned_away) < CALLERS else "others"] += 1
        caller.connection.close()

    def _nobody(self, role):
        text = "the %s end did not come to the control port in time" % role
        if self._turned_away:
            shown = ", ".join("%d from %s" % (count, source) for source, count in self._turned_away.most_common(3))
            text += "; others came and were turned away (%s)" % shown
        return text
