# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Fail the play when anything that was planned is missing or invalid, and say what."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import PlanError
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.completeness import completeness_of


class ActionModule(ActionBase):
    """Reads the records on the controller."""

    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        only = self._task.args.get("only")  # nothing is an empty text where ansible-core is older than 2.19
        try:
            completeness = completeness_of(self._task.args["sweep_dir"], frozenset(only) if only else None)
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
