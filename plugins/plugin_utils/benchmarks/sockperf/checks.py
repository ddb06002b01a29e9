"""Is a run of sockperf what was planned, do its ends agree, and can the system calls beside it be its own?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ...model import SyscallCount
from ...parsing.finding import Finding
from ...records.record import End, Record, Trouble, number_of
from ...tracing.evidence import MESSAGE_SLACK, READS, calls_of
from ..benchmark import SECONDS_TOLERANCE, Duration, protocol_of
from .output import LOST, WINDOW_LOST_SECONDS, WINDOW_SHARE

REPLY_GAPS = 3
"""Mean gaps between two replies that may be missing from the window of a run."""
SENDS = ("sendto", "sendmsg", "sendmmsg")


def duration(record: Record, client: Finding, asked: float) -> Duration:
    """Only a throughput run covers all of its seconds.

    A run that lost one message measures less and says nothing, so nothing more is forgiven there than what lies
    between two replies (under-load asks for one in a hundred).
    """
    if record.parameters.get("mode") == "throughput":
        return Duration.around(asked)
    expected = asked - WINDOW_LOST_SECONDS
    least = WINDOW_SHARE * expected - min(REPLY_GAPS * _reply_gap(client, asked), expected / 2)
    return replace(Duration.around(expected), least=least)


def _reply_gap(client: Finding, asked: float) -> float:
    """Mean seconds between two replies; 0 where their number is not known."""
    received = client.measured.get("messages_received", 0.0)
    return asked / received if received > 0 else 0.0


def too_many_messages(record: Record, client: Finding) -> Trouble | None:
    """In a ping-pong one message at a time is on its way, so their round trips one after another fill the run."""
    burst = number_of(record.parameters, "burst") or client.parameters.get("burst") or 1
    if not _is_ping_pong(record) or burst != 1:
        return None
    figures = {sample.metric: sample.value for sample in client.samples}
    rate, trip = figures.get("message_rate"), figures.get("rtt_mean", 2 * figures.get("latency_mean", 0.0))
    if rate is None or rate * trip / 1e6 <= 1 + SECONDS_TOLERANCE:
        return None
    told = f"{rate:.0f} round trips a second of {trip:.3f} us each do not fit into a second"
    return Trouble("out_of_bounds", f"{told} of a ping-pong.")


def lost_message(record: Record, client: Finding) -> Trouble | None:
    """Other modes report loss; in a ping-pong it ends the run, or makes it two that overlap."""
    if not _is_ping_pong(record):
        return None
    figures = {sample.metric: sample.value for sample in client.samples}
    counts = [int(figures.get(name, 0)) for name in ("dropped", "duplicated", "out_of_order")]
    return Trouble("message_lost", LOST.format(*counts)) if any(counts) else None


def _is_ping_pong(record: Record) -> bool:
    return record.parameters.get("mode") == "ping-pong"


def other_messages(record: Record, client: Finding, server: Finding) -> Trouble | None:
    """Whether the server handled other messages than the client sent."""
    handled = server.measured.get("messages_handled")
    sent = client.measured.get("messages_sent")
    if handled is None:
        return Trouble(
            "server_unconfirmed",
            "The server did not say how many messages it handled; another server may have answered.",
        )
    if sent is None:
        return None
    mode = record.parameters.get("mode") or client.mode
    may_lose = mode in ("under-load", "throughput") and protocol_of(record, client) == "udp"
    lost = sent - handled
    if -MESSAGE_SLACK <= lost <= MESSAGE_SLACK or (may_lose and lost > 0):
        return None
    return Trouble("ends_disagree", f"The client sent {sent:.0f} messages, the server handled {handled:.0f}.")


def other_calls(end: End, rows: Iterable[SyscallCount], figures: Mapping[str, float]) -> str | None:
    """The client sends each message with one call; the server answers what it got."""
    sent = figures.get("messages_sent")
    if end.side == "server":
        sent = figures.get("messages_handled", sent)
        calls, verb = calls_of(rows, READS), "receive"
    else:
        calls, verb = calls_of(rows, SENDS), "send"
    if sent is None:
        return None
    # Receives may end early (a timeout, the stop) or be split (a stream), so only the send side is exact.
    too_few = calls < sent - MESSAGE_SLACK
    too_many = end.side == "client" and calls > sent + MESSAGE_SLACK
    if too_few or too_many:
        return f"{calls} {verb} calls were counted for {sent:.0f} messages"
    return None
