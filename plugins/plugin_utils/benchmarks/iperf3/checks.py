"""Is a run of iperf3 what was planned, do its ends agree, and can the system calls beside it be its own?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from ...model import SyscallCount
from ...parsing.finding import Finding
from ...records.record import End, Record, Trouble
from ...tracing.evidence import MESSAGE_SLACK, READS, WRITES, calls_of
from ..benchmark import protocol_of

REASONS: Mapping[str, str] = MappingProxyType(
    {"mixed_versions": "The ends run different iperf3 versions, whose UDP loss cannot be believed."}
)
BYTES_TOLERANCE = 0.02
"""Share by which the bytes of the two ends may differ: what is under way when the clock stops."""
TCP_BLOCK_BYTES = 128 * 1024
"""iperf3 reads and writes at most this much at once under TCP unless ``-l`` says otherwise."""
PRINTED_PRECISION = 0.005
"""Share by which bytes may be too many because a text rounds them to three digits."""


def mixed_versions(record: Record, client: Finding) -> Trouble | None:
    """Whether two versions of iperf3 spoke UDP with each other (esnet/iperf issue 2055)."""
    if protocol_of(record, client) != "udp":
        return None
    versions = {end.side: _version(end.tool_version) for end in record.ends}
    known = {version for version in versions.values() if version is not None}
    if len(known) < 2:
        return None
    told = ", ".join(f"{side} {version}" for side, version in versions.items())
    return Trouble("mixed_versions", f"UDP between different versions ({told}) reports a wrong loss.")


def _version(line: str | None) -> str | None:
    found = re.search(r"\d+(?:\.\d+)+", line or "")
    return found.group(0) if found else None


def only_sent(record: Record, server: Finding) -> bool:
    """Whether the server only sent data, so that it cannot have a receiver's figure."""
    return bool(record.parameters.get("reverse")) and server.reason == "no_data"


def other_bytes(client: Finding, server: Finding) -> Trouble | None:
    """Whether the two ends tell of different amounts of data."""
    one, other = client.measured.get("bytes_received"), server.measured.get("bytes_received")
    if one is None or other is None or abs(one - other) <= BYTES_TOLERANCE * max(one, other):
        return None
    return Trouble("ends_disagree", f"{one:.0f} bytes arrived by the client's output, {other:.0f} by the server's.")


def too_few_calls(record: Record, end: End, rows: Iterable[SyscallCount], figures: Mapping[str, float]) -> str | None:
    """No call moves more than one block, so there are at least bytes / block of them."""
    reading = _is_reader(record, end)
    if reading is None or any("--gsro" in other.argv for other in record.ends):
        return None  # with --gsro one call moves many datagrams
    moved, block = figures.get("bytes_received"), figures.get("block_bytes") or _block_bytes(record)
    if moved is None or block is None:
        return None
    calls = calls_of(rows, READS if reading else WRITES)
    needed = moved * (1 - PRINTED_PRECISION) / block
    if calls >= needed - MESSAGE_SLACK:
        return None
    verb = "read" if reading else "write"
    return (
        f"{calls} {verb} calls of at most {block:.0f} bytes cannot have moved {moved:.0f} bytes, which takes "
        f"{needed:.0f}; the counts are of another run or incomplete"
    )


def _is_reader(record: Record, end: End) -> bool | None:
    """Whether this end receives the data; ``None`` when both do."""
    if record.client is not None and "--bidir" in record.client.argv:
        return None
    reverse = bool(record.parameters.get("reverse"))
    return (end.side == "client") == reverse


def _block_bytes(record: Record) -> int | None:
    """The most one call can move; ``None`` where it is not known (UDP without a length)."""
    given = _bytes_of(record.parameters.get("length"))
    if given is not None:
        return given
    return TCP_BLOCK_BYTES if (record.parameters.get("protocol") or "tcp") == "tcp" else None


def _bytes_of(amount: object) -> int | None:
    """The bytes of an iperf3 amount such as ``128K`` (1024 each step), ``None`` where it is not one."""
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)([KMGTkmgt]?)", str(amount)) if amount else None
    if found is None:
        return None
    return int(float(found.group(1)) * 1024 ** " kmgt".index(found.group(2).lower() or " ")) or None
