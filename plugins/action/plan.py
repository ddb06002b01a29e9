# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Plan a sweep on the controller: check every variable, store the plan, say what is still to be done."""

from __future__ import annotations

import os
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.pairbench.lab.plugins.plugin_utils.plan import (
    PlanError,
    estimated_seconds,
    make_plan,
    remaining,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.plan_store import load_or_create, store_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.records import completed
from ansible_collections.pairbench.lab.plugins.plugin_utils.session_specs import ports_to_watch, step_tasks
from ansible_collections.pairbench.lab.plugins.plugin_utils.settings import settings_from
from ansible_collections.pairbench.lab.plugins.plugin_utils.terminal import render_plan

ROLES = Path(__file__).resolve().parents[2] / "roles"
CALLBACK_MARK = "PAIRBENCH_SUMMARY_CALLBACK_PID"


class ActionModule(ActionBase):
    """Reads the role variables of the play; touches no host."""

    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        try:
            result.update(self._plan(task_vars or {}))
        except PlanError as error:
            raise AnsibleActionFail(f"Nothing was measured. {error}") from error
        return result

    def _plan(self, task_vars):
        _require_callback()
        bench = self._role_values("bench", task_vars)
        tools = {name: self._role_values(name, task_vars) for name in ("iperf3", "sockperf")}
        tracer = self._role_values("bpftrace", task_vars)
        settings = settings_from(bench, tools, tracer["bpftrace_mode"])
        hosts = _addresses(task_vars)
        sweep_dir = Path(bench["pairbench_results"]).absolute() / bench["pairbench_sweep"]

        def create(seed, blocks):
            return make_plan(
                sweep=bench["pairbench_sweep"],
                configuration=bench["pairbench_configuration"],
                hosts=hosts,
                cases=settings.cases,
                directions=settings.directions,
                blocks=blocks,
                seed=seed,
                mode=bench["pairbench_mode"],
                trace=bench["pairbench_trace"],
                pairs=[tuple(pair) for pair in bench["pairbench_pairs"]] or None,
                settings=settings.identity,
            )

        plan, created = load_or_create(
            sweep_dir,
            create,
            blocks=bench["pairbench_blocks"],
            seed=bench["pairbench_seed"],
        )
        _require_forks(plan, task_vars["ansible_forks"])
        if created and not self._task.check_mode:
            store_plan(sweep_dir, plan)
        steps = remaining(plan, completed(sweep_dir))
        if self._task.check_mode:
            self._display.display(render_plan(plan, steps))
        return {
            "changed": created,
            "sweep": plan.sweep,
            "sweep_dir": str(sweep_dir),
            "hosts": _hosts_of(plan, steps),
            "benchmarks": sorted({step.benchmark for step in steps}),
            "trace": bench["pairbench_trace"],
            "trace_mode": settings.trace_mode,
            "trace_required": tracer["bpftrace_required"],
            "control_port": bench["pairbench_control_port"],
            "rendezvous_seconds": bench["pairbench_rendezvous_seconds"],
            "ports": ports_to_watch(steps, settings.ports, bench["pairbench_control_port"]),
            "estimated_seconds": estimated_seconds(steps),
            "steps": step_tasks(plan, steps, settings.ports, bench["pairbench_ready_seconds"]),
        }

    def _role_values(self, role, task_vars):
        """The variables of a role as the play has them, checked against the role's own argument spec."""
        path = ROLES / role / "meta" / "argument_specs.yml"
        options = self._loader.load_from_file(str(path))["argument_specs"]["main"]["options"]
        given = {name: self._templar.template(task_vars[name]) for name in options if name in task_vars}
        validation = ArgumentSpecValidator(options).validate(given)
        if validation.error_messages:
            raise PlanError("; ".join(validation.error_messages))
        return validation.validated_parameters


def _require_callback():
    if os.environ.get(CALLBACK_MARK) not in (str(os.getpid()), str(os.getppid())):
        raise PlanError(
            "The callback that writes the records is off. Set callbacks_enabled = pairbench.lab.summary in "
            "ansible.cfg, or ANSIBLE_CALLBACKS_ENABLED=pairbench.lab.summary in the environment"
        )


def _addresses(task_vars):
    hosts, missing = {}, []
    for host in task_vars["ansible_play_hosts_all"]:
        variables = task_vars["hostvars"][host]
        address = variables.get("pairbench_address") or variables.get("ansible_host")
        if address:
            hosts[host] = str(address)
        else:
            missing.append(host)
    if missing:
        raise PlanError(
            f"{', '.join(missing)}: no pairbench_address. Give each host its data-plane address in the inventory"
        )
    return hosts


def _require_forks(plan, forks):
    needed = max((2 * len(step.sessions) for step in plan.steps), default=0)
    if forks < needed:
        raise PlanError(
            f"forks is {forks}, but a round has {needed // 2} pairs whose {needed} ends must run at the same time: "
            f"use --forks {needed} (or forks = {needed} in ansible.cfg)"
        )


def _hosts_of(plan, steps):
    names = {name for step in steps for session in step.sessions for name in (session.server, session.client)}
    return {host: address for host, address in plan.hosts.items() if host in names}
