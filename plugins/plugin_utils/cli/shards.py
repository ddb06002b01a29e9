"""``pairbench shards`` and ``pairbench merge``: one plan, several controllers."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ..model import Plan
from ..plain_text import printable
from ..planning.plan import PlanError, widest_step
from ..planning.steps import PlannedSteps
from ..planning.stored import load_plan, store_new
from ..records.reading import record_files
from ..report.terminal import LONGEST_LINE
from ..storage.files import shown_path
from ..storage.lock import SweepHeld
from ..sweeps.merge import merge
from ..sweeps.shards import Job, Stage, in_stages, stages_of
from ..tables.results import load_results
from ..tables.tables import make_tables, write_tables
from ..validity.completeness import completeness_of

PLAYBOOK = "pairbench.lab.bench"


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-commands to the console script."""
    shards = commands.add_parser("shards", help="share a stored plan among several controllers, in stages")
    shards.add_argument("sweep", metavar="SWEEP_DIR", type=Path, help="results/<sweep>")
    shards.add_argument("--workers", type=int, required=True, metavar="N", help="controllers that work at once")
    shards.add_argument("--json", action="store_true", help="for a workflow generator")
    shards.set_defaults(command=_shards)
    together = commands.add_parser("merge", help="bring the records of several controllers together, and build the tables")
    together.add_argument("target", metavar="SWEEP_DIR", type=Path, help="where they go; may be new")
    together.add_argument("sources", metavar="SWEEP_DIR", type=Path, nargs="+", help="where they come from")
    together.set_defaults(command=_merge)


def _shards(arguments: argparse.Namespace) -> int:
    plan = load_plan(arguments.sweep)
    stages = stages_of(plan, arguments.workers)
    _arrange(arguments.sweep, plan, stages)
    if arguments.json:
        jobs = [[asdict(job) for job in stage] for stage in stages]
        print(json.dumps({"sweep": plan.sweep, "uid": plan.uid, "stages": jobs}, indent=1))
        return 0
    print(f"{_many(len(plan.hosts), 'host')}, {_many(arguments.workers, 'worker')}, {_many(len(stages), 'stage')}. A stage "
          f"begins when every worker has ended the one before and their records are in {arguments.sweep} (pairbench merge).")
    print("To each command belong the inventory and the variables with which the plan was made.")
    for number, stage in enumerate(stages, 1):
        print(f"Stage {number}: {_size(stage)}")
        for job in stage:
            print(f"  worker {job.worker}, {_many(job.pairs, 'pair')}: {_command(plan, job)}")
    return 0


def _arrange(sweep_dir: Path, plan: Plan, stages: Sequence[Stage]) -> None:
    """Store the plan with the rounds of these stages, as long as nothing has been measured."""
    problems: list[str] = []
    if record_files(sweep_dir, problems) or problems or not isinstance(plan.steps, PlannedSteps):
        return
    try:
        store_new(sweep_dir, in_stages(plan, stages), lambda: (plan, False))
    except SweepHeld as error:
        raise PlanError(f"{error}: share its plan before anything is measured") from error


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _size(stage: Stage) -> str:
    hosts, pairs = sum(len(job.hosts) for job in stage), sum(job.pairs for job in stage)
    return f"{_many(len(stage), 'worker')}, {_many(hosts, 'host')}, {_many(pairs, 'pair')}"


def _command(plan: Plan, job: Job) -> str:
    given = {"pairbench_sweep": plan.sweep, "pairbench_blocks": plan.blocks, "pairbench_shard": job.worker}
    extra = [item for name, value in given.items() for item in ("-e", f"{name}={value}")]
    forks = str(2 * widest_step(plan, frozenset(job.hosts)))
    return shlex.join(["ansible-playbook", PLAYBOOK, "--limit", ",".join(job.hosts), "--forks", forks, *extra])


def _merge(arguments: argparse.Namespace) -> int:
    done = merge(arguments.target, arguments.sources)
    for part in done:
        print(f"{shown_path(part.source)}: {part.records} records taken")
        for problem in part.problems:
            print(f"  {printable(problem, LONGEST_LINE)}")
    write_tables(arguments.target, make_tables(load_results(arguments.target)))
    completeness = completeness_of(arguments.target)
    print(f"{shown_path(arguments.target)}: {printable(completeness.sentence, LONGEST_LINE)}")
    return 0 if completeness.complete else 1
