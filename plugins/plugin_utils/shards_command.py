"""``pairbench shards`` and ``pairbench merge``: one plan, several controllers."""

from __future__ import annotations

import argparse
import json
import shlex
from dataclasses import asdict
from pathlib import Path

from .merge import merge
from .plan_store import load_plan
from .shards import Job, Stage, stages_of
from .tables import write_tables
from .verdict import verdict_of

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
    if arguments.json:
        jobs = [[asdict(job) for job in stage] for stage in stages]
        print(json.dumps({"sweep": plan.sweep, "uid": plan.uid, "stages": jobs}, indent=1))
        return 0
    print(f"{len(plan.hosts)} hosts, {arguments.workers} workers, {len(stages)} stages. A stage begins when every worker "
          f"has ended the one before and their records are in {arguments.sweep} (pairbench merge).")  # fmt: skip
    for number, stage in enumerate(stages, 1):
        print(f"Stage {number}: {_size(stage)}")
        for job in stage:
            print(f"  worker {job.worker}, {job.pairs} pairs: {_command(plan.sweep, plan.blocks, job)}")
    return 0


def _size(stage: Stage) -> str:
    return f"{len(stage)} workers, {sum(len(job.hosts) for job in stage)} hosts, {sum(job.pairs for job in stage)} pairs"


def _command(sweep: str, blocks: int, job: Job) -> str:
    given = {"pairbench_sweep": sweep, "pairbench_blocks": blocks, "pairbench_shard": job.worker}
    extra = [item for name, value in given.items() for item in ("-e", f"{name}={value}")]
    return shlex.join(["ansible-playbook", PLAYBOOK, "--limit", ",".join(job.hosts), *extra])


def _merge(arguments: argparse.Namespace) -> int:
    done = merge(arguments.target, arguments.sources)
    for part in done:
        print(f"{part.source}: {part.records} records taken")
        for problem in part.problems:
            print(f"  {problem}")
    write_tables(arguments.target)
    verdict = verdict_of(arguments.target)
    print(f"{arguments.target}: {verdict.sentence}")
    return 0 if verdict.complete else 1
