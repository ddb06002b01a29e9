# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""List the steps of which something is left, in batches."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution import live_pass
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.ends import batches


class ActionModule(ActionBase):
    """Runs on the controller only."""

    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        live, plan = live_pass.current(), task_vars["_bench_plan"]
        only = None if plan["only"] is None else frozenset(plan["only"])
        result.update(
            changed=False,
            batches=[
                {"renew": batch.renew, "steps": [{"index": index, "title": title} for index, title in batch.steps]}
                for batch in batches(live.plan, live.done, only, plan["lease_seconds"])
            ],
        )
        return result
