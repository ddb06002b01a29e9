"""Handwritten notes become a sweep: commands become cases, headings decide sides, outputs stay verbatim.

Notes are Markdown or plain text: commands and outputs, usually in fences under headings. What they do not
say stays unknown (``null``), so that a table has an empty cell and not a guess. What was derived, and what
does not fit together, is written into the record's ``source.notes`` and comes out as a check of the run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from ..benchmarks import BENCHMARKS, in_words, listed
from ..benchmarks.command_line import Command
from ..benchmarks.scan import scan
from ..model import SIDES, JsonObject, Plan, Run, Session, Side, Step
from ..parsing.finding import Finding
from ..planning.listed import ListedSteps
from ..records.record import Record, end_of_notes, new_record
from .command_lines import read_command

HEADING = re.compile(r"(#{1,6})\s+(\S.*?)[\s#]*$")
FENCE = re.compile(r"\s{0,3}(`{3,}|~{3,})")
CLOSING_FENCE = "```\n"
"""Stands behind an output that is whole: whether a row is the last one may not be seen from the row."""
SIDE_WORD = re.compile(r"\b(server|client)s?\b", re.IGNORECASE)


class NotesError(ValueError):
    """The notes cannot become a sweep; the text says why and what to do."""


@dataclass(frozen=True)
class ImportedSweep:
    """What notes became: a plan as any sweep has, its records, and what could not be used, in sentences."""

    plan: Plan
    records: tuple[Record, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class _Block:
    """A fence, or the text between fences, under its headings. ``line`` is that of the first of ``lines``."""

    headings: tuple[str, ...]
    lines: tuple[str, ...]
    line: int
    ended: bool
    """The notes go on behind it, so its last output was not cut off."""


@dataclass(frozen=True)
class _Output:
    """One tool's output as the notes have it."""

    finding: Finding
    text: str
    line: int


@dataclass
class _Entry:
    """One run while it is being collected from the notes."""

    headings: tuple[str, ...]
    line: int
    commands: dict[Side, Command] = field(default_factory=dict)
    outputs: dict[Side, _Output] = field(default_factory=dict)
    traces: dict[Side, _Output] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def tool(self) -> str | None:
        for command in self.commands.values():
            return command.tool
        for output in self.outputs.values():
            return output.finding.tool
        return None

    def again(self, block: _Block) -> _Entry:
        """A further run of the same commands."""
        return _Entry(self.headings, block.line, dict(self.commands))


def read_notes(text: str, name: str, sweep: str, configuration: str, written_at: str) -> ImportedSweep:
    """Make a sweep of notes. ``name`` is the notes' file name, ``written_at`` the time in ISO 8601.

    Raises `NotesError` when the notes hold no output of a benchmark.
    """
    left_out: list[str] = []
    entries = [
        entry for entry in _collect(_blocks(text.splitlines()), left_out) if _has_results(entry, left_out)
    ]
    if not entries:
        raise NotesError(
            f"{name} holds no output of {in_words('or')} that can be read. Notes need the tool's own "
            f"lines, such as {_result_lines()}; `pairbench parse` shows what is recognised."
        )
    addresses = _addresses(entries)
    runs = list(_runs(entries, addresses))
    _compare_directions(entries, runs)
    records = tuple(
        _record(entry, run, addresses, name, sweep, configuration, written_at)
        for entry, run in zip(entries, runs, strict=True)
    )
    return ImportedSweep(_plan(runs, addresses, name, sweep, configuration), records, tuple(left_out))


def _result_lines() -> str:
    return listed([f"{name}'s {benchmark.result_lines}" for name, benchmark in BENCHMARKS.items()], "or")


# From lines to blocks.


def _blocks(lines: Sequence[str]) -> Iterator[_Block]:
    headings: list[tuple[int, str]] = []
    held: list[str] = []
    start, fence = 1, ""

    def path() -> tuple[str, ...]:
        return tuple(title for _, title in headings)

    for number, line in enumerate(lines, 1):
        mark = FENCE.match(line)
        heading = HEADING.match(line) if not fence else None
        if not (heading or (mark and (not fence or mark.group(1).startswith(fence)))):
            held.append(line)
            continue
        if any(text.strip() for text in held):
            yield _Block(path(), tuple(held), start, ended=True)
        held, start = [], number + 1
        if heading:
            level = len(heading.group(1))
            headings = [item for item in headings if item[0] < level] + [(level, heading.group(2))]
        elif mark:
            fence = "" if fence else mark.group(1)
    if any(text.strip() for text in held):
        yield _Block(path(), tuple(held), start, ended=False)


# From blocks to runs.


