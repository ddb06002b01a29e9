"""The plan on disk, and what may change under one sweep name."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..model import Plan
from ..storage.files import UnreadableFile, json_text, make_directory, parse_json, read_json, shown_path, write_json
from ..storage.lock import SweepLock
from ..storage.sweep_folder import SweepFolder
from .document import plan_from_json, plan_to_json
from .plan import PlanError

PLAN_BYTES = 256 << 20
"""Half a million pairs take 7 MiB; a hundred thousand runs of notes 60."""
LARGEST_SEED = 2**31


def load_plan(sweep_dir: Path) -> Plan:
    """The stored plan of a sweep. Raises PlanError when there is none or it cannot be read."""
    path = SweepFolder(sweep_dir).plan
    try:
        return plan_from_json(read_json(path, PLAN_BYTES))
    except FileNotFoundError:
        raise PlanError(f"there is no sweep in {shown_path(sweep_dir)}: {path.name} is missing") from None
    except ValueError as error:
        why = error.why if isinstance(error, UnreadableFile) else str(error)
        raise PlanError(
            f"{shown_path(path)} cannot be read as a plan ({why}): restore it or move the folder away"
        ) from error


def stored_hosts(sweep_dir: Path) -> dict[str, str]:
    """Hosts of the stored plan with their addresses; none when there is no plan. Raises PlanError."""
    return dict(load_plan(sweep_dir).hosts) if SweepFolder(sweep_dir).has_plan else {}


def store_plan(sweep_dir: Path, plan: Plan) -> None:
    """Write the plan whole. Raises StorageError, and PlanError where it could not be read again."""
    document = plan_to_json(plan)
    try:
        plan_from_json(parse_json(json_text(document).encode("utf-8")))
    except ValueError as error:
        raise PlanError(f"the sweep {plan.sweep} cannot be planned like this: {error}") from error
    write_json(SweepFolder(sweep_dir).plan, document)


def withdraw_plan(sweep_dir: Path) -> None:
    """Remove a plan of which nothing has begun, with what the hosts said of themselves for it."""
    folder = SweepFolder(sweep_dir)
    for path in (folder.plan, *folder.host_files):
        path.unlink(missing_ok=True)


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
    if not SweepFolder(sweep_dir).has_plan:
        plan = create(seed or secrets.randbelow(LARGEST_SEED) + 1, blocks)
        return replace(plan, uid=secrets.token_hex(8)), True
    stored = load_plan(sweep_dir)
    wanted = create(stored.seed, max(blocks, stored.blocks))
    _require_same(sweep_dir, stored, wanted, seed)
    return (stored, False) if wanted.blocks == stored.blocks else (grown(stored, wanted), True)


def grown(stored: Plan, wanted: Plan) -> Plan:
    """The stored plan with as many blocks as are wanted; its rounds stay as they are stored."""
    return replace(stored, blocks=wanted.blocks, steps=stored.steps.grown(wanted.blocks))


def store_new(sweep_dir: Path, plan: Plan, again: Callable[[], tuple[Plan, bool]]) -> tuple[Plan, bool]:
    """Store a plan that has just been made; the plan that counts, and whether it is this one.

    Where another controller that began at the same time was quicker, its plan counts, as ``again`` (`load_or_create` with
    the same arguments) finds it. Raises SweepHeld and StorageError.
    """
    make_directory(sweep_dir)
    lock = SweepLock(sweep_dir)
    lock.acquire()
    try:
        if SweepFolder(sweep_dir).has_plan and load_plan(sweep_dir).uid != plan.uid:
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
