# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""What can go wrong with the other end of a control connection, and with what is said on it."""

from __future__ import annotations


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
    """The other end has proved who it is, but said something that has no place here."""

    reason = "malformed_reply"


class TooLarge(Exception):
    """A message is larger than its kind may be; nothing of it was sent."""
