# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Go on only while this controller holds its sweep; the callback takes the lock when the plan is there."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution import live_pass
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import HELD, REFUSED


class ActionModule(ActionBase):
    """Runs on the controller only."""

    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        live = live_pass.current()
        refusal = live.refusal if live else "the callback pairbench.lab.summary is off"
        result.update(changed=False, failed=bool(refusal))
        if refusal:
            result["msg"] = f"Nothing was measured. {refusal}"
            result["refusal"] = HELD if live and live.held else REFUSED
        return result
