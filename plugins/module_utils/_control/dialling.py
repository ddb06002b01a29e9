# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""How the client end of a session, and its observers, reach the server end.

There is one TCP connection a session, bound to the data address of the server end, opened before the runs and silent
during each of them.
"""

from __future__ import annotations

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
)
from ansible_collections.pairbench.lab.plugins.module_utils._control.peer import PeerLost

RETRY_SECONDS = 0.1


def make_known(address, peer_address, port):
    """Let the other end's kernel learn where we are now.

    When this host has come back with another hardware address, as a guest that was made anew does, the kernels of others go
    on sending to the old one for up to a minute. To send them anything, our kernel asks for their address, and whoever is
    asked notes who asked. Nobody listens for the datagram itself.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as knocking:
            knocking.bind((address, 0))
            knocking.sendto(b"pairbench", (peer_address, port))
    except OSError:
        return  # whether the other end is reached shows when it comes


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
        stream = Stream(connection, wakeup)
        return introduce(
            stream, token, role, connection.getpeername(), min(deadline, time.monotonic() + HANDSHAKE_SECONDS)
        )
    except BaseException:
        connection.close()
        raise


def introduce(stream, token, role, place, deadline):
    """Prove to whoever listens there who we are, and have it prove that it is the server end: a Channel."""
    nonce = fresh_nonce()
    stream.send(hello(role, nonce), deadline)
    peer_role, theirs = hello_of(stream.peek(HELLO_BYTES, deadline))
    stream.skip(HELLO_BYTES)
    if peer_role != "server":
        raise PeerLost("whoever answers there is not a server end")
    agreement = Agreement(token, role, place, nonce, theirs)
    stream.send(agreement.proof("D"), deadline)
    agreement.require_proof("L", stream.peek(PROOF_BYTES, deadline))
    stream.skip(PROOF_BYTES)
    return Channel(stream, agreement.key("D"), agreement.key("L"))
