"""What iperf3's JSON and text have in common: one measured run as data, and the judgement on its content.

The two readers turn what they find into a :class:`Measured`; :func:`to_finding` turns that into a ``Finding``. A
figure that the output does not hold is ``None`` here and absent in the finding, never 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ...model import Sample, Side, Status
from ...parsing.bounds import beyond
from ...parsing.finding import Finding
from ...parsing.stall import Interval, stall_sentence

RELATIVE_TOLERANCE = 0.02
ABSOLUTE_TOLERANCE_SECONDS = 0.2

# Packets that received bytes may differ from the reported packet counts by: late and reordered datagrams are
# counted on different sides of the end of the test.
_PACKET_TOLERANCE = 0.02
_PACKET_TOLERANCE_COUNT = 64
_PACKET_TOLERANCE_FEW = 0.1
"""Of a short run, no more than this share."""
_OMIT_LOSS_MENDED = (3, 14)


@dataclass(frozen=True)
class Problem:
    """Something wrong with one run's output: a word of the gate's reasons and a sentence for people."""

    reason: str
    detail: str


@dataclass(frozen=True)
class Datagrams:
    """A receiver's own account of one UDP direction: ``lost`` out of ``packets`` sent."""

    lost: float
    packets: float
    jitter_ms: float | None = None


@dataclass(frozen=True)
class Direction:
    """One direction of one run; ``None`` is "not in the output"."""

    sent_bps: float | None = None
    sent_bytes: float | None = None
    received_bps: float | None = None
    received_bytes: float | None = None
    seconds: float | None = None
    retransmits: float | None = None
    datagrams: Datagrams | None = None
    receiver_is_local: bool = False
    """True when the end that printed this received the data, so that its packet counts were not exchanged."""
    received_is_sent: bool = False
    """True when the output has one byte count for both ends (UDP up to 3.10.1): the sender's."""
    intervals: tuple[Interval, ...] = ()
    """What the end that printed this sent or received in each interval, of all streams, without omitted ones."""


@dataclass(frozen=True)
class Measured:
    """One run as its output shows it. ``forward`` is client to server, ``backward`` server to client."""

    side: Side | None = None
    version: str | None = None
    protocol: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    forward: Direction | None = None
    backward: Direction | None = None
    cpu_server: float | None = None
    cpu_client: float | None = None
    streams_seen: int | None = None
    streams_expected: int | None = None
    interval_count: int | None = None
    interval_seconds: float | None = None
    ended: bool = False
    """True when the output has its closing part, with or without figures in it."""
    problems: tuple[Problem, ...] = ()
    disagreements: tuple[Problem, ...] = ()
    """Figures of the output that cannot belong to one run; they count where nothing else is wrong."""
    notes: tuple[str, ...] = ()
    line: int = 1


_ERRORS: tuple[tuple[str, str], ...] = (
    ("busy", r"server is busy running a test"),
    # 3.9 cannot tell the server that it never reached it, and says this instead of why.
    ("refused", r"connection refused|unable to send control message: bad file descriptor"),
    ("address_in_use", r"address already in use"),
    ("address_missing", r"cannot assign requested address|no route to host|network is unreachable"),
    ("bad_option", r"parameter error|^(?:unrecogni[sz]ed|invalid) option|^option .*requires an argument"),
    (
        "interrupted",
        r"interrupt|(?:client|server) has (?:terminated|unexpectedly closed)"
        r"|control socket has closed unexpectedly",
    ),
)


def classify_error(message: str) -> str:
    """Return the reason word for one error message of iperf3; ``tool_error`` where no other says more."""
    for reason, pattern in _ERRORS:
        if re.search(pattern, message, re.IGNORECASE):
            return reason
    return "tool_error"


