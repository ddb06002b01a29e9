# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""The control connection on which the two ends of a pair meet: ready, done, over.

One TCP connection a session, bound to the data address of the server end, opened before and silent during each run.
Whoever comes may be a stranger, whatever lies between may change what is said, and an end that has proved itself may lie.
So nothing is parsed of anybody who has not proved to know the session's token, nothing of a message before its code fits,
and nothing but plain values of known names in it. Every wait has a deadline.

Meeting: four frames of fixed length in ASCII between the dialler (D) and the listener (L); N is 32 random bytes of each::

    D  "pairbench control 2 hello " role, filled up with spaces to 16, " " N_D in hex, line feed
    L  the same with the role server and N_L; only when the dialler's hello has come
    D  "pairbench control 2 proof " HMAC(token, "D proves" about) in hex, line feed
    L  the same with HMAC(token, "L proves" about); only when the dialler's proof is right

The roles of diallers are client, observer-server and observer-client; ``about`` is a line feed before each of "pairbench
control 2", the dialler's role, the address and port of L, N_D and N_L. Then messages, as frames. K is HMAC(token, "D speaks"
about) for what the dialler says and HMAC(token, "L speaks" about) for what it hears, n (8 bytes) counts the frames of one
direction from 0, and the highest byte comes first::

    length of body, 4 bytes | HMAC(K, "length" n length) | body | HMAC(K, "body" n body)

HMAC is HMAC-SHA256. So a frame that was changed, repeated, left out, moved, sent back to its sender, or taken from another
session, role or port does not fit, and that is told apart from a connection that broke. The dialler's own address is not
bound: it may be masqueraded on the way, and who passes on frames as they are is no more than a router.

A body is lines "name value", the value one JSON scalar: nothing in it can nest. A name with dots stands for a dict in a
dict. Every kind of message has its names and types (``KINDS``) and its largest size.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import hashlib
import hmac
import ipaddress
import json
import math
import os
import re
import select
import socket
import struct
import time

PROTOCOL = "pairbench control 2"
HANDSHAKE_SECONDS = 5.0
SEND_SECONDS = 30.0
RETRY_SECONDS = 0.1
CALLERS = 64  # who may stand at the door at once without having proved anything
BACKLOG = 128
NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
DETAIL_CHARS = 4000
MESSAGE_BYTES = 64 << 10
OBSERVATION_BYTES = 4 << 20  # a tracer's map, full (_tracer.MAP_KEYS), of calls and of times

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

_HELLO = re.compile(rb"pairbench control 2 hello ([a-z-]{1,16}) {0,15} ([0-9a-f]{64})\n")
HELLO_BYTES = len(PROTOCOL) + len(" hello ") + 16 + 1 + 64 + 1
PROOF_BYTES = len(PROTOCOL) + len(" proof ") + 64 + 1

_CODE_BYTES = hashlib.sha256().digest_size
_HEADER_BYTES = 4 + _CODE_BYTES
_MOST_LINES = 64
_NAME = re.compile(r"[a-z_]{1,32}(?:\.[a-z_]{1,32}){0,2}")
_SCALAR = re.compile(r'"[^\n]*"|-?[0-9]{1,18}(?:\.[0-9]{1,20})?(?:e[+-]?[0-9]{1,3})?|true|false|null')


class PeerLost(Exception):
    """The other end went away, or did not say what was due in time. The text says which.

    ``reason`` is the word of the gate's list.
    """

    reason = "peer_lost"


class PeerSilent(PeerLost):
    """The other end did not say what was due in time. It may still say it."""


class ControlChanged(PeerLost):
    """Between the two ends somebody changed, repeated or left out what they said."""

    reason = "control_changed"


class PeerUnfit(PeerLost):
    """The other end has proved who it is, and said something that it cannot have to say here."""

    reason = "malformed_reply"


class TooLarge(Exception):
    """A message is larger than its kind may be; nothing of it was sent."""


