"""What a person reads in a terminal: the plan before, the summary after. Plain text, at most 100 columns."""

from __future__ import annotations

import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from ..benchmarks import headlines_of
from ..formatting import counted, format_duration, format_value, pair_label
from ..model import Plan, Step
from ..plain_text import printable
from ..planning.plan import cases_of, directed_pairs, run_count, widest_step
from ..planning.remaining import Remaining
from ..storage.sweep_folder import SweepFolder
from ..tables.overview import Calls, Group, Overview
from ..tables.results import Row
from ..tables.rows import TABLES

WIDTH = 100
LONGEST_LINE = 10_000
MOST_SENTENCE = 1000
MOST_CALLS = 4
MOST_LINES = 12
TARGETS = {"process": "the ", "vmm": "the process under the "}


def as_shown(lines: Iterable[str]) -> str:
    """Lines for a terminal, which obeys nothing that came with the text of hosts or files in them."""
    return "\n".join(printable(line, LONGEST_LINE) for line in lines)


def render_plan(plan: Plan, left: Remaining, *, everything: bool = False, drawn: bool = False) -> str:
    """What is going to be done and how long it takes, for ``--check``.

    ``everything`` shows every host, pair and step, however many there are. ``drawn``: the seed is of this look only.
    """
    most = None if everything else MOST_LINES
    hosts = [f"{host} ({address})" for host, address in plan.hosts.items()]
    pairs = [
        f"Pair: {benchmark} {server} (server) <- {client} (client)"
        for benchmark, server, client in sorted(directed_pairs(plan))
        if {server, client} <= left.hosts
    ]
    lines = [
        "",
        f"Plan of sweep {plan.sweep} (configuration {plan.configuration}, seed {plan.seed}, mode {plan.mode})",
        f"{len(plan.hosts)} hosts, {counted(plan.blocks, 'block')}, {_rounds(plan)}, {_at_once(plan)}, "
        f"{left.runs} of {counted(run_count(plan), 'run')} to do in {counted(len(left.indexes), 'step')}",
        f"about {format_duration(left.seconds)}, installation not included",
    ]
    if drawn:
        lines.append(f"The seed was drawn for this look; with -e pairbench_seed={plan.seed} the sweep is the one shown here")
    lines += ["", *_wrapped("Hosts: ", ", ".join(hosts[:most])), *_more(len(hosts), most)]
    lines += [f"Case: {benchmark} {case.name}" for benchmark, cases in cases_of(plan).items() for case in cases]
    lines += [*pairs[:most], *_more(len(pairs), most), "Order:"]
    lines += [f"  {_order_line(plan.steps[index], everything)}" for index in left.indexes[:most]]
    return as_shown(lines + _more(len(left.indexes), most))


def _at_once(plan: Plan) -> str:
    widest = widest_step(plan)
    return "one pair at a time" if widest == 1 else f"at most {widest} pairs at once"


def _rounds(plan: Plan) -> str:
    return f"{counted(plan.steps.round_count, 'round')} a block and direction"


def _order_line(step: Step, everything: bool) -> str:
    most = None if everything else MOST_CALLS
    sessions = "; ".join(
        f"{session.server} <- {session.client}: "
        + ", ".join(f"{run.case} {'traced' if run.traced else 'untraced'}" for run in session.runs)
        for session in step.sessions[:most]
    )
    if most is not None and len(step.sessions) > most:
        sessions += f"; and {len(step.sessions) - most} more pairs"
    return f"block {step.block} round {step.round} {step.benchmark} {sessions}"


def _more(count: int, most: int | None, how: str = " (all with -v)") -> list[str]:
    """That something is left out, and how to see it."""
    return [f"  ... and {count - most} more{how}"] if most is not None and count > most else []


def render_sweep(sweep_dir: Path, told: Overview) -> str:
    """The closing summary of a sweep: figures, system calls, cost of tracing, verdicts, problems, files."""
    lines = ["", "=" * WIDTH, f"Sweep {told.plan.sweep}, configuration {told.plan.configuration}"]
    for group in told.groups:
        lines += ["", *_group(group, told.summary, told.hosts)]
    if told.group_count > len(told.groups):
        lines.append(f"  ... and {told.group_count - len(told.groups)} more")
    lines += _levels(told.outcomes.levels)
    lines += ["", *_outcome(told), *_files(sweep_dir)]
    return as_shown(lines)