def _collect(blocks: Iterable[_Block], left_out: list[str]) -> Iterator[_Entry]:
    entry: _Entry | None = None
    for block in blocks:
        for item in _items(block):
            following = _place(entry, item, block, left_out)
            if following is not None:
                if entry is not None:
                    yield entry
                entry = following
    if entry is not None:
        yield entry


def _items(block: _Block) -> Iterator[Command | _Output]:
    """The commands and outputs of a block in the order in which they are written."""
    commands = {index: command for index, line in enumerate(block.lines) if (command := read_command(line))}
    findings = {finding.line - 1: finding for finding in scan(block.lines)}
    starts = sorted({*commands, *findings})
    for start, end in pairwise([*starts, len(block.lines)]):
        if start in commands:
            yield commands[start]
        else:
            # What stands before the first output, a version line for example, belongs to it.
            first = 0 if start == starts[0] else start
            text = "\n".join(block.lines[first:end]) + "\n"
            if block.ended or end < len(block.lines):
                text += CLOSING_FENCE
            yield _Output(findings[start], text, block.line + start)


def _place(
    entry: _Entry | None, item: Command | _Output, block: _Block, left_out: list[str]
) -> _Entry | None:
    """Put an item where it belongs: into the run at hand, or into a new one, which is given back."""
    if isinstance(item, Command):
        if entry is not None and _takes_command(entry, item, block):
            entry.commands[item.side] = item
            return None
        return _Entry(block.headings, block.line, {item.side: item})
    if item.finding.tool == "bpftrace":
        return _place_trace(entry, item, block, left_out)
    side = item.finding.side or _side_of(block) or "client"
    new: _Entry | None = None
    if entry is None or not _near(entry, block) or entry.tool not in (None, item.finding.tool):
        new = _Entry(block.headings, item.line)
    elif side in entry.outputs:
        new = entry.again(block)
    target = new or entry
    assert target is not None
    target.outputs[side] = item
    return new


def _place_trace(entry: _Entry | None, item: _Output, block: _Block, left_out: list[str]) -> _Entry | None:
    side = _side_of(block)
    if side is None:
        left_out.append(f"line {item.line}: the notes do not say of which end these system calls are")
        return None
    if entry is None or not _near(entry, block):
        left_out.append(f"line {item.line}: these system calls stand beside no benchmark")
        return None
    new = entry.again(block) if side in entry.traces else None
    (new or entry).traces[side] = item
    return new


def _takes_command(entry: _Entry, command: Command, block: _Block) -> bool:
    return (
        _near(entry, block)
        and entry.tool in (None, command.tool)
        and command.side not in entry.commands
        and not ({"client", command.side} & set(entry.outputs))
    )


def _near(entry: _Entry, block: _Block) -> bool:
    """Whether a block is in the same part of the notes: below the run's headings, or beside the last."""
    shared = min(len(entry.headings), len(block.headings))
    if entry.headings[:shared] == block.headings[:shared]:
        return True
    return 1 < shared == len(entry.headings) and entry.headings[: shared - 1] == block.headings[: shared - 1]


def _side_of(block: _Block) -> Side | None:
    """The side that the nearest heading names, if it names one only, or a line such as ``server:`` does."""
    labels = [line.strip(" #*:-\t").lower() for line in block.lines]
    for text in (*(block.headings[-1:]), *(label for label in labels if label in ("server", "client"))):
        named = {word.lower() for word in SIDE_WORD.findall(text)}
        if len(named) == 1:
            return "server" if "server" in named else "client"
    return None


def _has_results(entry: _Entry, left_out: list[str]) -> bool:
    if entry.outputs:
        return True
    what = "system calls" if entry.traces else "commands"
    left_out.append(f"line {entry.line}: {what} without an output of the benchmark")
    return False


# From runs in the notes to runs of a sweep.


def _addresses(entries: Iterable[_Entry]) -> tuple[str, ...]:
    """Every address in the notes' commands, in the order in which they appear."""
    found: dict[str, None] = {}
    for entry in entries:
        for command in entry.commands.values():
            for address in (command.address, command.client_address):
                if address:
                    found[address] = None
    return tuple(found)


def _runs(entries: Iterable[_Entry], addresses: tuple[str, ...]) -> Iterator[Run]:
    repeats: Counter[tuple[str, ...]] = Counter()
    for number, entry in enumerate(entries, 1):
        server, client = _hosts(entry, addresses)
        benchmark = entry.tool or ""
        parameters = _parameters(entry)
        case = _case(benchmark, parameters)
        repeats[server, client, benchmark, case] += 1
        repeat = repeats[server, client, benchmark, case]
        yield Run(
            run_id=f"{number:04d}_{benchmark}_{case}_r{repeat}",
            block=repeat,
            round=number,
            server=server,
            client=client,
            benchmark=benchmark,
            case=case,
            parameters=parameters,
            repeat=repeat,
            traced=bool(entry.traces),
            seconds=float(parameters["seconds"])
            if isinstance(parameters.get("seconds"), (int, float))
            else 0.0,
        )


