"""Finds every tool's output in a text, in one pass and bounded memory."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence

from ..parsing.bounds import bounded
from ..parsing.finding import Finding, Recogniser
from ..parsing.lines import clean, prompts_of
from ..tracing.output import BpftraceRecogniser
from . import BENCHMARKS, Benchmark

TRACER = "bpftrace"
PROMPTS = prompts_of((*BENCHMARKS, TRACER), (name for name, one in BENCHMARKS.items() if one.reads_commands))
DIVIDERS = ("#", "```", "~~~")
"""Fences and headings of Markdown. An output ends there: two tables of calls may have the same rows."""

HELD_FINDINGS = 256
"""Findings kept back to put them in order: one that begins early may be complete only after many others."""


def scan(lines: Iterable[str]) -> Iterator[Finding]:
    """Yield the findings of a text in the order of their first lines, their figures within physical bounds.

    Memory is bounded by one run's output a tool and by `HELD_FINDINGS`. A finding that begins before, and is
    complete after, more than that many others comes late.
    """
    yield from _in_order(_found(lines, _recognisers()))


def outputs_of(benchmark: Benchmark, text: str) -> list[Finding]:
    """The outputs of one benchmark in a whole text, the same that `scan` finds in its lines among those of other tools.

    Only its own recognisers are asked, and no line is read where the benchmark knows the text as one document.
    """
    whole = benchmark.whole_output(text)
    if whole is not None:
        return list(map(bounded, whole))
    lines = text.splitlines(keepends=True)
    found = list(_in_order(_found(lines, tuple(make() for make in benchmark.recognisers))))
    if len(found) < 2:
        return found
    # In which order many findings come depends on those of the other tools between them (`HELD_FINDINGS`).
    return [finding for finding in scan(lines) if finding.tool == benchmark.name]


def _in_order(findings: Iterable[Finding]) -> Iterator[Finding]:
    held: list[tuple[int, int, Finding]] = []
    for count, finding in enumerate(map(bounded, findings)):
        heapq.heappush(held, (finding.line, count, finding))
        if len(held) > HELD_FINDINGS:
            yield heapq.heappop(held)[2]
    while held:
        yield heapq.heappop(held)[2]


def _found(lines: Iterable[str], recognisers: Sequence[Recogniser]) -> Iterator[Finding]:
    """The findings in the order in which they become complete."""
    feeds = [recogniser.feed for recogniser in recognisers]
    number, before, raw = 0, "", ""
    for number, line_of_text in enumerate(lines, 1):
        before, raw = raw, line_of_text
        if raw.startswith(DIVIDERS):
            for recogniser in recognisers:
                yield from recogniser.divide(raw)
        line = clean(raw, PROMPTS)
        if not line or line.isspace():
            continue
        for feed in feeds:
            found = feed(line, number)
            if found:
                yield from found
    # A list of lines may come without line ends; a text that has them and lacks the last one was cut off.
    complete = raw.endswith("\n") or not before.endswith("\n")
    for recogniser in recognisers:
        yield from recogniser.close(cut_line=0 if complete else number)


def _recognisers() -> tuple[Recogniser, ...]:
    """One of each for one text, in the order in which they are fed: the registry's, then the tracer's."""
    ours = (make() for benchmark in BENCHMARKS.values() for make in benchmark.recognisers)
    return (*ours, BpftraceRecogniser())