# What a message may say


def _text(most):
    return lambda value: isinstance(value, str) and len(value) <= most


def _or_none(check):
    return lambda value: value is None or check(value)


def _flag(value):
    return isinstance(value, bool)


def _whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value):
    return _whole(value) or isinstance(value, float)


def _fields(**checks):
    def check(value):
        return (
            isinstance(value, dict) and value.keys() == checks.keys()
            and all(checks[name](part) for name, part in value.items())
        )

    return check


_WORD = _text(1000)
_PROBLEM = _or_none(_fields(reason=_WORD, detail=_text(DETAIL_CHARS)))
_OBSERVATION = _fields(
    run_id=_WORD, guest=_WORD, hypervisor=_WORD, pid=_whole, comm=_WORD, command=_text(DETAIL_CHARS), arch=_WORD, mode=_WORD,
    probe=_WORD, version=_or_none(_WORD), output=_text(OBSERVATION_BYTES), stderr=_text(OBSERVATION_BYTES),
    returncode=_or_none(_whole), started_at=_or_none(_WORD), ended_at=_or_none(_WORD), seconds=_or_none(_number),
    problem=_PROBLEM,
)
KINDS = {
    "ready": _fields(kind=_WORD, run_id=_WORD, problem=_PROBLEM),
    "done": _fields(kind=_WORD, run_id=_WORD, measured=_flag),
    "over": _fields(kind=_WORD, run_id=_WORD),
    "arm": _fields(kind=_WORD, run_id=_WORD),
    "armed": _fields(kind=_WORD, run_id=_WORD, problem=_PROBLEM),
    "disarm": _fields(kind=_WORD, run_id=_WORD),
    "disarmed": _fields(kind=_WORD, run_id=_WORD),
    "observed": _fields(kind=_WORD, run_id=_WORD, observation=_OBSERVATION),
}


def _largest(kind):
    return OBSERVATION_BYTES if kind == "observed" else MESSAGE_BYTES


def encode(message):
    """The body of a message. A long ``detail`` is cut; what is no character (a file name in another encoding) becomes ?."""
    return b"".join(_lines(message, ""))


def _lines(fields, prefix):
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _lines(value, prefix + name + ".")
            continue
        if isinstance(value, str):
            value = value.encode("utf-8", "replace").decode("utf-8")
            value = value[:DETAIL_CHARS] if name == "detail" else value
        yield ("%s%s %s\n" % (prefix, name, json.dumps(value))).encode("ascii")


def decode(body):
    """The message of a body. Raises PeerUnfit where it is none."""
    try:
        message = _nested(body)
    except ValueError as error:
        raise PeerUnfit("the other end sent something that is not a message: %s" % error) from error
    kind = message.get("kind")
    if not isinstance(kind, str) or kind not in KINDS or not KINDS[kind](message):
        raise PeerUnfit("the other end sent a message of no known kind or shape")
    return message


def _nested(body):
    lines = body.decode("ascii").split("\n", _MOST_LINES)
    if lines.pop():
        raise ValueError("it has more lines than any message, or its last line does not end")
    message = {}
    for line in lines:
        name, _space, text = line.partition(" ")
        if not _NAME.fullmatch(name):
            raise ValueError("a name in it is no name")
        *path, last = name.split(".")
        place = message
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise ValueError("a name in it is both a value and a dict")
        if last in place:
            raise ValueError("a name in it comes twice")
        place[last] = _scalar(text)
    return message


def _scalar(text):
    if not _SCALAR.fullmatch(text):
        raise ValueError("a value in it is neither a text nor a number, true, false or null")
    value = json.loads(text)
    if isinstance(value, str):
        value.encode("utf-8")  # half a surrogate pair is no character: it could be written to no file
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number in it is not finite")
    return value


# Bytes on a connection


