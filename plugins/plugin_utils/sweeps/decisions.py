"""Decisions of a sweep that repeats itself: which block is next, when, whether there is time, and when it is enough.

A pass is one run of the playbook with ``pairbench_blocks`` set to the block that is due; what an earlier pass did not
get done is done in the next. Times are seconds, given by the caller, so that every decision can be tested.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..benchmarks import BENCHMARKS
from ..model import Plan
from ..planning.pairs import within
from ..planning.plan import cases_of, directed_pairs
from ..planning.remaining import remaining
from ..planning.stored import load_plan
from ..storage.sweep_folder import SweepFolder
from ..store.statuses import completed

UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
FEWEST_BLOCKS = 6
"""Below 6 values an order statistic gives no 95 % interval (docs/how-it-measures.md)."""
WORST_SHOWN = 5


class BadValue(ValueError):
    """Something given on the command line cannot be understood; the text says what would be."""


def duration(text: str) -> float:
    """Seconds from ``90``, ``90s``, ``30m``, ``2h``, ``1d`` or a sum like ``1h30m``. Raises BadValue."""
    whole = text.replace(" ", "")
    if re.fullmatch(r"\d+(\.\d+)?", whole):
        return float(whole)
    parts = re.findall(r"(\d+(?:\.\d+)?)(min|[smhd])", whole)
    if not parts or "".join(number + unit for number, unit in parts) != whole:
        raise BadValue(f"{text!r} is not a duration: use a number of seconds, or numbers with s, m, h or d, like 1h30m")
    return sum(float(number) * UNITS[unit] for number, unit in parts)


def relative_width(text: str) -> float:
    """A fraction from ``5%`` or ``0.05``. Raises BadValue."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%?)", text.strip())
    value = float(found.group(1)) / (100 if found.group(2) else 1) if found else 0.0
    if not 0 < value < 1:
        raise BadValue(f"{text!r} is not a width: use a percentage of the median like 5%, or a fraction like 0.05")
    return value


@dataclass(frozen=True)
class Goal:
    """What was asked for. ``blocks`` is the number of blocks, or the cap where ``width`` is given."""

    blocks: int
    every: float | None = None
    """Seconds from the start of a block to the start of the next."""
    budget: float | None = None
    """Seconds after which no block may still be running, as far as can be told."""
    width: float | None = None
    """Largest width of every interval, as a fraction of its median."""


def first_block(sweep_dir: Path, goal: Goal, only: frozenset[str] | None = None) -> int | None:
    """The first block of which something is missing; None when all of ``goal.blocks`` are there.

    ``only`` limits it to pairs of these hosts.
    """
    if not SweepFolder(sweep_dir).has_plan:
        return 1
    plan = load_plan(sweep_dir)
    done = completed(sweep_dir)
    for index, _step in remaining(plan, done, only):
        return min(plan.steps[index].block, goal.blocks)
    return block_after(plan.blocks, goal)


def blocks_tried(sweep_dir: Path, only: frozenset[str] | None = None) -> int:
    """How many blocks have had their turn: all that there are, but for a last one of which something is missing."""
    if not SweepFolder(sweep_dir).has_plan:
        return 0
    plan = load_plan(sweep_dir)
    last = any(plan.steps[index].block == plan.blocks for index, _step in remaining(plan, completed(sweep_dir), only))
    return plan.blocks - last


def block_after(block: int, goal: Goal) -> int | None:
    """The block that follows when all up to ``block`` have had their turn; None when that was the last."""
    return block + 1 if block < goal.blocks else None


def wait_before(goal: Goal, now: float, last_start: float | None) -> float:
    """Seconds until the next block is due; 0 when it is, negative when it is late."""
    if goal.every is None or last_start is None:
        return 0.0
    return last_start + goal.every - now


def fits(goal: Goal, started: float, begin: float, block_seconds: float) -> bool:
    """Whether a block that begins then is expected to end within the budget."""
    return goal.budget is None or begin + block_seconds <= started + goal.budget


@dataclass(frozen=True)
class Width:
    """How wide an interval is, as a fraction of its median; None where there is no interval yet."""

    what: str
    metric: str
    value: float | None

    def __str__(self) -> str:
        shown = "no interval" if self.value is None else f"{100 * self.value:.3g} %"
        return f"{self.what}, {self.metric}: {shown}"


def widths(
    plan: Plan, summary: Iterable[Mapping[str, Any]], only: frozenset[str] | None = None
) -> list[Width]:
    """The headline interval of every pair (of the hosts in ``only``) and case of a plan, the widest first."""
    rows: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = {}
    for row in summary:
        key = (row["benchmark"], row["server"], row["client"], row["case"])
        rows.setdefault(key, {})[row["metric"]] = row
    found = [
        _width(rows.get((benchmark, server, client, case.name), {}), benchmark, server, client, case.name)
        for benchmark, server, client in sorted(directed_pairs(plan))
        if within((server, client), only)
        for case in cases_of(plan)[benchmark]
    ]
    return sorted(found, key=lambda item: -1e9 if item.value is None else -item.value)


def _width(metrics: Mapping[str, Mapping[str, Any]], benchmark: str, server: str, client: str, case: str) -> Width:
    what = f"{benchmark} {case}, {server} <- {client}"
    names = BENCHMARKS[benchmark].decisive
    for name in names:
        row = metrics.get(name)
        if row is not None:
            known = row["ci_low"] is not None and row["median"]
            return Width(what, name, abs((row["ci_high"] - row["ci_low"]) / row["median"]) if known else None)
    return Width(what, names[0], None)


def too_wide(found: Sequence[Width], width: float) -> list[Width]:
    """Those that keep a sweep from having converged."""
    return [item for item in found if item.value is None or item.value > width]


def command_line(playbook: str, options: Sequence[str], block: int) -> list[str]:
    """What does the same by hand."""
    return ["ansible-playbook", playbook, *options, "-e", f"pairbench_blocks={block}"]
