# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Look at what every host said of itself and refuse to start while something stands in the way."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.pairbench.lab.plugins.plugin_utils.session_specs import version_problems
from ansible_collections.pairbench.lab.plugins.plugin_utils.steps import remaining_steps


class ActionModule(ActionBase):
    """Reads ``_bench_probe`` of every host of the plan. Runs on the controller only."""

    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        plan = task_vars["_bench_plan"]
        probes = {
            host: task_vars["hostvars"][host].get("_bench_probe", {}) for host in task_vars["ansible_play_hosts_all"]
        }
        problems, untraced = [], []
        versions = {}
        for host, probe in probes.items():
            if host not in plan["hosts"]:
                continue
            problems += [f"{host}: {problem}" for problem in probe.get("problems", ())]
            tools = probe.get("tools", {})
            versions[host] = {name: (tool or {}).get("version", "") for name, tool in tools.items()}
            problems += [
                f"{host}: {name} is not installed and {name}_install is false; install it or allow it"
                for name in plan["benchmarks"]
                if "tools" in probe and tools.get(name) is None
            ]
            tracer = probe.get("tracer", {})
            if plan["trace"] and not tracer.get("available"):
                untraced.append(f"{host}: {tracer.get('reason', 'the host did not answer')}")
        problems += version_problems(remaining_steps(plan["sweep_dir"]), versions)
        result.update(changed=False, untraced=untraced)
        if untraced and plan["trace_required"]:
            problems += [f"{sentence} (bpftrace_required is true)" for sentence in untraced]
        if problems:
            result.update(failed=True, msg="Nothing was measured. " + "\n".join(problems))
        for sentence in untraced:
            self._display.warning(f"{sentence}. Its runs go on untraced: no system calls, no cost of tracing.")
        return result
