"""Finds every tool's output in a text, in one pass and bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .bpftrace_output import BpftraceRecogniser
from .finding import Finding, Recogniser
from .iperf3_json import JsonRecogniser
from .iperf3_text import TextRecogniser
from .lines import clean
from .sockperf_text import SockperfRecogniser


def scan(lines: Iterable[str]) -> Iterator[Finding]:
    """Yield the findings of a text in the order in which they become complete."""
    recognisers: tuple[Recogniser, ...] = (
        JsonRecogniser(),
        TextRecogniser(),
        SockperfRecogniser(),
        BpftraceRecogniser(),
    )
    for number, raw in enumerate(lines, 1):
        line = clean(raw)
        for recogniser in recognisers:
            yield from recogniser.feed(line, number)
    for recogniser in recognisers:
        yield from recogniser.close()
