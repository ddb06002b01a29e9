# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Have a host say what it is and can do, and pass on only what is that."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks import make_processes, version_arguments
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution import live_pass
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.replies import answer, interpreter_facts, probe_reply
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.tasks import executed

PROBE = "pairbench.lab.probe"


class ActionModule(ActionBase):
    """Calls the module of the same name with the arguments of the task."""

    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        host, tools = task_vars["inventory_hostname"], self._task.args.get("tools", [])
        arguments = {"version_arguments": version_arguments(tools), "family": make_processes(tools)} | self._task.args
        live = None if self._task.check_mode else live_pass.current()
        returned = answer(lambda: executed(self, live, host, PROBE, arguments, task_vars), host)
        result.update(probe_reply(returned, host, tools, self._task.args.get("trace", True)) | interpreter_facts(returned))
        return result
