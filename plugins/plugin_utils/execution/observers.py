"""Who has to come to which session, to count the process under a guest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..lab.guests import Guest
from ..model import SIDES, Session
from .live_pass import LivePass


def observers_of(live: LivePass, session: Session, guests: Mapping[str, Guest]) -> dict[str, str]:
    """The sides of a session whose guests are observed, each with why it cannot be now (empty when it can)."""
    if not any(run.traced for run in session.runs):
        return {}
    sides = {side: guests.get(getattr(session, side)) for side in SIDES}
    return {side: live.why_not_observing(guest.hypervisor) for side, guest in sides.items() if guest is not None}


def watched_in(session: Session, sides: Iterable[str], guests: Mapping[str, Guest]) -> dict[str, tuple[str, str]]:
    """Guest and hypervisor of each of some sides of a session."""
    return {side: (getattr(session, side), guests[getattr(session, side)].hypervisor) for side in sides}


def observed_here(live: LivePass, hypervisor: str, guests: Mapping[str, Guest]) -> Iterable[tuple[Session, str, str]]:
    """(session, side, guest) of what has to be observed on a hypervisor in the step that is being executed."""
    for session in live.step.sessions if live.step else ():
        if live.why_left_out(session):
            continue
        for side, why in observers_of(live, session, guests).items():
            guest = getattr(session, side)
            if guests[guest].hypervisor == hypervisor and not why:
                yield session, side, guest
