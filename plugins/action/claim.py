# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Claim this host for the sweep that is being executed, or give it back."""

from __future__ import annotations

import os

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.pairbench.lab.plugins.plugin_utils.controller.hand_over import end_with_controller
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution import live_pass
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.replies import (
    answer,
    claim_reply,
    cut_off,
    interpreter_facts,
    not_run,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.tasks import claim_arguments, executed
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import PlanError

CLAIM = "pairbench.lab.claim"


class ActionModule(ActionBase):
    """Says to the module of the same name what the pass knows."""

    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        controller, host = os.getppid(), task_vars["inventory_hostname"]
        state = self._task.args.get("state", "present")
        try:
            live = live_pass.required()
        except PlanError as error:
            raise AnsibleActionFail(str(error)) from None
        why = live.why_not_claimed(host) if state == "present" else ""
        if why:
            result.update(skipped=True, skip_reason=why)
            return result
        arguments = claim_arguments(live, host, state)
        returned = answer(lambda: self._reach(live, host, arguments, task_vars), host)
        end_with_controller(controller)
        reply = claim_reply(returned, host, live.plan, arguments["forget"])
        interpreter = {"interpreter": (self._used_interpreter or "").removeprefix("#!").strip()}
        result.update(cut_off(returned) or not_run(returned) or reply | interpreter | interpreter_facts(returned))
        return result

    def _reach(self, live, host, arguments, task_vars):
        """The first word with the host in a pass: whatever Ansible itself has against it, the host is away."""
        try:
            return executed(self, live, host, CLAIM, arguments, task_vars)
        except AnsibleError as error:
            raise AnsibleConnectionFailure(str(error)) from error
