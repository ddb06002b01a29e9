"""Passes of a sweep that only pretend to measure, for tests of the loop over them."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec, Judgement, Plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import make_plan, planned_runs
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import load_plan, store_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.reading import stored_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.sweep_folder import SweepFolder
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.asking import remember
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.judged import judged_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps.playbook import PassResult


def plan(blocks: int = 2, hosts: int = 3) -> Plan:
    return make_plan(
        sweep="s", configuration="c", hosts={f"h{n}": f"10.0.0.{n}" for n in range(1, hosts + 1)},
        cases={"iperf3": [CaseSpec("iperf3", "case", {}, 1.0)]}, directions={"iperf3": "first_serves"},
        blocks=blocks, seed=1, trace=False,
    )


def finish(sweep_dir: Path, run_ids: list[str]) -> None:
    """What the summary callback leaves of each run, as far as this asks for it."""
    (sweep_dir / "records").mkdir(exist_ok=True)
    runs = {run.run_id: vars(run) for run in planned_runs(load_plan(sweep_dir))}
    written = []
    for run_id in run_ids:
        path = SweepFolder(sweep_dir).record(run_id, 1)
        path.write_text("{}", encoding="utf-8")
        stored = stored_record({"run": runs[run_id], "attempt": 1}, "")
        written.append((path, stored, replace(judged_record(stored), judgement=Judgement("valid"))))
    remember(sweep_dir, written)


class Passes:
    """Passes of a playbook that measures everything but the pairs of hosts that are away.

    ``blocks`` says which block each pass was for, ``stop_at`` when the last one had to be stopped.
    """

    def __init__(self, sweep_dir: Path) -> None:
        self.sweep_dir = sweep_dir
        self.away = ""
        self.blocks: list[int] = []
        self.takes = 0.0
        self.refuses: PassResult | None = None
        self.stop_at: float | None = None

    def __call__(self, block: int, log: Path) -> Passes:
        self.log = log
        self.blocks.append(block)
        return self

    def run(self, stop_at: float | None = None) -> PassResult:
        self.stop_at = stop_at
        time.sleep(self.takes)
        return self.refuses or self._measure()

    def stop(self, number: int) -> None:
        """These passes end by themselves."""

    def _measure(self) -> PassResult:
        had = load_plan(self.sweep_dir).blocks if (self.sweep_dir / "plan.json").exists() else 0
        made = plan(blocks=max(self.blocks[-1], had))
        store_plan(self.sweep_dir, made)
        away = set(self.away.split())
        finish(self.sweep_dir, [run.run_id for run in planned_runs(made) if not away & {run.server, run.client}])
        return PassResult(2 if self.away else 0, "", (), self.log)
