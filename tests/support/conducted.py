"""A pass over a small sweep in a folder, conducted without Ansible: real captures, a clock set by hand."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.pairbench.lab.plugins.plugin_utils.controller.watchdog import Watchdog
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.conductor import CLAIM, PROBE, STEP, Conductor, Voice
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.ends import session_of, side_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec, Plan, Session
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import make_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import store_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.report.terminal import render_sweep
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.sweep_folder import SweepFolder
from clone import CAPTURES
from passes import orders
from record_files import document_in

CAPTURE = json.loads((CAPTURES / "records" / "iperf3_tcp_untraced.json").read_text(encoding="utf-8"))
HOSTS = {name: f"10.77.77.{number}" for number, name in enumerate("abcd", 1)}


def plan(blocks: int = 1, hosts: Mapping[str, str] = HOSTS) -> Plan:
    """As many pairs at a time as there can be (two of the usual hosts), each with one run that the capture is of."""
    case = CaseSpec("iperf3", "tcp", CAPTURE["run"]["parameters"], 5.0)
    return make_plan(
        sweep="s", configuration="c", hosts=dict(hosts), cases={"iperf3": [case]}, directions={"iperf3": "first_serves"},
        blocks=blocks, seed=1, trace=False,
    )  # fmt: skip


class Deaf(Watchdog):
    """A watchdog that only remembers what it was told."""

    def __init__(self) -> None:
        super().__init__(lambda _host, _task: None, lambda: None)
        self.begun: list[tuple[str, str, str, float]] = []
        self.hastened: list[tuple[str, float]] = []

    def begin(self, host: str, task: str, what: str, seconds: float) -> None:
        self.begun.append((host, task, what, seconds))

    def hasten(self, host: str, seconds: float) -> None:
        self.hastened.append((host, seconds))


class Conducted:
    """A conductor with what it said and what was asked of the watchdog."""

    def __init__(self, sweep_dir: Path, blocks: int = 1, hosts: Mapping[str, str] = HOSTS, **changes: Any) -> None:
        self.plan = plan(blocks, hosts)
        self.folder = SweepFolder(sweep_dir)
        if not self.folder.has_plan:
            store_plan(sweep_dir, self.plan)
        self.said: list[str] = []
        self.warned: list[str] = []
        self.complained: list[str] = []
        self.now = 1000.0
        self.watchdog = Deaf()
        voice = Voice(self.said.append, self.warned.append, self.complained.append)
        self.orders = orders(sweep_dir=sweep_dir, **changes)
        self.conductor = Conductor(self.orders, voice, self.watchdog, render_sweep, lambda: self.now)
        self.live = self.conductor.live

    def begin(self, step: int | None = 0) -> Conducted:
        """Begin with every host prepared, and with a step."""
        self.conductor.begin()
        for host in self.plan.hosts:
            self.conductor.take(host, PROBE, {"fingerprint": {"kernel": "6"}, "tools": {}, "tracer": {}, "problems": []})
        if step is not None:
            self.conductor.begin_step(step)
        return self

    def session(self, host: str = "a") -> Session:
        """The session of a host in this step."""
        assert self.live.step is not None
        found = session_of(self.live.step, host)
        assert found is not None
        return found

    def other(self, host: str = "a") -> str:
        """With whom a host is measured in this step."""
        session = self.session(host)
        return session.client if host == session.server else session.server

    def end(self, host: str, execution: str = "0123456789abcdef") -> dict[str, Any]:
        """What a host measured in the run of its session."""
        return copy.deepcopy(CAPTURE[side_of(self.session(host), host)]) | {"host": host, "execution": execution}

    def reply(self, host: str, **changes: Any) -> None:
        """A host came back from its step, with its end where nothing else is said."""
        [run] = self.session(host).runs
        values = {
            "ends": {run.run_id: self.end(host)}, "malformed": {}, "met": True, "forgotten": [], "spool_problem": None,
            "problem": None, "error": None, "ignored": [],
        }  # fmt: skip
        no_answer = changes.pop("no_answer", "")
        self.conductor.take(host, STEP, values | changes, no_answer)

    def spool(self, host: str, execution: str = "fedcba9876543210") -> dict[str, Any]:
        """Have a host say at its claim that it kept its end of its run; the entry."""
        [run] = self.session(host).runs
        role = side_of(self.session(host), host)
        entry = {"name": f"{run.run_id}.{execution}.{role}.json", "run_id": run.run_id, "role": role,
                 "execution": execution, "end": self.end(host, execution)}  # fmt: skip
        self.conductor.take(host, CLAIM, {"spooled": [entry], "forgotten": [], "ignored": []})
        return entry

    def record(self, host: str = "a", attempt: int = 1) -> dict[str, Any]:
        """The record of the run of a host's session."""
        [run] = self.session(host).runs
        document: dict[str, Any] = document_in(self.folder.record(run.run_id, attempt))
        return document
