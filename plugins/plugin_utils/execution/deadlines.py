"""How long the controller waits for a host in each task: what the host may take at most, and some time to answer."""

from __future__ import annotations

from ..model import Session, Step
from .ends import (
    claim_deadline_seconds,
    orphan_seconds,
    session_deadline_seconds,
    session_of,
    winding_up_seconds,
)
from .orders import Orders


class Deadlines:
    """Seconds from the start of a task on a host to its result, by the orders of the pass."""

    def __init__(self, orders: Orders) -> None:
        self._answer: float = orders.answer_seconds
        self._waits = (orders.ready_seconds, orders.rendezvous_seconds)
        self._observers = 2 if orders.hypervisors else 0
        orphan = orphan_seconds(orders.longest_session_seconds, orders.longest_run_seconds)
        self.of_preparing: float = orders.prepare_seconds
        """For any task that installs, or looks at, something."""
        self.of_giving_back: float = self._answer
        self.of_claim: float = claim_deadline_seconds(orders.wait_seconds, orphan) + self._answer

    def of_step(self, step: Step | None, host: str) -> float:
        """For the session of a host in this step; a host that has none, as a hypervisor, has to do with any of them."""
        sessions = step.sessions if step else ()
        own = session_of(step, host) if step else None
        limits = [session_deadline_seconds(item, *self._waits, self._observers) for item in ([own] if own else sessions)]
        return max(limits, default=0.0) + self._answer

    def of_other_end(self, session: Session, met: bool) -> float:
        """For the second end of a session, from when the first one has returned; ``met``: the two had found each other."""
        return winding_up_seconds(session, *self._waits, met, self._observers) + self._answer
