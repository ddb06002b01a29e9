"""Findings as lines for people, at most as wide as asked for."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from ..parsing.finding import CallCount, Finding
from ..plain_text import printable

INDENT = "    "
LONGEST_LINE = 10_000
MOST_CALLS = 12
"""System calls listed for one table; the others are summed up in one line."""


def describe(name: str, finding: Finding, width: int) -> Iterator[str]:
    """The lines about one finding: where it is, whether it may be believed and why not, its figures.

    What the file or its name bring along that a terminal would obey is written so that it can be seen.
    """
    for line in _lines(name, finding, width):
        yield printable(line, LONGEST_LINE)


def _lines(name: str, finding: Finding, width: int) -> Iterator[str]:
    tool = " ".join(part for part in (finding.tool, finding.version, finding.mode, finding.side) if part)
    yield from _wrapped(f"{name}:{finding.line}  {tool}  {finding.status.upper()}", "", width)
    if finding.reason:
        yield from _wrapped(f"{finding.reason}: {finding.detail}", INDENT, width)
    if finding.parameters:
        told = ", ".join(f"{key} {value}" for key, value in finding.parameters.items())
        yield from _wrapped(told, INDENT, width)
    for note in finding.remarks:
        yield from _wrapped(f"note: {note}", INDENT, width)
    for sample in finding.samples:
        yield f"{INDENT}{sample.metric:<28}{_number(sample.value):>24} {sample.unit}"
    yield from _calls(finding)
    yield ""


def _calls(finding: Finding) -> Iterator[str]:
    rows = sorted(finding.calls, key=lambda call: -(call.calls or 0))
    for call in rows[:MOST_CALLS]:
        time = "" if call.time_ns is None else f"{call.time_ns:,} ns"
        yield f"{INDENT}{_call_name(call):<36.36}{_whole(call.calls):>16} {time}".rstrip()
    others = rows[MOST_CALLS:]
    if others:
        told = f"{len(others)} other calls"
        yield f"{INDENT}{told:<36}{_whole(sum(call.calls or 0 for call in others)):>16}"


def _call_name(call: CallCount) -> str:
    name = call.syscall if call.syscall is not None else f"syscall {call.number}"
    return f"{call.comm} {name}" if call.comm else name


def _whole(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _number(value: float) -> str:
    """Digits as measured, thousands apart; no exponent."""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.6f}".rstrip("0")


def _wrapped(text: str, indent: str, width: int) -> list[str]:
    return textwrap.wrap(printable(text, LONGEST_LINE), width, initial_indent=indent, subsequent_indent=indent + INDENT)
