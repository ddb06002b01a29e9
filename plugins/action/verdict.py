# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Fail the play when anything that was planned is missing or invalid, and say what."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution import live_pass
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import PlanError
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.completeness import completeness_of


class ActionModule(ActionBase):
    """Reads the records on the controller."""

    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        try:
            live = live_pass.required()
            completeness = completeness_of(live.sweep_dir, live.only)
        except PlanError as error:
            raise AnsibleActionFail(str(error)) from None
        result.update(
            changed=False,
            failed=not completeness.complete,
            msg=completeness.sentence,
            valid=completeness.valid,
            planned=completeness.planned,
        )
        return result