def version_number(version: str | None) -> tuple[int, ...]:
    """Return ``"3.10.1+"`` as ``(3, 10, 1)``; an unknown version is ``()``, less than any other."""
    match = re.match(r"\d+(?:\.\d+)*", version or "")
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def to_finding(run: Measured) -> Finding:
    """Decide what one run's output is worth, on its content alone, and name its figures."""
    run = _with_directions(_with_directions(run, _drop_untrusted_loss), _derive_throughput)
    problem = _first_problem(run)
    # Where nothing but the receiver's figure is missing, the sender's own is still what it measured.
    believed = problem is None or (problem[0] == "invalid" and problem[1].reason == "no_data")
    samples = tuple(_samples(run)) if believed else ()
    status: Status = "valid" if problem is None else problem[0]
    return Finding(
        tool="iperf3",
        mode=_mode(run),
        status=status,
        reason="" if problem is None else problem[1].reason,
        detail="" if problem is None else problem[1].detail,
        side=run.side,
        version=run.version,
        parameters=dict(run.parameters),
        samples=samples,
        notes=run.notes,
        line=run.line,
        measured=_measured(run),
        stalled=stall_sentence((_words(run, suffix), one.intervals) for suffix, one in _named_directions(run)),
    )


def _measured(run: Measured) -> dict[str, float]:
    """What the gate compares ends and traces with; of a run in both directions, the forward one's seconds only."""
    directions = _named_directions(run)
    if not directions:
        return {}
    first = directions[0][1]
    found = {"seconds": first.seconds}
    if len(directions) == 1:
        found["bytes_received"] = first.received_bytes or None
    found["block_bytes"] = run.parameters.get("length")
    return {name: value for name, value in found.items() if value is not None}


def _mode(run: Measured) -> str:
    """Return protocol and direction in one word; empty where the output ends before it says them."""
    if run.protocol is None:
        return ""
    protocol = run.protocol.lower()
    if run.parameters.get("bidir") or (run.forward is not None and run.backward is not None):
        return f"{protocol}-bidir"
    if run.parameters.get("reverse") or run.backward is not None:
        return f"{protocol}-reverse"
    return protocol


def _named_directions(run: Measured) -> tuple[tuple[str, Direction], ...]:
    """Pair each direction with the suffix of its metrics: a run in one direction, either one, has none."""
    if run.forward is not None and run.backward is not None:
        return (("", run.forward), ("_reverse", run.backward))
    only = run.forward if run.forward is not None else run.backward
    return () if only is None else (("", only),)


def _words(run: Measured, suffix: str) -> str:
    """Name a direction where there are two."""
    if run.forward is None or run.backward is None:
        return ""
    return " from the server to the client" if suffix else " from the client to the server"


def _first_problem(run: Measured) -> tuple[Status, Problem] | None:
    """Return what makes the run unusable, with the status it earns, most telling first."""
    directions = [direction for _, direction in _named_directions(run)]
    measured = any(one.sent_bytes or one.received_bytes or one.datagrams for one in directions)
    worst: Status = "invalid" if measured and run.ended else "failed"
    for problem in run.problems:
        # A document that stops in the middle may stop in the middle of a number: nothing in it is a figure.
        unreadable = problem.reason in ("truncated", "malformed", "no_output")
        return ("failed" if unreadable and not run.ended else worst), problem
    if not run.ended:
        return "failed", Problem("truncated", "The output stops before its summary: run it again.")
    if not directions:
        return "failed", Problem(
            "no_data", "The output has an end but no figures in it; see the tool's errors."
        )
    for check in _CHECKS:
        found = check(run)
        if found is not None:
            return worst, found
    return None


def _out_of_bounds(run: Measured) -> Problem | None:
    """Look at every figure before any two are compared: what cannot be explains why they do not agree."""
    for _, direction in _named_directions(run):
        seconds = {} if direction.seconds is None else {"seconds": direction.seconds}
        for moved in (direction.received_bytes, direction.sent_bytes):
            sentence = beyond((), seconds if moved is None else {**seconds, "bytes_received": moved})
            if sentence:
                return Problem("out_of_bounds", sentence)
    sentence = beyond(_samples(run))
    return Problem("out_of_bounds", sentence) if sentence else None


