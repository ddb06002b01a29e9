"""``pairbench shards``: share one plan among several controllers, in stages."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from ..formatting import counted
from ..model import Plan
from ..planning.plan import PlanError, widest_step
from ..planning.stored import load_plan, store_new
from ..records.reading import record_files
from ..storage.lock import SweepHeld
from ..sweeps.playbook import PLAYBOOK
from ..sweeps.shards import Job, Stage, in_stages, stages_of
from .console import WELL


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command to the console script."""
    shards = commands.add_parser("shards", help="share a stored plan among several controllers, in stages")
    shards.add_argument("sweep", metavar="SWEEP_DIR", type=Path, help="results/<sweep>")
    shards.add_argument("--workers", type=int, required=True, metavar="N", help="controllers that work at once")
    shards.add_argument("--json", action="store_true", help="for a workflow generator")
    shards.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the sub-command; its exit status."""
    plan = load_plan(arguments.sweep)
    stages = stages_of(plan, arguments.workers)
    _arrange(arguments.sweep, plan, stages)
    for line in [_document(plan, stages)] if arguments.json else _sheet(arguments, plan, stages):
        print(line)
    return WELL


def _document(plan: Plan, stages: Sequence[Stage]) -> str:
    jobs = [[asdict(job) for job in stage] for stage in stages]
    return json.dumps({"sweep": plan.sweep, "uid": plan.uid, "stages": jobs}, indent=1)


def _sheet(arguments: argparse.Namespace, plan: Plan, stages: Sequence[Stage]) -> Iterator[str]:
    sizes = (counted(len(plan.hosts), "host"), counted(arguments.workers, "worker"), counted(len(stages), "stage"))
    yield (f"{', '.join(sizes)}. A stage begins when every worker has ended the one before and their records are in "
           f"{arguments.sweep} (pairbench merge).")
    yield "To each command belong the inventory and the variables with which the plan was made."
    for number, stage in enumerate(stages, 1):
        yield f"Stage {number}: {_size(stage)}"
        for job in stage:
            yield f"  worker {job.worker}, {counted(job.pairs, 'pair')}: {_command(plan, job)}"


def _arrange(sweep_dir: Path, plan: Plan, stages: Sequence[Stage]) -> None:
    """Store the plan with the rounds of these stages, as long as nothing has been measured."""
    problems: list[str] = []
    if record_files(sweep_dir, problems) or problems:
        return
    try:
        store_new(sweep_dir, in_stages(plan, stages), lambda: (plan, False))
    except SweepHeld as error:
        raise PlanError(f"{error}: share its plan before anything is measured") from error


def _size(stage: Stage) -> str:
    hosts, pairs = sum(len(job.hosts) for job in stage), sum(job.pairs for job in stage)
    return f"{counted(len(stage), 'worker')}, {counted(hosts, 'host')}, {counted(pairs, 'pair')}"


def _command(plan: Plan, job: Job) -> str:
    given = {"pairbench_sweep": plan.sweep, "pairbench_blocks": plan.blocks, "pairbench_shard": job.worker}
    extra = [item for name, value in given.items() for item in ("-e", f"{name}={value}")]
    forks = str(2 * widest_step(plan, frozenset(job.hosts)))
    return shlex.join(["ansible-playbook", PLAYBOOK, "--limit", ",".join(job.hosts), "--forks", forks, *extra])
