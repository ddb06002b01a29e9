# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Look at what every host said of itself and refuse to start while something stands in the way."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution import live_pass
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.preflight import look_at
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import REFUSED
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import PlanError


class ActionModule(ActionBase):
    """Runs on the controller only."""

    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        try:
            found = look_at(live_pass.required())
        except PlanError as error:
            raise AnsibleActionFail(str(error)) from None
        result.update(changed=False, untraced=list(found.untraced))
        if found.refusal:
            result.update(failed=True, msg=found.refusal, refusal=REFUSED)
        for sentence in found.untraced:
            self._display.warning(f"{sentence}. Its runs go on untraced: no system calls, no cost of tracing.")
        return result
