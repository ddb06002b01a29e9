# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""List the steps of which something is left, in batches."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution import live_pass
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.ends import batches
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import PlanError


class ActionModule(ActionBase):
    """Runs on the controller only."""

    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        try:
            live = live_pass.required()
        except PlanError as error:
            raise AnsibleActionFail(str(error)) from None
        found = batches(live.plan, live.done, live.only, live.orders.lease_seconds)
        result.update(changed=False, batches=[batch.to_json() for batch in found])
        return result
