"""From a plan to what the tasks need: for every step, what each host has to do in it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from .benchmarks import BENCHMARKS
from .host_settings import host_settings, require_cpus
from .model import Plan, Run, Session, Step

TOKEN_BYTES = 16


def step_tasks(
    plan: Plan,
    steps: Sequence[Step],
    ports: Mapping[str, int],
    ready_seconds: float,
    cpus: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """One entry per step, ready to be looped over.

    ``index`` is the position in ``steps``; ``title`` says in words what is being done; ``hosts`` maps every host
    of the step to the arguments of its end of the session. Each session has a fresh secret token. ``cpus`` are the
    CPUs of each host for pinned cases. Raises PlanError when a host of a pinned case has none.
    """
    require_cpus(steps, cpus or {})
    return [
        {
            "index": index,
            "title": step_title(plan, step),
            "hosts": _ends(plan, step, ports[step.benchmark], ready_seconds, cpus or {}),
        }
        for index, step in enumerate(steps)
    ]


def step_title(plan: Plan, step: Step) -> str:
    """For example ``iperf3, block 2 of 6, vm1 <- vm2, 2 runs``: server first, the arrow is who calls."""
    pairs = [f"{session.server} <- {session.client}" for session in step.sessions]
    named = ", ".join(pairs[:3]) + (f" and {len(pairs) - 3} more pairs" if len(pairs) > 3 else "")
    count = sum(len(session.runs) for session in step.sessions)
    return f"{step.benchmark}, block {step.block} of {plan.blocks}, {named}, {count} run{'s' if count != 1 else ''}"


def _ends(
    plan: Plan, step: Step, port: int, ready_seconds: float, cpus: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    ends: dict[str, dict[str, Any]] = {}
    for session in step.sessions:
        token = secrets.token_hex(TOKEN_BYTES)
        for role in ("server", "client"):
            ends[getattr(session, role)] = _end(plan, session, role, token, port, ready_seconds, cpus)
    return ends


def _end(
    plan: Plan,
    session: Session,
    role: str,
    token: str,
    port: int,
    ready_seconds: float,
    cpus: Mapping[str, str],
) -> dict[str, Any]:
    host, peer = (
        (session.server, session.client) if role == "server" else (session.client, session.server)
    )
    return {
        "role": role,
        "address": plan.hosts[host],
        "peer_address": plan.hosts[peer],
        "token": token,
        "benchmark": session.runs[0].benchmark,
        "runs": [
            _run(plan, run, role, port, ready_seconds) | host_settings(run, cpus.get(host, "")) for run in session.runs
        ],
    }


def _run(plan: Plan, run: Run, role: str, port: int, ready_seconds: float) -> dict[str, Any]:
    benchmark = BENCHMARKS[run.benchmark]
    commands = benchmark.commands(run.parameters, plan.hosts[run.server], plan.hosts[run.client], port)
    return {
        "run_id": run.run_id,
        "argv": list(commands.server if role == "server" else commands.client),
        "protocol": commands.protocol,
        "port": commands.port,
        "stop": commands.stop,
        "traced": run.traced,
        # The server waits for the client, so it may live longer: the client's limit is the one that is reported.
        "limit_seconds": benchmark.limit_seconds(run.parameters) + (ready_seconds if role == "server" else 0.0),
        "ready_seconds": ready_seconds,
    }


def ports_to_watch(steps: Sequence[Step], ports: Mapping[str, int], control_port: int) -> list[dict[str, Any]]:
    """The ports that must be free on every host of the plan, each once."""
    found = {("tcp", control_port)}
    for step in steps:
        for session in step.sessions:
            for run in session.runs:
                commands = BENCHMARKS[run.benchmark].commands(
                    run.parameters, "192.0.2.1", "192.0.2.2", ports[run.benchmark]
                )
                found.add((commands.protocol, commands.port))
    return [{"protocol": protocol, "port": port} for protocol, port in sorted(found)]


def version_problems(steps: Sequence[Step], versions: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Sentences about pairs whose two ends must not be used together.

    ``versions`` maps host to tool name to the tool's version line.
    """
    problems: list[str] = []
    for step in steps:
        for session in step.sessions:
            for run in session.runs:
                server = versions.get(run.server, {}).get(run.benchmark, "")
                client = versions.get(run.client, {}).get(run.benchmark, "")
                problem = BENCHMARKS[run.benchmark].version_problem(run.parameters, server, client)
                sentence = f"{run.server} and {run.client}: {problem}"
                if problem and sentence not in problems:
                    problems.append(sentence)
    return problems