def _group(group: Group, summary: Sequence[Row], hosts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    benchmark, server, client, case, level = group.series
    at_once = "" if level is None else f", {counted(level, 'pair')} at once"
    pair = pair_label(server, client, hosts)
    lines = [f"{benchmark} {case}: {pair}{at_once} ({group.valid} of {group.runs} runs valid)"]
    rows = {
        row["metric"]: row
        for row in summary
        if (row["benchmark"], row["server"], row["client"], row["case"], row["level"] or None) == group.series
    }
    figures = [_figure_cells(rows[metric], label) for metric, label in headlines_of(benchmark) if metric in rows]
    if figures:
        head = ("", "median", "95 % interval", "n", "verdict", "cost of tracing")
        lines += [f"  {line}" for line in _aligned([head, *figures])]
    for target in TARGETS:
        for side in ("server", "client"):
            if (side, target) in group.calls:
                lines += _calls(side, target, group.calls[side, target])
    return lines


def _levels(rows: Iterable[Row]) -> list[str]:
    """How the total holds as pairs are added: medians over the blocks, untraced."""
    totals: dict[tuple[str, int], list[float]] = defaultdict(list)
    for row in rows:
        if row["value"] is not None and not row["traced"]:
            totals[row["case"], row["level"]].append(row["value"])
    if not totals:
        return []
    lines = ["", "All pairs together, over the time in which all of them were transferring (median of blocks):"]
    table = [("", "pairs", "total", "a pair", "n")]
    for (case, level), values in sorted(totals.items()):
        total = median(values)
        table.append(
            (case, str(level), format_value(total, "bit/s"), format_value(total / level, "bit/s"), str(len(values)))
        )
    return lines + [f"  {line}" for line in _aligned(table)]


def _figure_cells(row: Row, label: str) -> tuple[str, ...]:
    unit = row["unit"]
    interval = "too few runs" if row["ci_low"] is None else _format_interval(row["ci_low"], row["ci_high"], unit)
    return (
        label,
        format_value(row["median"], unit),
        interval,
        f"{row['n_valid']}/{row['n_tried']}",
        row["verdict"],
        _cost(row),
    )


def _format_interval(low: float, high: float, unit: str) -> str:
    """Two figures with the unit written once where both have the same."""
    low_text, high_text = format_value(low, unit), format_value(high, unit)
    number, _space, low_unit = low_text.partition(" ")
    return f"{number if low_unit and high_text.endswith(' ' + low_unit) else low_text} .. {high_text}"


def _share(part: float, total: float) -> str:
    percent = 100 * part / total
    return f"{percent:.0f} %" if percent >= 1 else "<1 %"


def _cost(row: Row) -> str:
    if row.get("trace_cost") is None:
        return "-"
    text = f"{row['trace_cost']:+.3g} %"
    if row.get("trace_cost_low") is not None:
        text += f" ({row['trace_cost_low']:+.3g}..{row['trace_cost_high']:+.3g})"
    return text


def _calls(side: str, target: str, calls: Calls) -> list[str]:
    """The dominant system calls of one target of one side: median over the traced runs, and share of all calls."""
    medians, total = calls.medians, sum(calls.medians.values())
    top = sorted(medians, key=lambda name: (-medians[name], name))[:MOST_CALLS]
    shown = ", ".join(f"{name} {medians[name]:,.0f} ({_share(medians[name], total)})" for name in top)
    return _wrapped(f"  system calls of {TARGETS[target]}{side} a run (median of {calls.runs}): ", shown)


def _wrapped(head: str, text: str) -> list[str]:
    if len(head) + len(text) <= WIDTH:
        return [head + text]
    lines = [head.rstrip()]
    current = "   "
    for part in text.split(", "):
        if len(current) + len(part) + 2 > WIDTH and current.strip():
            lines.append(current.rstrip(" "))
            current = "   "
        current += f" {part},"
    return [*lines, current.rstrip(",")]


def _wrapped_sentence(text: str) -> list[str]:
    shown = printable(text, MOST_SENTENCE)
    return textwrap.wrap(shown, WIDTH, initial_indent="  ", subsequent_indent="      ", max_lines=4)


def _wrapped_path(sentence: str) -> list[str]:
    """A sentence with a path in it, which stays in one piece however long it is."""
    wrapper = textwrap.TextWrapper(WIDTH, "    ", "      ", break_long_words=False, break_on_hyphens=False)
    return wrapper.wrap(printable(sentence, LONGEST_LINE))


def _outcome(told: Overview) -> list[str]:
    outcomes = told.outcomes
    lines = [f"{outcomes.valid} of {outcomes.planned} planned runs are valid"]
    reasons = Counter({words: count for words, count in outcomes.statuses.items() if words[0] != "valid"})
    for (status, reason, detail), count in reasons.most_common(MOST_LINES):
        lines += _wrapped_sentence(f"  {count} {status}, {reason}: {detail}")
    for (name, text), count in outcomes.checks.most_common(MOST_LINES):
        lines += _wrapped_sentence(f"  remark on {count} run{'s' if count != 1 else ''}, {name}: {text}")
    for problem in told.problems[:MOST_LINES]:
        lines += _wrapped_path(problem)
    return lines + _more(len(told.problems), MOST_LINES, how="")


def _files(sweep_dir: Path) -> list[str]:
    folder = SweepFolder(sweep_dir)
    names = [path.name for path in folder.tables_of(TABLES)]
    return [f"Files: {sweep_dir}/", "  " + "  ".join([*names, f"{folder.records.name}/"])]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            text.ljust(width) if column in (0, 4) else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
