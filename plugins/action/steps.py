# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""List the steps of which something is left, in portions: Ansible's loops over files do not like to be long."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.pairbench.lab.plugins.plugin_utils import live_pass
from ansible_collections.pairbench.lab.plugins.plugin_utils.session_specs import step_titles

PORTION = 50


class ActionModule(ActionBase):
    """Runs on the controller only."""

    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        live = live_pass.current()
        only = task_vars["_bench_plan"]["only"]
        steps = [
            {"index": index, "title": title}
            for index, title in step_titles(live.plan, live.done, None if only is None else frozenset(only))
        ]
        portions = [steps[start : start + PORTION] for start in range(0, len(steps), PORTION)]
        result.update(changed=False, portions=portions)
        return result