class _Stream:
    """A connection on which every wait has a deadline, and from which no more is taken than is due."""

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
        """Be done with bytes that were looked at."""
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
    """One authenticated connection: messages in order, each once, from the one who has proved to be the other end."""

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
        """Say something. Raises PeerLost when it cannot be sent, TooLarge when it must not."""
        body = encode(message)
        if len(body) > _largest(message["kind"]):
            raise TooLarge("a message of %d bytes, where %d are the most" % (len(body), _largest(message["kind"])))
        length = struct.pack(">I", len(body))
        frame = length + _code(self._key_out, b"length", self._sent, length)
        frame += body + _code(self._key_out, b"body", self._sent, body)
        with self._unless_broken():
            self._sent += 1
            self._stream.send(frame, time.monotonic() + SEND_SECONDS)

    def receive(self, deadline, largest=MESSAGE_BYTES):
        """The next message.

        Raises PeerLost at the deadline (``time.monotonic``) or when the peer has gone, ControlChanged when what came is
        not what the peer said at this place, and PeerUnfit when the peer itself said something that is no message.
        """
        with self._unless_broken():
            header = self._stream.peek(_HEADER_BYTES, deadline)
            self._require_code(header[4:], b"length", header[:4])
            [length] = struct.unpack(">I", header[:4])
            if length > largest:
                raise PeerUnfit("the other end sent a message of %d bytes, where %d are the most" % (length, largest))
            frame = self._stream.peek(_HEADER_BYTES + length + _CODE_BYTES, deadline)
            body = frame[_HEADER_BYTES:-_CODE_BYTES]
            self._require_code(frame[-_CODE_BYTES:], b"body", body)
            self._stream.skip(len(frame))
            self._received += 1
            return decode(body)

    def expect(self, kind, run_id, deadline):
        """The next message, which must be of this kind and about this run."""
        message = self.receive(deadline, _largest(kind))
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
        if not hmac.compare_digest(found, _code(self._key_in, what, self._received, data)):
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


def _code(key, what, number, data):
    return hmac.digest(key, what + struct.pack(">Q", number) + data, "sha256")


# Meeting


def _hello(role, nonce):
    return ("%s hello %-16s %s\n" % (PROTOCOL, role, nonce)).encode("ascii")


def _hello_of(frame):
    """Role and nonce of a hello. Raises PeerLost when it is none."""
    found = _HELLO.fullmatch(frame)
    if not found:
        raise PeerLost("whoever answers there does not speak this protocol")
    return found.group(1).decode("ascii"), found.group(2).decode("ascii")


class _Agreement:
    """What both ends of one connection can work out when, and only when, both know the token."""

    def __init__(self, token, role, place, dialler_nonce, listener_nonce):
        address, port = place[:2]
        about = ["", PROTOCOL, role, _plain(address), str(port), dialler_nonce, listener_nonce]
        self._about = "\n".join(about).encode("utf-8")
        self._token = token.encode("utf-8")

    def key(self, who):
        """The key of what one of them says: ``who`` is D or L."""
        return self._secret(who, "speaks")

    def proof(self, who):
        """The frame with which one of them proves itself."""
        return ("%s proof %s\n" % (PROTOCOL, self._secret(who, "proves").hex())).encode("ascii")

    def require_proof(self, who, frame):
        if not hmac.compare_digest(frame, self.proof(who)):
            raise PeerLost("whoever answers there does not know this session's token")

    def _secret(self, who, what):
        return hmac.digest(self._token, ("%s %s" % (who, what)).encode("ascii") + self._about, "sha256")


def _fresh_nonce():
    return os.urandom(32).hex()


def _plain(address):
    """One spelling of each address."""
    try:
        found = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return address
    return str(getattr(found, "ipv4_mapped", None) or found)


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


