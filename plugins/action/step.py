# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Execute this host's end of a session, where it has one in this step."""

from __future__ import annotations

import os

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.pairbench.lab.plugins.module_utils._session.execution import execution_name
from ansible_collections.pairbench.lab.plugins.plugin_utils.controller.hand_over import end_with_controller
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution import live_pass
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.ends import end_of, session_of, silence_seconds
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.observers import (
    observed_here,
    observers_of,
    watched_in,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.replies import (
    answer,
    interpreter_facts,
    observe_reply,
    session_reply,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.lab.guests import Guest

SESSION = "pairbench.lab.session"
OBSERVE = "pairbench.lab.observe"


class ActionModule(ActionBase):
    """Reads the pass that the callback keeps; calls the session module on the host, or has a hypervisor observe."""

    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        controller = os.getppid()
        live = live_pass.current()
        if live is None:
            raise AnsibleActionFail("No sweep has been planned in this play: use the role pairbench.lab.bench")
        if live.refusal:
            raise AnsibleActionFail(f"No further session begins. {live.refusal}")
        host = task_vars["inventory_hostname"]
        if host in task_vars["_bench_plan"]["hypervisors"]:
            result.update(self._observe(live, host, task_vars))
            end_with_controller(controller)
            return result
        session = session_of(live.step, host) if live.step else None
        why = live.why_left_out(session) if session else "this host rests in this step"
        if why:
            result.update(skipped=True, skip_reason=why)
            return result
        arguments = _arguments(live, session, host, task_vars)
        watched = watched_in(session, arguments["observers"], _guests(task_vars))
        returned = self._ask(SESSION, arguments, host, task_vars)
        end_with_controller(controller)
        reply = session_reply(returned, arguments, execution_name(arguments["token"]), watched)
        result.update(reply | interpreter_facts(returned))
        return result

    def _observe(self, live, host, task_vars):
        watches = _watches(live, host, task_vars)
        if not watches:
            return {"skipped": True, "skip_reason": "no guest of this host is traced in this step"}
        returned = self._ask(OBSERVE, {"watches": watches}, host, task_vars)
        # What could not be counted stands in the records of the runs, with the reason.
        return observe_reply(returned, host, [watch["guest"] for watch in watches]) | interpreter_facts(returned)

    def _ask(self, module, arguments, host, task_vars):
        return answer(
            lambda: self._execute_module(module_name=module, module_args=arguments, task_vars=task_vars), host
        )


def _guests(task_vars):
    return {name: Guest(**guest) for name, guest in task_vars["_bench_plan"]["guests"].items()}


def _watches(live, hypervisor, task_vars):
    plan, guests = task_vars["_bench_plan"], _guests(task_vars)
    return [
        {
            "guest": guest,
            "side": side,
            "hypervisor": hypervisor,
            "selector": dict(guests[guest].selector),
            "address": live.plan.hosts[session.server],
            "control_port": plan["control_port"],
            "namespace": task_vars.get("pairbench_observer_netns") or "",
            "token": live.token(live.step_index, session.server, session.client),
            "rendezvous_seconds": plan["rendezvous_seconds"],
            "limit_seconds": silence_seconds(session, plan["ready_seconds"]),
            "tracer": task_vars["_bench_probe"]["tracer"],
            "trace_mode": plan["trace_mode"],
        }
        for session, side, guest in observed_here(live, hypervisor, guests)
    ]


def _arguments(live, session, host, task_vars):
    plan, probe = task_vars["_bench_plan"], task_vars["_bench_probe"]
    end = end_of(live.plan, session, host, plan["tool_ports"], plan["ready_seconds"], plan["user"])
    return end | {
        "host": host,
        "control_port": plan["control_port"],
        "token": live.token(live.step_index, session.server, session.client),
        "owner": plan["owner"] + live.identity,
        "sweep": plan["uid"],
        "claim": plan["claim"],
        "lease_seconds": plan["lease_seconds"],
        "boot_id": probe.get("boot_id") or "",
        "spool": plan["spool"],
        "forget": sorted(live.recorded.get(host, ())),
        "rendezvous_seconds": plan["rendezvous_seconds"],
        "tool_version": probe["tools"][session.runs[0].benchmark]["version"],
        "tracer": probe["tracer"],
        "trace_mode": plan["trace_mode"],
        "observers": observers_of(live, session, _guests(task_vars)) if host == session.server else {},
    }
