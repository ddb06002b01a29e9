# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Claim this host for the sweep that is being executed, or give it back."""

from __future__ import annotations

import os

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.pairbench.lab.plugins.plugin_utils.controller.hand_over import end_with_controller
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution import live_pass
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.ends import orphan_seconds
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.replies import answer, claim_reply, interpreter_facts


class ActionModule(ActionBase):
    """Says to the module of the same name what the plan and the pass know."""

    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        live = live_pass.current()
        if live is None:
            raise AnsibleActionFail("No sweep has been planned in this play: use the role pairbench.lab.bench")
        host, plan = task_vars["inventory_hostname"], task_vars["_bench_plan"]
        state = self._task.args.get("state", "present")
        if state == "present" and host in live.lost:
            result.update(skipped=True, skip_reason=f"the host fell away: {live.lost[host]}")
            return result
        arguments = {
            "state": state,
            "sweep": plan["uid"],
            "claim": plan["claim"],
            "host": host,
            "owner": plan["owner"] + live.identity,
            "lease_seconds": plan["lease_seconds"],
            "wait_seconds": plan["wait_seconds"],
            # What such a session measures is collected afterwards, so the time is not lost.
            "orphan_seconds": orphan_seconds(plan["longest_session_seconds"], plan["longest_run_seconds"]),
            "spool": plan["spool"],
            "forget": sorted(live.recorded.get(host, ())),
        }
        controller = os.getppid()
        returned = answer(
            lambda: self._execute_module(
                module_name="pairbench.lab.claim", module_args=arguments, task_vars=task_vars
            ),
            host,
        )
        end_with_controller(controller)
        result.update(
            _cut_off(returned)
            or claim_reply(returned, host, live.plan, arguments["forget"]) | interpreter_facts(returned)
        )
        return result


def _cut_off(returned):
    """The result where the connection was killed, as the watchdog does at the deadline: nothing was said of the host."""
    if returned.get("failed") and isinstance(returned.get("rc"), int) and returned["rc"] < 0:
        return {"unreachable": True, "msg": f"the connection was ended by signal {-returned['rc']}"}
    return {}