def _no_seconds(run: Measured) -> Problem | None:
    """A rate over an unknown time proves nothing; in an output that is whole every rate has its seconds."""
    if all(direction.seconds for _, direction in _named_directions(run) if direction.received_bytes):
        return None
    return Problem("malformed", "The receiver's figure has no seconds beside it.")


def _disagreement(run: Measured) -> Problem | None:
    return next(iter(run.disagreements), None)


def _no_data(run: Measured) -> Problem | None:
    for suffix, direction in _named_directions(run):
        if direction.received_bytes and direction.received_bps:
            continue
        if suffix == "_reverse" and run.side == "server":
            continue  # the client is that direction's receiver and its figure is in the client's output
        return Problem(
            "no_data",
            "The receiver's figure is missing or zero"
            + (" in the reverse direction" if suffix else "")
            + "; the sender's count of bytes handed to the kernel is no measure of the network.",
        )
    return None


def _tolerance(asked: float) -> float:
    return max(RELATIVE_TOLERANCE * asked, ABSOLUTE_TOLERANCE_SECONDS)


def _wrong_length(run: Measured) -> Problem | None:
    asked = run.parameters.get("seconds")
    amount = run.parameters.get("bytes")
    for _, direction in _named_directions(run):
        if asked and direction.seconds is not None:
            if direction.seconds < asked - _tolerance(asked):
                return Problem(
                    "short_run", f"It measured {direction.seconds:g} s of the {asked:g} s asked for."
                )
            if direction.seconds > asked + _tolerance(asked):
                return Problem(
                    "long_run", f"It measured {direction.seconds:g} s, more than the {asked:g} s asked for."
                )
        if (
            amount
            and direction.sent_bytes is not None
            and direction.sent_bytes < amount * (1 - RELATIVE_TOLERANCE)
        ):
            return Problem("short_run", f"It sent {direction.sent_bytes:g} B of the {amount:g} B asked for.")
    return None


def _missing_streams(run: Measured) -> Problem | None:
    if run.streams_seen is None or run.streams_expected is None or run.streams_seen == run.streams_expected:
        return None
    return Problem(
        "missing_streams", f"{run.streams_expected} streams were asked for, {run.streams_seen} reported."
    )


def _implausible_intervals(run: Measured) -> Problem | None:
    """Compare the count of intervals with the seconds measured: a short last one may be printed or not."""
    seconds = [direction.seconds for _, direction in _named_directions(run) if direction.seconds]
    if run.interval_count is None or not run.interval_seconds or not seconds:
        return None
    expected = math.floor(min(max(seconds) / run.interval_seconds, 1e9) + 0.1)
    if run.interval_count < expected - 1:
        return Problem("short_run", f"{expected} intervals were expected and {run.interval_count} reported.")
    if run.interval_count > expected + 2:
        return Problem("malformed", f"{expected} intervals were expected and {run.interval_count} reported.")
    return None


_CHECKS = (
    _out_of_bounds, _no_data, _no_seconds, _wrong_length, _missing_streams, _implausible_intervals, _disagreement,
)  # fmt: skip


def _with_directions(
    run: Measured, change: Callable[[Measured, Direction], tuple[Direction, str]]
) -> Measured:
    """Return ``run`` with ``change`` made to each direction, and the note that each change brings."""
    for name in ("forward", "backward"):
        direction: Direction | None = getattr(run, name)
        if direction is None:
            continue
        changed, note = change(run, direction)
        notes = (*run.notes, note) if note and note not in run.notes else run.notes
        run = (
            replace(run, forward=changed, notes=notes)
            if name == "forward"
            else replace(run, backward=changed, notes=notes)
        )
    return run


