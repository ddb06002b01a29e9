# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Go on only while this controller holds its sweep; the callback takes the lock when the plan is there."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution import live_pass


class ActionModule(ActionBase):
    """Runs on the controller only."""

    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        why, refusal = live_pass.refusal_now()
        result.update(changed=False, failed=bool(why))
        if why:
            result.update(msg=f"Nothing was measured. {why}", refusal=refusal)
        return result
