"""The plan on disk, and what may change under one sweep name."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from .files import make_directory, write_json
from .model import SCHEMA_VERSION, CaseSpec, Plan, Run, Session, Step
from .plan import PlanError
from .planned_steps import PlannedSteps, Round
from .records import HOSTS
from .schedule import Pair
from .sweep_lock import SweepLock

PLAN_FILE = "plan.json"
LARGEST_SEED = 2**31


def load_plan(sweep_dir: Path) -> Plan:
    """The stored plan of a sweep. Raises PlanError when there is none or it cannot be read."""
    path = sweep_dir / PLAN_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return plan_from_json(document)
    except FileNotFoundError:
        raise PlanError(f"there is no sweep in {sweep_dir}: {PLAN_FILE} is missing") from None
    except (KeyError, TypeError, ValueError) as error:
        raise PlanError(f"{path} cannot be read as a plan ({error}): restore it or move the folder away") from error


def stored_hosts(sweep_dir: Path) -> dict[str, str]:
    """Hosts of the stored plan with their addresses; none when there is no plan. Raises PlanError."""
    return dict(load_plan(sweep_dir).hosts) if (sweep_dir / PLAN_FILE).exists() else {}


def store_plan(sweep_dir: Path, plan: Plan) -> None:
    """Write the plan whole. Raises StorageError."""
    plain = {item.name: getattr(plan, item.name) for item in fields(plan) if item.name != "steps"}
    plain["hosts"] = list(plan.hosts.items())  # in inventory order; the keys of an object would be sorted
    if isinstance(plan.steps, PlannedSteps):
        plain["design"] = _design(plan.steps, list(plan.hosts))
    else:
        plain["steps"] = [asdict(step) for step in plan.steps]
    write_json(sweep_dir / PLAN_FILE, {"schema": SCHEMA_VERSION} | plain)


def withdraw_plan(sweep_dir: Path) -> None:
    """Remove a plan of which nothing has begun, with what the hosts said of themselves for it."""
    for path in (sweep_dir / PLAN_FILE, *(sweep_dir / HOSTS).glob("*.json")):
        path.unlink(missing_ok=True)


def plan_from_json(document: Mapping[str, Any]) -> Plan:
    """A plan from its JSON document. Raises KeyError, TypeError or ValueError."""
    if document["schema"] != SCHEMA_VERSION:
        raise ValueError(f"schema {document['schema']} is not {SCHEMA_VERSION}")
    plain = {name: value for name, value in document.items() if name not in ("schema", "design")}
    plain["hosts"] = dict(document["hosts"])
    if "design" in document:
        plain["steps"] = _planned(document["design"], document)
    else:
        plain["steps"] = tuple(_step(step) for step in document["steps"])
    return Plan(**plain)


def _design(steps: PlannedSteps, hosts: list[str]) -> dict[str, Any]:
    """What the steps are made from. Pairs are positions in the list of hosts, one line a round: large plans stay small."""
    position = {host: number for number, host in enumerate(hosts)}
    return {
        "rounds": [
            {"level": item.level, "pairs": " ".join(f"{position[one]}:{position[other]}" for one, other in item.pairs)}
            for item in steps.rounds
        ],
        "cases": {benchmark: [asdict(case) for case in cases] for benchmark, cases in steps.cases.items()},
        "directions": dict(steps.directions),
        "trace": steps.trace,
    }


def _planned(design: Mapping[str, Any], document: Mapping[str, Any]) -> PlannedSteps:
    hosts = list(dict(document["hosts"]))
    rounds = tuple(
        Round(tuple(_pair(text, hosts) for text in item["pairs"].split()), item["level"]) for item in design["rounds"]
    )
    cases = {name: tuple(CaseSpec(**case) for case in specs) for name, specs in design["cases"].items()}
    return PlannedSteps(document["seed"], document["blocks"], rounds, cases, design["directions"], design["trace"])


def _pair(text: str, hosts: list[str]) -> Pair:
    one, other = text.split(":")
    return hosts[int(one)], hosts[int(other)]


def _step(document: Mapping[str, Any]) -> Step:
    sessions = tuple(
        Session(item["server"], item["client"], tuple(Run(**run) for run in item["runs"]))
        for item in document["sessions"]
    )
    return Step(document["block"], document["round"], document["benchmark"], sessions)


def load_or_create(
    sweep_dir: Path,
    create: Callable[[int, int], Plan],
    *,
    blocks: int,
    seed: int,
) -> tuple[Plan, bool]:
    """The plan of a sweep, stored or new, and whether it has to be stored.

    ``create(seed, blocks)`` makes a plan. A stored plan keeps its seed and its uid; it grows when more blocks are asked
    for and otherwise stays. Raises PlanError when anything else differs from what the stored plan was made from.
    """
    if not (sweep_dir / PLAN_FILE).exists():
        plan = create(seed or secrets.randbelow(LARGEST_SEED) + 1, blocks)
        return replace(plan, uid=secrets.token_hex(8)), True
    stored = load_plan(sweep_dir)
    wanted = create(stored.seed, max(blocks, stored.blocks))
    _require_same(sweep_dir, stored, wanted, seed)
    return (stored, False) if wanted.blocks == stored.blocks else (grown(stored, wanted), True)


def grown(stored: Plan, wanted: Plan) -> Plan:
    """The stored plan with as many blocks as are wanted; its rounds stay as they are stored."""
    if not isinstance(stored.steps, PlannedSteps):
        return replace(wanted, uid=stored.uid)
    return replace(stored, blocks=wanted.blocks, steps=replace(stored.steps, blocks=wanted.blocks))


def store_new(sweep_dir: Path, plan: Plan, again: Callable[[], tuple[Plan, bool]]) -> tuple[Plan, bool]:
    """Store a plan that has just been made; the plan that counts, and whether it is this one.

    Where another controller that began at the same time was quicker, its plan counts, as ``again`` (`load_or_create` with
    the same arguments) finds it. Raises SweepHeld and StorageError.
    """
    make_directory(sweep_dir)
    lock = SweepLock(sweep_dir)
    lock.acquire()
    try:
        if (sweep_dir / PLAN_FILE).exists() and load_plan(sweep_dir).uid != plan.uid:
            plan, created = again()
            if not created:
                return plan, False
        store_plan(sweep_dir, plan)
        return plan, True
    finally:
        lock.release()


def _require_same(sweep_dir: Path, stored: Plan, wanted: Plan, seed: int) -> None:
    as_stored = json.loads(json.dumps(dict(wanted.settings)))
    names = sorted(set(stored.settings) | set(as_stored))
    differences = [
        _difference(name, stored.settings, as_stored)
        for name in names
        if stored.settings.get(name) != as_stored.get(name)
    ]
    if dict(stored.hosts) != dict(wanted.hosts):
        differences.append(f"the hosts were {_hosts(stored)} and are now {_hosts(wanted)}")
    if seed and seed != stored.seed:
        differences.append(f"pairbench_seed was {stored.seed} and is now {seed}")
    if differences:
        raise PlanError(
            f"the sweep {stored.sweep} in {sweep_dir} was planned with other settings: {'; '.join(differences)}. "
            "Choose another name with -e pairbench_sweep=NAME, or move that folder away"
        )


def _difference(name: str, stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    was, now = stored.get(name), wanted.get(name)
    if isinstance(was, dict) and isinstance(now, dict) and set(was) != set(now):
        return f"{name} was {', '.join(was) or 'none'} and is now {', '.join(now) or 'none'}"
    return f"{name} was {_shown(stored, name)} and is now {_shown(wanted, name)}"


def _shown(settings: Mapping[str, Any], name: str) -> str:
    return json.dumps(settings[name]) if name in settings else "not set"


def _hosts(plan: Plan) -> str:
    return ", ".join(f"{host} ({address})" for host, address in plan.hosts.items())