def _derive_throughput(run: Measured, direction: Direction) -> tuple[Direction, str]:
    """Work out what a UDP receiver got where only the sender's bytes are printed (up to 3.10.1).

    The receiver's own packet counts times the datagram's length is what it received, exactly: iperf3 sends no
    datagram of another length.
    """
    counts = direction.datagrams
    if (
        not direction.received_is_sent
        or counts is None
        or counts.packets <= counts.lost
        or not direction.seconds
    ):
        return direction, ""
    length = run.parameters.get("length")
    if not length and direction.sent_bytes:
        length = direction.sent_bytes / counts.packets
    if not length:
        return direction, ""
    arrived = counts.packets - counts.lost
    received = arrived * length
    derived = replace(direction, received_bytes=received, received_bps=8 * received / direction.seconds)
    return (
        derived,
        "throughput_received is the receiver's packets times their length: this version prints no bytes",
    )


def _drop_untrusted_loss(run: Measured, direction: Direction) -> tuple[Direction, str]:
    """Drop packet counts that the receiver's own bytes contradict.

    A client of 3.13 or later that talks to a server of 3.12 or older reports no loss whatever was lost
    (https://github.com/esnet/iperf/issues/2055); the bytes it reports are the server's and are right.
    """
    if direction.datagrams is None:
        return direction, ""
    reason = _distrust(run, direction, direction.datagrams)
    return (replace(direction, datagrams=None), reason) if reason else (direction, "")


def _distrust(run: Measured, direction: Direction, counts: Datagrams) -> str:
    """Return why the counts cannot be believed, or nothing."""
    if not 0 <= counts.lost <= counts.packets:
        return f"loss is left out: {counts.lost:g} lost of {counts.packets:g} packets cannot be"
    if run.parameters.get("omit") and version_number(run.version) < _OMIT_LOSS_MENDED:
        return "loss is left out: before 3.14 it is wrong when seconds are omitted"
    arrived = _arrived_by_bytes(run.parameters.get("length"), direction, counts)
    if arrived is None:
        return ""
    reported = counts.packets - counts.lost
    few = min(_PACKET_TOLERANCE_COUNT, _PACKET_TOLERANCE_FEW * counts.packets)
    if abs(reported - arrived) <= max(_PACKET_TOLERANCE * counts.packets, few):
        return ""
    return (
        f"loss is left out: {reported:.0f} packets are said to have arrived, the bytes make {arrived:.0f}"
        " (a known fault between iperf3 versions)"
    )


def _arrived_by_bytes(length: float | None, direction: Direction, counts: Datagrams) -> float | None:
    """Return how many packets the receiver's bytes make, by their length or by their share of those sent."""
    if direction.received_bytes is None or direction.received_is_sent:
        return None
    if length:
        return direction.received_bytes / length
    return counts.packets * direction.received_bytes / direction.sent_bytes if direction.sent_bytes else None


def _samples(run: Measured) -> list[Sample]:
    found: list[Sample] = []
    for suffix, direction in _named_directions(run):
        found += _direction_samples(direction, suffix)
    for metric, value in (("cpu_server", run.cpu_server), ("cpu_client", run.cpu_client)):
        if value is not None and value > 0:
            found.append(Sample(metric, "%", value))
    return found


def _direction_samples(direction: Direction, suffix: str) -> list[Sample]:
    found: list[Sample] = []
    if direction.received_bytes and direction.received_bps:
        found.append(Sample(f"throughput_received{suffix}", "bit/s", direction.received_bps))
    if direction.sent_bytes and direction.sent_bps:
        found.append(Sample(f"throughput_sent{suffix}", "bit/s", direction.sent_bps))
    if direction.retransmits is not None and direction.retransmits >= 0:
        found.append(Sample(f"retransmits{suffix}", "count", direction.retransmits))
    counts = direction.datagrams
    if counts is None or counts.packets <= 0:
        return found
    if direction.seconds:
        arrived = counts.packets - counts.lost
        found.append(Sample(f"packets_per_second{suffix}", "1/s", arrived / direction.seconds))
    found.append(Sample(f"loss{suffix}", "%", 100 * counts.lost / counts.packets))
    if counts.jitter_ms is not None:
        found.append(Sample(f"jitter{suffix}", "us", 1000 * counts.jitter_ms))
    return found
