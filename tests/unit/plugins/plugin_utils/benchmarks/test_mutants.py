"""One line of a capture deleted, doubled or swapped: nothing raises, and no other figure is believed.

A sample of what `tools/mutate_captures.py` reads in full, the same every time.
"""

from __future__ import annotations

from zlib import crc32

import pytest
from mutants import Capture, captures, is_only_evidence, mutants, other_figures

EVERY = 60
CAPTURES = list(captures())
# Where a whole output once gave another figure for one line: read in full.
WHOLE = [
    "iperf3/synthetic/summary-4-streams.txt", "iperf3/3.9/server-stopped.server.txt", "iperf3/3.18/udp-omit.client.txt",
    "iperf3/3.9/udp-omit.client.json", "iperf3/3.9/udp-reverse.server.json", "iperf3/3.18/udp-loss.client.json",
    "sockperf/3.7-trixie/interrupted.txt", "bpftrace/synthetic/lost-events-0.17.json",
    "bpftrace/synthetic/lost-events.text", "bpftrace/0.27.1-sid/thread-name.json",
]  # fmt: skip


def wrong(capture: Capture, every: int) -> list[str]:
    whole = capture.read("".join(capture.lines))
    found = []
    for number, mutant in enumerate(mutants(capture.lines), crc32(capture.name.encode())):
        if number % every:
            continue
        other = other_figures(whole, capture.read(mutant.text))
        if other and not is_only_evidence(capture.lines, mutant):
            found.append(f"{capture.name}:{mutant.number} {mutant.damage}: {other}")
    return found


@pytest.mark.parametrize("folder", sorted({capture.name.partition("/")[0] for capture in CAPTURES}))
def test_no_damaged_line_gives_another_figure(folder: str) -> None:
    chosen = [capture for capture in CAPTURES if capture.name.startswith(f"{folder}/")]
    assert chosen
    assert [line for capture in chosen for line in wrong(capture, EVERY)] == []


@pytest.mark.parametrize("name", WHOLE)
def test_no_damaged_line_of_what_once_was_misread_gives_another_figure(name: str) -> None:
    (capture,) = [capture for capture in CAPTURES if capture.name == name]
    assert wrong(capture, 1) == []


def test_captures_are_believed_at_all() -> None:
    believed = [capture for capture in CAPTURES[::10] if capture.read("".join(capture.lines))]
    assert len(believed) > len(CAPTURES) / 30
