"""What a host is asked to do in a task: which module, with which arguments, and how its reply is read."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..lab.guests import Guest
from ..model import SIDES, Session, Side
from ..planning.plan import PlanError
from .ends import end_of, orphan_seconds, session_of, side_of, silence_seconds
from .live_pass import LivePass
from .replies import observe_reply, session_reply

COLLECTION = "pairbench.lab."
SESSION = "pairbench.lab.session"
OBSERVE = "pairbench.lab.observe"
RESTS = "this host rests in this step"
NOT_THERE = 2
"""Python's exit status where it cannot open the file that it is to execute."""
NOTHING_TO_OBSERVE = "no guest of this host is traced in this step"


@dataclass(frozen=True)
class HostTask:
    """One module for one host."""

    module: str
    arguments: Mapping[str, Any]
    read: Callable[[Mapping[str, Any]], dict[str, Any]]
    """Makes of what the module returned what may be used of it."""


@dataclass(frozen=True)
class Resident:
    """The program that stays on a host for the length of a pass, so that no module has to be sent for each task."""

    interpreter: str
    """The Python that Ansible starts modules with there."""
    path: str

    @property
    def command(self) -> str:
        """For the host's shell. What is to be done comes on standard input, where nobody else sees the token."""
        return f"{self.interpreter} -I -S {shlex.quote(self.path)}"

    @staticmethod
    def request(module: str, arguments: Mapping[str, Any]) -> bytes:
        """What the program reads."""
        asked = {"module": module.removeprefix(COLLECTION), "arguments": dict(arguments)}
        return json.dumps(asked).encode("utf-8", "surrogateescape")

    @staticmethod
    def answer(status: int, stdout: str, stderr: str) -> Mapping[str, Any] | None:
        """What the program wrote, in the shape of a module's result; None where the program is not there any more.

        Lines before it, as a login shell may print, are passed over. Raises RecursionError for what is nested too deep.
        """
        if status == NOT_THERE and not stdout.strip():
            return None
        for line in stdout.splitlines():
            if line.startswith("{"):
                try:
                    found = json.loads(line)
                except ValueError:
                    break
                return found if isinstance(found, dict) else {}
        why = "the program that stays on the host ended without a result"
        return {"failed": True, "msg": why, "module_stdout": stdout, "module_stderr": stderr, "rc": status}


class Executor(Protocol):
    """What an action plugin of Ansible has to execute something on its host."""

    def _is_pipelining_enabled(self, module_style: str) -> bool: ...

    def _compute_environment_string(self) -> str: ...

    def _low_level_execute_command(self, cmd: str, *, in_data: bytes) -> Mapping[str, Any]: ...

    def _execute_module(self, *, module_name: str, module_args: dict[str, Any], task_vars: Any) -> Any: ...


def executed(
    by: Executor, live: LivePass | None, host: str, module: str, arguments: Mapping[str, Any], task_vars: Any
) -> Any:
    """What a module of ours returns on a host.

    It is executed by the program that stays there, where there is one and it can be sent what it reads; else the module is
    sent. ``by`` is the action that wants it.
    """
    resident = Resident(*live.residents[host]) if live is not None and host in live.residents else None
    if resident is not None and by._is_pipelining_enabled("new"):
        command = f"{by._compute_environment_string()} {resident.command}".strip()
        done = by._low_level_execute_command(command, in_data=resident.request(module, arguments))
        reply = resident.answer(done["rc"], done["stdout"], done["stderr"])
        if reply is not None:
            return reply
    return by._execute_module(module_name=module, module_args=dict(arguments), task_vars=task_vars)


def step_task(live: LivePass, host: str, namespace: str, execution_name: Callable[[str], str]) -> HostTask | str:
    """What a host has to do in the step that is being executed; why not, where it has nothing to do.

    ``namespace`` is the network namespace from which a hypervisor reaches its guests; empty for its own network.
    ``execution_name`` maps the token of a session to the name that the hosts give to its execution. Raises PlanError where
    no session may begin.
    """
    if live.refusal:
        raise PlanError(f"No further session begins. {live.refusal}")
    if host in live.orders.hypervisors:
        return _observing(live, host, namespace)
    session = session_of(live.step, host) if live.step else None
    why = live.why_left_out(session) if session else RESTS
    return _end(live, session, host, execution_name) if session and not why else why