def _hosts(entry: _Entry, addresses: tuple[str, ...]) -> tuple[str, str]:
    """Names for both ends: their addresses where they are known, otherwise their sides."""
    server = _server_address(entry)
    client = _client_address(entry)
    if client is None and server is not None:
        others = [address for address in addresses if address != server]
        if len(others) == 1:
            client = others[0]
            entry.notes.append(
                f"the notes do not name the client: taken to be {client}, the only other address in them"
            )
    return server or "server", client or "client"


def _server_address(entry: _Entry) -> str | None:
    told = [entry.commands[side].address for side in ("client", "server") if side in entry.commands]
    named = list(dict.fromkeys(address for address in told if address))
    if len(named) > 1:
        entry.notes.append(f"the client calls {named[0]} but the server listens on {named[1]}")
    if named:
        return named[0]
    for output in entry.outputs.values():
        shown = output.finding.parameters.get("address")
        if shown:
            return str(shown)
    return None


def _client_address(entry: _Entry) -> str | None:
    command = entry.commands.get("client")
    return command.client_address if command is not None else None


def _parameters(entry: _Entry) -> Mapping[str, Any]:
    command = entry.commands.get("client")
    if command is not None and command.parameters:
        return command.parameters
    for output in entry.outputs.values():
        return {name: value for name, value in output.finding.parameters.items() if name in _CASE_PARAMETERS}
    return {}


_CASE_PARAMETERS = frozenset(name for benchmark in BENCHMARKS.values() for name in benchmark.parameters)


def _case(benchmark: str, parameters: Mapping[str, Any]) -> str:
    """The name that a sweep gives to these parameters, so that imported and measured runs share it."""
    known = BENCHMARKS.get(benchmark)
    if known is not None and all(parameters.get(field.name) is not None for field in known.fields if field.always):
        name = known.case_name(parameters)
    else:
        name = "_".join(
            f"{name}-{value}" for name, value in parameters.items() if value not in (None, "", False)
        )
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name) or "unknown"


def _compare_directions(entries: Sequence[_Entry], runs: Sequence[Run]) -> None:
    """Say where the server of one part of the notes is the client of another: they are different pairs."""
    for entry, run in zip(entries, runs, strict=True):
        for other_entry, other in zip(entries, runs, strict=True):
            if (other.server, other.client) == (run.client, run.server):
                entry.notes.append(
                    f"the server is {run.server} here but {other.server} in the {other.benchmark} run at "
                    f"line {other_entry.line}: the direction differs, they are two pairs"
                )
                break


# The documents of a sweep.


def _record(
    entry: _Entry,
    run: Run,
    addresses: tuple[str, ...],
    name: str,
    sweep: str,
    configuration: str,
    written_at: str,
) -> Record:
    known = {field: value for field, value in asdict(run).items() if field != "level"} | {"seconds": run.seconds or None}
    return new_record(
        sweep,
        configuration,
        known,
        {side: _end(entry, side, getattr(run, side), addresses) for side in SIDES},
        attempt=1,
        written_at=written_at,
        source={"file": name, "line": entry.line, "headings": list(entry.headings), "notes": list(entry.notes)},
    )


def _end(entry: _Entry, side: Side, host: str, addresses: tuple[str, ...]) -> JsonObject:
    command = entry.commands.get(side)
    output = entry.outputs.get(side)
    trace = entry.traces.get(side)
    return end_of_notes(
        {
            "host": host,
            "address": host if host in addresses else None,
            "port": command.port if command is not None else None,
            "argv": list(command.argv) if command is not None else [],
            "stdout": output.text if output is not None else None,
            "trace": None if trace is None else _trace(trace),
        }
    )


def _trace(trace: _Output) -> JsonObject:
    return {
        "mode": "time" if any(call.time_ns is not None for call in trace.finding.calls) else "count",
        "probe": None,
        "version": trace.finding.version,
        "output": trace.text,
        "stderr": None,
        "returncode": None,
    }


def _plan(runs: Sequence[Run], addresses: tuple[str, ...], name: str, sweep: str, configuration: str) -> Plan:
    steps = tuple(
        Step(run.block, run.round, run.benchmark, (Session(run.server, run.client, (run,)),)) for run in runs
    )
    hosts = {host: host if host in addresses else "" for run in runs for host in (run.server, run.client)}
    return Plan(
        sweep=sweep,
        configuration=configuration,
        seed=0,
        mode="imported",
        blocks=max(run.block for run in runs),
        hosts=hosts,
        steps=ListedSteps(steps),
        settings={"source": name},
    )
