# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Execute this host's end of a session, where it has one in this step, or have a hypervisor observe."""

from __future__ import annotations

import os

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.pairbench.lab.plugins.module_utils._session.execution import execution_name
from ansible_collections.pairbench.lab.plugins.plugin_utils.controller.hand_over import end_with_controller
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution import live_pass
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.replies import answer, interpreter_facts
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.tasks import resident_of, step_task
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import PlanError


class ActionModule(ActionBase):
    """Calls the module that the pass has for the host in this step."""

    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        controller, host = os.getppid(), task_vars["inventory_hostname"]
        try:
            live = live_pass.required()
            task = step_task(live, host, task_vars.get("pairbench_observer_netns") or "", execution_name)
        except PlanError as error:
            raise AnsibleActionFail(str(error)) from None
        if isinstance(task, str):
            result.update(skipped=True, skip_reason=task)
            return result
        returned = answer(lambda: self._execute(task, resident_of(live, host), task_vars), host)
        end_with_controller(controller)
        result.update(task.read(returned) | interpreter_facts(returned))
        return result

    def _execute(self, task, resident, task_vars):
        """By the program that stays on the host, where there is one and it can be sent what it reads; else as a module."""
        if resident is not None and self._is_pipelining_enabled("new"):
            command = f"{self._compute_environment_string()} {resident.command}".strip()
            done = self._low_level_execute_command(command, in_data=resident.request(task))
            reply = resident.answer(done["rc"], done["stdout"], done["stderr"])
            if reply is not None:
                return reply
        return self._execute_module(module_name=task.module, module_args=dict(task.arguments), task_vars=task_vars)