class _Caller:
    """Somebody at the door who has proved nothing yet."""

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
        """Take what has come, answer a hello; whether the caller has proved its role. Raises PeerLost, OSError."""
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
        role, theirs = _hello_of(frame)
        if role not in roles:
            raise PeerLost("nobody is awaited in that role")
        nonce = _fresh_nonce()
        self.role = role
        self.agreement = _Agreement(token, role, self.connection.getsockname(), theirs, nonce)
        self._say(_hello("server", nonce))

    def _take_proof(self, frame):
        self.agreement.require_proof("D", frame)
        self._say(self.agreement.proof("L"))
        try:  # a dialler that lost patience comes again: it must not be taken for met
            self.connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        raise PeerLost("it went away, or goes on talking where it has to listen")

    def _say(self, frame):
        """A frame fits into the room that any connection has; one that has none is none of ours."""
        if self.connection.send(frame) != len(frame):
            raise PeerLost("it does not listen")


class Door:
    """Where the server end lets the others in: many may stand there at once, and who is silent keeps nobody waiting.

    There is room for ``CALLERS``. When it is full, somebody goes: of the address that most come from the one that has
    been silent for longest, and one from the expected peer's address only when there is nobody else.
    """

    def __init__(self, address, port, token, wakeup, expected=""):
        """Raises OSError: the address is not on this host, the port is taken."""
        self._token = token
        self._wakeup = wakeup
        self._expected = _plain(expected)
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
        """The port on which it is."""
        return self._listener.getsockname()[1]

    @property
    def waiting(self):
        """How many stand at the door and have proved nothing."""
        return len(self._callers)

    @property
    def turned_away(self):
        """How many came and could not prove that they know the token."""
        return sum(self._turned_away.values())

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
        """Nobody comes in any more."""
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
            self._callers.append(_Caller(connection, _plain(source[0])))
            if len(self._callers) > CALLERS:
                self._turn_away(self._least_welcome())

    def _make_room(self):
        if self._callers:
            self._turn_away(self._least_welcome())
        else:
            self._wakeup.wait([], RETRY_SECONDS)

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
            stream = _Stream(caller.connection, self._wakeup)
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


def connect(address, port, source_address, token, wakeup, deadline, role="client"):
    """Reach the server end, trying again until the deadline. Raises PeerLost when it never answers."""
    last = None
    while time.monotonic() < deadline:
        try:
            return _dial(address, port, source_address, token, wakeup, deadline, role)
        except (OSError, PeerLost) as error:
            if last is None or time.monotonic() < deadline:  # an attempt that the deadline cut short says nothing
                last = error
            wakeup.wait([], RETRY_SECONDS)
    raise PeerLost("the server end at %s port %d was not reached: %s" % (address, port, last or "no answer"))


def _dial(address, port, source_address, token, wakeup, deadline, role):
    """One attempt. Raises OSError or PeerLost."""
    connection = socket.create_connection(
        (address, port), timeout=max(0.1, min(2.0, deadline - time.monotonic())),
        source_address=(source_address, 0) if source_address else None,
    )
    try:
        stream = _Stream(connection, wakeup)
        return _introduce(
            stream, token, role, connection.getpeername(), min(deadline, time.monotonic() + HANDSHAKE_SECONDS)
        )
    except BaseException:
        connection.close()
        raise


def _introduce(stream, token, role, place, deadline):
    """Prove to whoever listens there who we are, and have it prove that it is the server end: a Channel."""
    nonce = _fresh_nonce()
    stream.send(_hello(role, nonce), deadline)
    peer_role, theirs = _hello_of(stream.peek(HELLO_BYTES, deadline))
    stream.skip(HELLO_BYTES)
    if peer_role != "server":
        raise PeerLost("whoever answers there is not a server end")
    agreement = _Agreement(token, role, place, nonce, theirs)
    stream.send(agreement.proof("D"), deadline)
    agreement.require_proof("L", stream.peek(PROOF_BYTES, deadline))
    stream.skip(PROOF_BYTES)
    return Channel(stream, agreement.key("D"), agreement.key("L"))
