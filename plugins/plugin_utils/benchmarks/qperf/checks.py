"""Is a run of qperf what was planned, did its own server serve it, and can the system calls beside it be its own?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from types import MappingProxyType

from ...model import SyscallCount
from ...parsing.finding import Finding
from ...records.record import End, Record, Trouble
from ...tracing.evidence import READS, calls_of
from .output import TESTS

REASONS: Mapping[str, str] = MappingProxyType(
    {"uncounted": "The output lacks the counts and times from which its figures follow (qperf -vv -uu -un)."}
)
OTHER_WRITES = 10
"""Writes of the client beside its messages, of each test and once more: requests, words of synchronisation, its output."""
OTHER_DATAGRAM_READS = 4
"""Receives of the server beside its datagrams, of each test: those that the end of its time interrupts."""


def other_data_port(record: Record, client: Finding) -> Trouble | None:
    """Whether the test used another port than the one that was free before the run."""
    shown = client.parameters.get("data_port")
    planned = _after("-ip", record.client.argv) if record.client is not None else None
    if shown is None or planned is None or str(shown) == planned:
        return None
    return Trouble("peer", f"The test used port {shown}, planned was {planned}.")


def _after(option: str, words: tuple[str, ...]) -> str | None:
    """The word behind an option, None where the option is not there."""
    return next((value for word, value in pairwise(words) if word == option), None)


def other_requests(client: Finding, server: Finding) -> Trouble | None:
    """Whether the server served other tests than the client made: another server answered, or another client came."""
    made, served = client.measured.get("tests"), server.measured.get("tests")
    if served is None or server.side != "server":
        return Trouble("server_unconfirmed", "The server did not say which tests it served; another may have answered.")
    if server.parameters.get("test") == client.parameters.get("test") and made == served:
        return None
    return Trouble(
        "server_unconfirmed",
        f"The client made {made:.0f} tests {client.parameters.get('test')}, "
        f"the server served {served:.0f} tests {server.parameters.get('test')}.",
    )


def other_calls(record: Record, end: End, rows: Iterable[SyscallCount], figures: Mapping[str, float]) -> str | None:
    """The client writes each message with one call. The server reads each with one call, of a stream with one or more."""
    rows = tuple(rows)
    tests = figures.get("tests", 1.0)
    if end.side == "client":
        moved, verb = figures.get("sends"), "write"
        calls, others = calls_of(rows, ("write",)), OTHER_WRITES * (tests + 1)
    else:
        moved, verb = figures.get("receives"), "receive"
        datagrams = TESTS.get(str(record.parameters.get("test"))) == "udp"
        calls = calls_of(rows, ("recvfrom",) if datagrams else READS)
        others = OTHER_DATAGRAM_READS * tests if datagrams else float("inf")
    if moved is None or moved <= calls <= moved + others:
        return None
    return f"{calls} {verb} calls were counted for {moved:.0f} messages"
