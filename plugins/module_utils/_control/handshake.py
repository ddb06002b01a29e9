# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""How two ends of a control connection prove to each other that they know the session's token.

Whoever comes may be a stranger, whatever lies between may change what is said, and an end that has proved itself may lie.
So nothing is parsed of anybody who has not proved to know the token, nothing of a message before its code fits
(``channel``), and nothing but plain values of known names in it (``messages``). Every wait has a deadline.

Four frames of fixed length in ASCII pass between the dialler (D) and the listener (L); N is 32 random bytes of each::

    D  "pairbench control 2 hello " role, filled up with spaces to 16, " " N_D in hex, line feed
    L  the same with the role server and N_L; only when the dialler's hello has come
    D  "pairbench control 2 proof " HMAC(token, "D proves" about) in hex, line feed
    L  the same with HMAC(token, "L proves" about); only when the dialler's proof is right

The roles of diallers are client, observer-server and observer-client; ``about`` is a line feed before each of "pairbench
control 2", the dialler's role, the address and port of L, N_D and N_L. The dialler's own address is not bound: it may be
masqueraded on the way, and whoever passes on frames as they are is no more than a router.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import re

from ansible_collections.pairbench.lab.plugins.module_utils._control.peer import PeerLost

PROTOCOL = "pairbench control 2"
HANDSHAKE_SECONDS = 5.0
HELLO = re.compile(rb"pairbench control 2 hello ([a-z-]{1,16}) {0,15} ([0-9a-f]{64})\n")
HELLO_BYTES = len(PROTOCOL) + len(" hello ") + 16 + 1 + 64 + 1
PROOF_BYTES = len(PROTOCOL) + len(" proof ") + 64 + 1


def hello(role, nonce):
    """The frame with which one of them says who it is."""
    return ("%s hello %-16s %s\n" % (PROTOCOL, role, nonce)).encode("ascii")


def hello_of(frame):
    """Role and nonce of a hello. Raises PeerLost when it is none."""
    found = HELLO.fullmatch(frame)
    if not found:
        raise PeerLost("whoever answers there does not speak this protocol")
    return found.group(1).decode("ascii"), found.group(2).decode("ascii")


class Agreement:
    """What both ends of one connection can work out when, and only when, both know the token."""

    def __init__(self, token, role, place, dialler_nonce, listener_nonce):
        address, port = place[:2]
        about = ["", PROTOCOL, role, plain_address(address), str(port), dialler_nonce, listener_nonce]
        self._about = "\n".join(about).encode("utf-8")
        self._token = token.encode("utf-8")

    def key(self, who):
        """The key of what one of them says: ``who`` is D or L."""
        return self._secret(who, "speaks")

    def proof(self, who):
        """The frame with which one of them proves itself."""
        return ("%s proof %s\n" % (PROTOCOL, self._secret(who, "proves").hex())).encode("ascii")

    def require_proof(self, who, frame):
        """Raise PeerLost when a frame is not the proof of ``who``."""
        if not hmac.compare_digest(frame, self.proof(who)):
            raise PeerLost("whoever answers there does not know this session's token")

    def _secret(self, who, what):
        return hmac.digest(self._token, ("%s %s" % (who, what)).encode("ascii") + self._about, "sha256")


def fresh_nonce():
    """32 random bytes, in hex."""
    return os.urandom(32).hex()


def plain_address(address):
    """One spelling of each address."""
    try:
        found = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return address
    return str(getattr(found, "ipv4_mapped", None) or found)
