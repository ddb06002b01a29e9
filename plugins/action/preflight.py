# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Look at what every host said of itself and refuse to start while something stands in the way."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution import live_pass
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.ends import version_problems
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import REFUSED
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import cases_of, directed_pairs


class ActionModule(ActionBase):
    """Reads ``_bench_probe`` of every host of the plan. Runs on the controller only."""

    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        plan = task_vars["_bench_plan"]
        probes = _probes(task_vars, plan["hosts"])
        problems, untraced = [], []
        versions = {}
        if len(probes) < 2:
            away = sorted(set(plan["hosts"]) - set(probes))
            problems.append(f"fewer than two hosts answered; these did not: {', '.join(away)}")
        for host, probe in probes.items():
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
        problems += _version_problems(versions)
        result.update(changed=False, untraced=untraced)
        if untraced and plan["trace_required"]:
            problems += [f"{sentence} (bpftrace_required is true)" for sentence in untraced]
        if problems:
            result.update(failed=True, msg="Nothing was measured. " + "\n".join(problems), refusal=REFUSED)
        for sentence in untraced:
            self._display.warning(f"{sentence}. Its runs go on untraced: no system calls, no cost of tracing.")
        return result


def _probes(task_vars, hosts):
    """What the hosts said of themselves; those that were not reached are not among them."""
    found = {host: task_vars["hostvars"][host].get("_bench_probe") for host in hosts}
    silent = ("failed", "unreachable", "malformed")
    return {host: probe for host, probe in found.items() if probe and not any(probe.get(word) for word in silent)}


def _version_problems(versions):
    """Of the pairs whose two hosts take part in this pass."""
    plan = live_pass.current().plan
    pairs = [item for item in sorted(directed_pairs(plan)) if item[1] in versions and item[2] in versions]
    return version_problems(pairs, cases_of(plan), versions)
