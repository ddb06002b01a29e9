"""What a running pass knows: shared between the conductor and the tasks of one ``ansible-playbook``.

The conductor lives in Ansible's main process; every task of every host runs in a worker, a process that is forked from it
when the task begins. Ansible hands a worker nothing but the variables of its host, which hosts can set: so the pass is a
global of this module, and a worker finds it in the memory it was forked with, as it stood at that moment. What a worker
writes there is gone with it: the conductor is the only writer.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..model import HELD, REFUSED, Plan, Session, Step
from ..planning.plan import PlanError
from ..planning.remaining import step_rest
from .orders import Orders

STRIKES = 2
"""With how many different peers in a row a host may fail to meet before it counts as lost."""


@dataclass
class LivePass:
    """One pass of the playbook over a sweep."""

    plan: Plan
    orders: Orders
    done: set[str]
    """Runs that need no measuring any more."""
    identity: str = ""
    """Who runs this pass, for whoever meets it."""
    step_index: int = -1
    step: Step | None = None
    """The step that is being executed: what is left of it."""
    refusal: str = ""
    """Why no further session may begin; empty while all is well."""
    held: bool = False
    """Whether that is because another controller holds the sweep."""
    lost: dict[str, str] = field(default_factory=dict)
    """Hosts that dropped out, with the reason; their sessions are left out until the next block."""
    prepared: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """By host, what it said that it is and can do (`replies.probe_reply`); no session begins on others."""
    residents: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By host, interpreter and path of the program that stays there for its steps (`tasks.Resident`), where there is one."""
    recorded: dict[str, set[str]] = field(default_factory=dict)
    """By host, names in its spool of what has safely become part of a record."""
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _missed: dict[str, set[str]] = field(default_factory=dict)
    _block: int = 0

    @property
    def only(self) -> frozenset[str] | None:
        """The hosts to which this pass is limited; None for all of the plan."""
        return self.orders.only

    @property
    def sweep_dir(self) -> Path:
        """The folder of the sweep."""
        return self.orders.sweep_dir

    def token(self, step_index: int, server: str, client: str) -> str:
        """The secret of one session; both of its ends work it out alone."""
        text = f"{step_index}\0{server}\0{client}".encode()
        return hmac.new(self.secret, text, hashlib.sha256).hexdigest()

    def begin_step(self, index: int) -> Step | None:
        """Make this the step that is executed; None when nothing is left of it.

        A lost host gets another chance in every block.
        """
        step = self.plan.steps[index]
        if step.block != self._block:
            self._block = step.block
            self.lost.clear()
            self._missed.clear()
        self.step_index, self.step = index, step_rest(step, self.done, self.only)
        return self.step

    def why_not_claimed(self, host: str) -> str:
        """Why a host is not to be claimed, or not held any longer; empty when it is."""
        return f"the host fell away: {self.lost[host]}" if host in self.lost else ""

    def why_left_out(self, session: Session) -> str:
        """Why a session cannot take place now; empty when it can."""
        for host in (session.server, session.client):
            if host in self.lost:
                return f"{host} fell away: {self.lost[host]}"
            if host not in self.prepared:
                return f"{host} was not reached when the hosts were prepared"
        return ""

    def why_not_observing(self, hypervisor: str) -> str:
        """Why this hypervisor cannot trace now; empty when it can."""
        if hypervisor in self.lost:
            return f"{hypervisor} fell away: {self.lost[hypervisor]}"
        if hypervisor not in self.prepared:
            return f"{hypervisor} could not be prepared for tracing, or is not among the hosts of this play"
        return ""

    def lose(self, host: str, why: str) -> None:
        """Leave this host's sessions out until the next block."""
        self.lost[host] = why

    def met(self, server: str, client: str) -> None:
        """The two ends of a session met: whatever was held against them is over."""
        for host in (server, client):
            self._missed.pop(host, None)

    def missed(self, server: str, client: str) -> None:
        """The two ends did not meet. Whoever fails with several peers is taken to be the one that is cut off."""
        for host, peer in ((server, client), (client, server)):
            peers = self._missed.setdefault(host, set())
            peers.add(peer)
            if len(peers) >= STRIKES:
                self.lose(host, f"its sessions with {', '.join(sorted(peers))} could not begin")

    def note_recorded(self, host: str, names: Iterable[str]) -> None:
        """These parts of the host's spool are in records now."""
        self.recorded.setdefault(host, set()).update(names)


NOT_PLANNED = "No sweep has been planned in this play: use the role pairbench.lab.bench"
CALLBACK_OFF = (
    "The callback that writes the records is off. Set callbacks_enabled = pairbench.lab.summary in ansible.cfg, or "
    "ANSIBLE_CALLBACKS_ENABLED=pairbench.lab.summary in the environment"
)
_current: list[LivePass] = []
_conducted: list[bool] = []


def announce_conductor() -> None:
    """Somebody in this process conducts the pass that is going to be planned."""
    _conducted[:] = [True]


def require_conductor() -> None:
    """Raises PlanError where nobody would take the results of a pass."""
    if not _conducted:
        raise PlanError(CALLBACK_OFF)


def begin(live: LivePass) -> None:
    """Make this the pass of this process and of those that are forked from it."""
    _current[:] = [live]


def current() -> LivePass | None:
    """The pass of this process; None where the callback is off or nothing has been planned."""
    return _current[0] if _current else None


def required() -> LivePass:
    """The pass of this process. Raises PlanError where there is none."""
    if not _current:
        raise PlanError(NOT_PLANNED)
    return _current[0]


def refusal_now() -> tuple[str, str]:
    """Why no session may begin in this process, and ``HELD`` or ``REFUSED``; two empty texts while all is well."""
    live = current()
    why = live.refusal if live else "the callback pairbench.lab.summary is off"
    return (why, HELD if live and live.held else REFUSED) if why else ("", "")