def claim_arguments(live: LivePass, host: str, state: str) -> dict[str, Any]:
    """Arguments of the module that claims a host (``state`` is present) or gives it back (absent)."""
    orders = live.orders
    return _claim(live, host) | {
        "state": state,
        "root": state == "present",
        "wait_seconds": orders.wait_seconds,
        # What such a session measures is collected afterwards, so the time is not lost.
        "orphan_seconds": orphan_seconds(orders.longest_session_seconds, orders.longest_run_seconds),
    }


def _claim(live: LivePass, host: str) -> dict[str, Any]:
    """For whom a host is held, and what it may forget because it has become part of a record."""
    orders = live.orders
    return {
        "sweep": live.plan.uid,
        "claim": orders.claim,
        "host": host,
        "owner": orders.owner + live.identity,
        "lease_seconds": orders.lease_seconds,
        "spool": orders.spool,
        "forget": sorted(live.recorded.get(host, ())),
    }


def _end(live: LivePass, session: Session, host: str, execution_name: Callable[[str], str]) -> HostTask:
    arguments = _end_arguments(live, session, host)
    watched = watched_in(session, arguments["observers"], live.orders.guests)
    execution = execution_name(arguments["token"])
    return HostTask(SESSION, arguments, lambda returned: session_reply(returned, arguments, execution, watched))


def _end_arguments(live: LivePass, session: Session, host: str) -> dict[str, Any]:
    orders, probe = live.orders, live.prepared[host]
    end = end_of(live.plan, session, host, orders.tool_ports, orders.ready_seconds, orders.user)
    return end | _claim(live, host) | _meeting(live, session) | {
        "boot_id": probe.get("boot_id") or "",
        "tool_version": probe["tools"][session.runs[0].benchmark]["version"],
        "tracer": probe["tracer"],
        "observers": observers_of(live, session) if side_of(session, host) == "server" else {},
    }  # fmt: skip


def _meeting(live: LivePass, session: Session) -> dict[str, Any]:
    """How those that take part in a session find each other, and how they trace."""
    orders = live.orders
    return {
        "control_port": orders.control_port,
        "token": live.token(live.step_index, session.server, session.client),
        "rendezvous_seconds": orders.rendezvous_seconds,
        "trace_mode": orders.trace_mode,
    }


def _observing(live: LivePass, hypervisor: str, namespace: str) -> HostTask | str:
    watches = [_watch(live, hypervisor, namespace, *observed) for observed in observed_here(live, hypervisor)]
    if not watches:
        return NOTHING_TO_OBSERVE
    guests = [watch["guest"] for watch in watches]
    # What could not be counted stands in the records of the runs, with the reason.
    return HostTask(OBSERVE, {"watches": watches}, lambda returned: observe_reply(returned, hypervisor, guests))


def _watch(
    live: LivePass, hypervisor: str, namespace: str, session: Session, side: Side, guest: str
) -> dict[str, Any]:
    return _meeting(live, session) | {
        "guest": guest,
        "side": side,
        "hypervisor": hypervisor,
        "selector": dict(live.orders.guests[guest].selector),
        "address": live.plan.hosts[session.server],
        "namespace": namespace,
        "limit_seconds": silence_seconds(session, live.orders.ready_seconds),
        "tracer": live.prepared[hypervisor]["tracer"],
    }


def observers_of(live: LivePass, session: Session) -> dict[Side, str]:
    """The sides of a session whose guests are observed, each with why it cannot be now (empty when it can)."""
    if not any(run.traced for run in session.runs):
        return {}
    sides = {side: live.orders.guests.get(getattr(session, side)) for side in SIDES}
    return {side: live.why_not_observing(guest.hypervisor) for side, guest in sides.items() if guest is not None}


def watched_in(session: Session, sides: Iterable[str], guests: Mapping[str, Guest]) -> dict[str, tuple[str, str]]:
    """Guest and hypervisor of each of some sides of a session."""
    return {side: (getattr(session, side), guests[getattr(session, side)].hypervisor) for side in sides}


def observed_here(live: LivePass, hypervisor: str) -> Iterable[tuple[Session, Side, str]]:
    """(session, side, guest) of what has to be observed on a hypervisor in the step that is being executed."""
    for session in live.step.sessions if live.step else ():
        if live.why_left_out(session):
            continue
        for side, why in observers_of(live, session).items():
            guest = getattr(session, side)
            if live.orders.guests[guest].hypervisor == hypervisor and not why:
                yield session, side, guest
