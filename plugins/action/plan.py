# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Plan a sweep on the controller: check every variable, store the plan, say what is still to be done."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks import BENCHMARKS
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.live_pass import require_conductor
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.opening import Asked, open_pass
from ansible_collections.pairbench.lab.plugins.plugin_utils.lab.play import Play
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import HELD, REFUSED
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import PlanError
from ansible_collections.pairbench.lab.plugins.plugin_utils.report.terminal import render_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.files import StorageError
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.lock import SweepHeld

ROLES = Path(__file__).resolve().parents[2] / "roles"
WHEN_HELD = (
    "Let that one end, choose another name with -e pairbench_sweep=NAME, or wait for it with -e "
    "pairbench_wait_seconds=SECONDS"
)


class ActionModule(ActionBase):
    """Reads the role variables of the play; touches no host."""

    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        try:
            result.update(self._plan(task_vars or {}))
        except (PlanError, StorageError) as error:
            result.update(failed=True, msg=f"Nothing was measured. {error}", refusal=REFUSED)
        except SweepHeld as error:
            result.update(failed=True, msg=f"Nothing was measured. {error}. {WHEN_HELD}", refusal=HELD)
        return result

    def _plan(self, task_vars):
        require_conductor()
        play = Play(task_vars["ansible_play_hosts_all"], task_vars["groups"], task_vars["hostvars"])
        rehearsal = bool(self._task.check_mode)
        opened = open_pass(self._asked(task_vars), play, task_vars["ansible_forks"], rehearsal, self._display.display)
        if rehearsal:
            everything = self._display.verbosity > 0
            self._display.display(render_plan(opened.plan, opened.left, everything=everything, drawn=opened.drawn))
        return opened.orders.to_json() | {"changed": opened.created}

    def _asked(self, task_vars):
        tools = {name: self._role_values(name, task_vars) for name in BENCHMARKS}
        return Asked(self._role_values("bench", task_vars), tools, self._role_values("bpftrace", task_vars))

    def _role_values(self, role, task_vars):
        """The variables of a role as the play has them, checked against the role's own argument spec."""
        path = ROLES / role / "meta" / "argument_specs.yml"
        options = self._loader.load_from_file(str(path))["argument_specs"]["main"]["options"]
        given = {name: self._templar.template(task_vars[name]) for name in options if name in task_vars}
        validation = ArgumentSpecValidator(options).validate(given)
        if validation.error_messages:
            raise PlanError("; ".join(validation.error_messages))
        return validation.validated_parameters
