"""Captured outputs with one line deleted, doubled or swapped with the next, and what is believed of them.

No damage of one line may make a parser raise, nor give a figure that the whole output does not give. Where a line held
a figure, the figure may be missing; where a whole output was believed, its damaged copy may be invalid.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.scan import scan
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge

CAPTURES = Path(__file__).parent.parent / "captures"
Figures = dict[str, frozenset[float]]
"""The values that are believed of each metric, whichever run of the text they are of."""
Reader = Callable[[str], Figures]
ONLY_EVIDENCE = re.compile(
    r"Lost \d|WARNING: Failed|lost_events|_error\"|\(omitted\)|interrupt - the server|interrupted by user"
)
"""Lines in which a tool says why its figures are not to be believed, and nothing else in its output does."""


@dataclass(frozen=True)
class Capture:
    """One text that a tool printed, and how it is read."""

    name: str
    lines: tuple[str, ...]
    read: Reader


@dataclass(frozen=True)
class Mutant:
    """One text with ``damage`` done to its line ``number`` (from 1)."""

    damage: str
    number: int
    text: str


def captures() -> Iterator[Capture]:
    """Every captured text, in a fixed order; those inside of whole records are judged by the gate."""
    for path in sorted(CAPTURES.rglob("*")):
        if not path.is_file() or path.name in ("README.md", "golden.txt"):
            continue
        name = str(path.relative_to(CAPTURES))
        if path.parent.name == "records":
            yield from _record_captures(name, path.read_text(encoding="utf-8"))
        else:
            yield Capture(name, _lines(path.read_text(encoding="utf-8")), figures_of_text)


def _record_captures(name: str, document: str) -> Iterator[Capture]:
    record = json.loads(document)
    for side in ("server", "client"):
        yield Capture(f"{name}:{side}.stdout", _lines(record[side]["stdout"]), _reader(document, side, "stdout"))
        trace = record[side]["trace"]
        if trace is not None:
            yield Capture(f"{name}:{side}.trace", _lines(trace["output"]), _reader(document, side, "trace", "output"))


def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.splitlines(keepends=True))


def _reader(document: str, *place: str) -> Reader:
    def read(text: str) -> Figures:
        record = json.loads(document)
        inner = record
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = text
        return figures_of_record(record)

    return read


def figures_of_text(text: str) -> Figures:
    """What is believed of a text as `pairbench parse` reads it."""
    found: dict[str, set[float]] = {}
    for finding in scan(text.splitlines(keepends=True)):
        if finding.status != "valid":
            continue
        for sample in finding.samples:
            found.setdefault(f"{finding.tool} {sample.metric}", set()).add(sample.value)
        for call in finding.calls:
            name = f"{finding.tool} {call.comm},{call.syscall or call.number}"
            for kind, value in (("calls", call.calls), ("time", call.time_ns)):
                if value is not None:
                    found.setdefault(f"{name} {kind}", set()).add(value)
    return {name: frozenset(values) for name, values in found.items()}


def figures_of_record(record: object) -> Figures:
    """What the gate believes of a record. A fault of the gate is raised."""
    judgement = judge(record)  # type: ignore[arg-type]
    if judgement.reason == "gate_error":
        raise AssertionError(judgement.detail)
    found: dict[str, set[float]] = {}
    for sample in judgement.samples:
        found.setdefault(sample.metric, set()).add(sample.value)
    for row in judgement.syscalls:
        if row.calls is not None:
            found.setdefault(f"{row.side} {row.comm},{row.syscall}", set()).add(row.calls)
    return {name: frozenset(values) for name, values in found.items()}


def mutants(lines: tuple[str, ...]) -> Iterator[Mutant]:
    """Each line deleted, doubled, and swapped with the next one where that is another one."""
    for index, line in enumerate(lines):
        before, after = "".join(lines[:index]), "".join(lines[index + 1 :])
        yield Mutant("deleted", index + 1, before + after)
        yield Mutant("doubled", index + 1, before + line + line + after)
        if index + 1 < len(lines) and lines[index + 1] != line:
            rest = "".join(lines[index + 2 :])
            yield Mutant("swapped", index + 1, before + lines[index + 1] + line + rest)


def is_only_evidence(lines: tuple[str, ...], mutant: Mutant) -> bool:
    """Whether the one line that says why a text is not believed is what was deleted: then nobody can know."""
    matching = [number for number, line in enumerate(lines, 1) if ONLY_EVIDENCE.search(line)]
    return mutant.damage == "deleted" and matching == [mutant.number]


def other_figures(whole: Figures, damaged: Figures) -> dict[str, frozenset[float]]:
    """The figures of a damaged text that the whole one does not give."""
    other = {name: values - whole.get(name, frozenset()) for name, values in damaged.items()}
    return {name: values for name, values in other.items() if values}
