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
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.tasks import executed, step_task
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
        returned = answer(lambda: executed(self, live, host, task.module, task.arguments, task_vars), host)
        end_with_controller(controller)
        result.update(task.read(returned) | interpreter_facts(returned))
        return result
