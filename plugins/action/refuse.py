# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Fail for a host that cannot be prepared; a host that dropped out while it was prepared is only left out."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution import live_pass


class ActionModule(ActionBase):
    """Runs on the controller only."""

    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        host, live = task_vars["inventory_hostname"], live_pass.current()
        if live is not None and host in live.lost:
            result.update(skipped=True, skip_reason=f"the host fell away: {live.lost[host]}")
        else:
            result.update(failed=True, msg=self._task.args["msg"])
        return result
