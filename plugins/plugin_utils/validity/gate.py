"""The validity gate: what may be believed of one run.

Exit codes of iperf3 and sockperf lie both ways, so a run is judged on the content of its record alone. A run
is ``failed`` when nothing was measured, or when what ended it had nothing to do with the network
(`NEVER_MEASURED`), and ``invalid`` when something was measured that cannot be believed;
only ``valid`` runs give samples and system-call rows. A figure that was not measured is absent, never 0.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..benchmarks.scan import scan
from ..benchmarks.sockperf.output import LOST
from ..model import Judgement, Sample, Side, Status, SyscallCount, Target
from ..parsing.bounds import beyond, beyond_calls
from ..parsing.finding import Finding
from ..records.record import End, MalformedRecord, Record, Trouble, number_of, record_of
from ..tracing.evidence import MESSAGE_SLACK, Evidence, examine, examine_vmm, per_gib, per_message
from .host_figures import host_samples, set_clock
from .reasons import CLOSING_WORDS, CONSEQUENCES, NEVER_MEASURED, REASONS

SECONDS_TOLERANCE = 0.02
SECONDS_TOLERANCE_MIN = 0.2
SOCKPERF_CUT_SECONDS = 0.45
"""sockperf drops the first 400 ms and the last 50 ms of what it measured."""
BYTES_TOLERANCE = 0.02
"""Share by which the bytes of the two ends may differ: what is under way when the clock stops."""


def judge(record: Mapping[str, Any]) -> Judgement:
    """Decide whether one record (docs/data.md) may be believed, and give its figures. Never raises."""
    try:
        return _judge(record_of(record))
    except MalformedRecord as fault:
        return Judgement("invalid", "malformed", f"{fault}.")
    except Exception as fault:  # one record must never keep the others from their table
        return Judgement(
            "invalid", "gate_error", f"{type(fault).__name__}: {fault}. Please report this with the record."
        )


def _judge(record: Record) -> Judgement:
    client = _read(record, record.client)
    server = _read(record, record.server)
    trouble = _nothing_measured(record)
    if trouble is not None:
        return Judgement("failed", trouble.reason, trouble.detail)
    told = _told_by_an_end(record)
    if told is not None and told.reason in CLOSING_WORDS:
        judged = _by_content(record, client, server, None)
        if judged.status == "valid":
            return judged
    return _by_content(record, client, server, told)


def _by_content(
    record: Record, client: Finding | Trouble | None, server: Finding | Trouble | None, told: Trouble | None
) -> Judgement:
    trouble = told or _ended_by_its_limit(record) or _told_by_the_client(record, client)
    if trouble is not None:
        return _without_figures(trouble, measured=isinstance(client, Finding) and client.status != "failed")
    assert isinstance(client, Finding)
    trouble = _not_as_planned(record, client) or _not_confirmed(record, client, server)
    if trouble is not None:
        return _without_figures(trouble, measured=True)
    judgement = _believe(record, client, server if isinstance(server, Finding) else None)
    sentence = beyond(judgement.samples, client.measured) or beyond_calls(judgement.syscalls)
    return _without_figures(Trouble("out_of_bounds", sentence), measured=True) if sentence else judgement


def _without_figures(trouble: Trouble, *, measured: bool) -> Judgement:
    status: Status = "invalid" if measured and trouble.reason not in NEVER_MEASURED else "failed"
    return Judgement(status, trouble.reason, trouble.detail)


# What each end's output says.


def _read(record: Record, end: End | None) -> Finding | Trouble | None:
    """The one finding in an end's output, why there is not one, or ``None`` where the output is not known."""
    if end is None or end.stdout is None:
        return None
    findings = [found for found in _scan_text(end.stdout) if found.tool == record.benchmark]
    # iperf3 in text names its error on standard error alone; 3.9 in JSON too, beside a document without figures.
    if not findings:
        findings = [found for found in _scan_text(end.stderr) if found.tool == record.benchmark]
    elif len(findings) == 1 and (findings[0].status, findings[0].reason) == ("failed", "no_data"):
        findings = [found for found in _scan_text(end.stderr) if found.status == "failed"][:1] or findings
    if len(findings) > 1:
        lines = ", ".join(str(found.line) for found in findings[:5])
        return Trouble(
            "several_runs", f"The {end.side}'s output holds {len(findings)} runs, at lines {lines}."
        )
    if findings:
        return findings[0]
    if not end.stdout.strip():
        return Trouble(
            "no_output", f"{record.benchmark} printed nothing on the {end.side}{_tail(end.stderr)}."
        )
    return Trouble(
        "unrecognised",
        f"The {end.side}'s output is not {record.benchmark}'s: it ends with {_last_line(end.stdout)!r}.",
    )


def _scan_text(text: str) -> list[Finding]:
    return list(scan(text.splitlines(keepends=True)))


def _tail(stderr: str) -> str:
    line = _last_line(stderr)
    return f"; on standard error: {line}" if line else ""


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip()[:160] if lines else ""


# Nothing was measured.


def _nothing_measured(record: Record) -> Trouble | None:
    if record.error is not None:
        return _known(record.error, "module_failed")
    missing = [side for side, end in (("server", record.server), ("client", record.client)) if end is None]
    if missing:
        return Trouble("no_end", f"The {' and the '.join(missing)} returned nothing.")
    return None


def _told_by_an_end(record: Record) -> Trouble | None:
    """A problem that an end saw itself: the one from which the other follows, else the server's."""
    told = [(end, _known(end.problem, "tool_error")) for end in record.ends if end.problem is not None]
    for end, trouble in sorted(told, key=lambda item: CONSEQUENCES.get(item[1].reason, 0)):
        return Trouble(trouble.reason, f"{end.side}: {trouble.detail}")
    for end in record.ends:
        if end.output_cut:
            return Trouble("output_too_large", f"{end.side}: {REASONS['output_too_large']}")
    return None


def _ended_by_its_limit(record: Record) -> Trouble | None:
    for end in record.ends:
        if end.timed_out:
            return Trouble("timed_out", f"The {end.side} was ended by its time limit.")
    return None


def _known(trouble: Trouble, otherwise: str) -> Trouble:
    """The trouble in words of `REASONS`; a word of a later version stays readable in the sentence."""
    if trouble.reason in REASONS:
        return Trouble(trouble.reason, trouble.detail or REASONS[trouble.reason])
    return Trouble(otherwise, f"{trouble.reason}: {trouble.detail}")


def _told_by_the_client(record: Record, client: Finding | Trouble | None) -> Trouble | None:
    if client is None:
        return Trouble("no_output", "What the client printed is not known.")
    if isinstance(client, Trouble):
        return client
    if client.status != "valid":
        return _known(Trouble(client.reason, client.detail), "tool_error")
    if client.side == "server":
        return Trouble("wrong_tool", "The client's output is that of a server.")
    return None


# Something was measured: is it what was planned, and do both ends say the same?


def _not_as_planned(record: Record, client: Finding) -> Trouble | None:
    return (
        _other_duration(record, client)
        or _other_parameters(record, client)
        or _other_peer(record, client)
        or _too_many_messages(record, client)
        or _lost_message(record, client)
        or _mixed_versions(record, client)
    )


def _other_duration(record: Record, client: Finding) -> Trouble | None:
    asked, measured = number_of(record.parameters, "seconds"), client.measured.get("seconds")
    if asked is None or measured is None:
        return None
    windowed = record.benchmark == "sockperf" and record.parameters.get("mode") != "throughput"
    expected = asked - SOCKPERF_CUT_SECONDS if windowed else asked
    slack = max(SECONDS_TOLERANCE * expected, SECONDS_TOLERANCE_MIN)
    least = expected - slack
    if windowed:
        # A sockperf that lost one message measures less and says nothing, so nothing more is forgiven there
        # than what lies between two replies (under-load asks for one in a hundred).
        least = (1 - SECONDS_TOLERANCE) * expected - min(3 * _reply_gap(client, asked), expected / 2)
    told = f"measured {measured:g} s, {expected:g} s were to be measured in a run of {asked:g} s"
    if measured < least:
        return Trouble("short_run", f"The client {told}.")
    if measured > expected + slack:
        return Trouble("long_run", f"The client {told}.")
    return None


def _reply_gap(client: Finding, asked: float) -> float:
    """Mean seconds between two replies; 0 where their number is not known."""
    received = client.measured.get("messages_received", 0.0)
    return asked / received if received > 0 else 0.0


COMPARED_PARAMETERS = (
    "protocol",
    "parallel",
    "message_bytes",
    "reverse",
    "bidir",
    "mode",
    "full_rtt",
)


def _other_parameters(record: Record, client: Finding) -> Trouble | None:
    for name in COMPARED_PARAMETERS:
        planned, shown = record.parameters.get(name), client.parameters.get(name)
        if planned is None or shown is None or planned == shown:
            continue
        reason = "missing_streams" if name == "parallel" else "parameters"
        return Trouble(reason, f"{name} was planned as {planned}, the output shows {shown}.")
    return None


def _other_peer(record: Record, client: Finding) -> Trouble | None:
    assert record.server is not None
    for name, planned in (("address", record.server.address), ("port", record.server.port)):
        shown = client.parameters.get(name)
        if planned is not None and shown is not None and _spelt(shown) != _spelt(planned):
            return Trouble("peer", f"The client was connected to {name} {shown}, planned was {planned}.")
    return None


def _spelt(address: object) -> str:
    """An address in one spelling, however many zeros IPv6 was written with; anything else as it is."""
    text = str(address).partition("%")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _too_many_messages(record: Record, client: Finding) -> Trouble | None:
    """In a ping-pong one message at a time is on its way, so their round trips one after another fill the run."""
    burst = number_of(record.parameters, "burst") or client.parameters.get("burst") or 1
    if record.benchmark != "sockperf" or record.parameters.get("mode") != "ping-pong" or burst != 1:
        return None
    figures = {sample.metric: sample.value for sample in client.samples}
    rate, trip = figures.get("message_rate"), figures.get("rtt_mean", 2 * figures.get("latency_mean", 0.0))
    if rate is None or rate * trip / 1e6 <= 1 + SECONDS_TOLERANCE:
        return None
    told = f"{rate:.0f} round trips a second of {trip:.3f} us each do not fit into a second"
    return Trouble("out_of_bounds", f"{told} of a ping-pong.")


def _lost_message(record: Record, client: Finding) -> Trouble | None:
    """What is a figure of the other modes ends a ping-pong, or makes it two that overlap."""
    if record.benchmark != "sockperf" or record.parameters.get("mode") != "ping-pong":
        return None
    figures = {sample.metric: sample.value for sample in client.samples}
    counts = [int(figures.get(name, 0)) for name in ("dropped", "duplicated", "out_of_order")]
    return Trouble("message_lost", LOST.format(*counts)) if any(counts) else None


def _mixed_versions(record: Record, client: Finding) -> Trouble | None:
    if record.benchmark != "iperf3" or _protocol(record, client) != "udp":
        return None
    versions = {end.side: _version(end.tool_version) for end in record.ends}
    known = {version for version in versions.values() if version is not None}
    if len(known) < 2:
        return None
    told = ", ".join(f"{side} {version}" for side, version in versions.items())
    return Trouble("mixed_versions", f"UDP between different versions ({told}) reports a wrong loss.")


def _protocol(record: Record, client: Finding) -> str:
    return str(record.parameters.get("protocol") or client.parameters.get("protocol") or "tcp").lower()


def _version(line: str | None) -> str | None:
    found = re.search(r"\d+(?:\.\d+)+", line or "")
    return found.group(0) if found else None


def _not_confirmed(record: Record, client: Finding, server: Finding | Trouble | None) -> Trouble | None:
    """Whether the server's output contradicts the client's. Hand-kept notes have none: nothing to compare."""
    if server is None:
        return None
    if isinstance(server, Trouble):
        return Trouble("server_unconfirmed", server.detail)
    if _only_sent(record, server):
        return None
    if server.status != "valid":
        trouble = _known(Trouble(server.reason, server.detail), "tool_error")
        return Trouble(trouble.reason, f"server: {trouble.detail}")
    if record.benchmark == "sockperf":
        return _other_messages(record, client, server)
    return _other_bytes(client, server)


def _only_sent(record: Record, server: Finding) -> bool:
    """Whether the server only sent data, so that it cannot have a receiver's figure."""
    return bool(record.parameters.get("reverse")) and server.reason == "no_data"


def _other_messages(record: Record, client: Finding, server: Finding) -> Trouble | None:
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
    may_lose = mode in ("under-load", "throughput") and _protocol(record, client) == "udp"
    lost = sent - handled
    if -MESSAGE_SLACK <= lost <= MESSAGE_SLACK or (may_lose and lost > 0):
        return None
    return Trouble("ends_disagree", f"The client sent {sent:.0f} messages, the server handled {handled:.0f}.")


def _other_bytes(client: Finding, server: Finding) -> Trouble | None:
    one, other = client.measured.get("bytes_received"), server.measured.get("bytes_received")
    if one is None or other is None or abs(one - other) <= BYTES_TOLERANCE * max(one, other):
        return None
    return Trouble(
        "ends_disagree", f"{one:.0f} bytes arrived by the client's output, {other:.0f} by the server's."
    )


# The run is valid: its figures.


def _believe(record: Record, client: Finding, server: Finding | None) -> Judgement:
    # What the server says it handled or received comes from itself; everything else from the client.
    figures = {**client.measured, **_handled(server)}
    samples = list(client.samples)
    rows: list[SyscallCount] = []
    evidences: list[tuple[End, Evidence]] = []
    checks = dict(_checks(record, client, server))
    for end in record.ends:
        samples.extend(host_samples(end))
        if not record.traced:
            continue
        evidence = examine(record, end, figures)
        evidences.append((end, evidence))
        rows.extend(evidence.rows)
        for word, sentence in evidence.checks.items():
            checks[word] = f"{checks[word]}; {sentence}" if word in checks else sentence
    # Where one table of handwritten notes is of another run, the other one most likely is too.
    suspect = record.imported and "trace_mismatch" in checks
    for end, evidence in evidences:
        if evidence.belongs and not suspect:
            samples.extend(_per_unit(record, end.side, evidence.rows, figures))
    for observation in record.server.observations if record.server else ():
        evidence = examine_vmm(observation)
        rows.extend(evidence.rows)
        samples.extend(_per_unit(record, observation.side, evidence.rows, figures, "vmm") if evidence.rows else ())
        for word, sentence in evidence.checks.items():
            checks[word] = f"{checks[word]}; {sentence}" if word in checks else sentence
    return Judgement("valid", "", "", checks, tuple(samples), tuple(rows))


def _per_unit(
    record: Record,
    side: Side,
    rows: tuple[SyscallCount, ...],
    figures: Mapping[str, float],
    target: Target = "process",
) -> Iterator[Sample]:
    if record.benchmark == "sockperf" and figures.get("messages_sent", 0) > 0:
        yield per_message(rows, side, figures["messages_sent"], target)
    if record.benchmark == "iperf3" and figures.get("bytes_received", 0) > 0:
        yield per_gib(rows, side, figures["bytes_received"], target)


def _handled(server: Finding | None) -> Mapping[str, float]:
    handled = None if server is None else server.measured.get("messages_handled")
    return {} if handled is None else {"messages_handled": handled}


def _checks(record: Record, client: Finding, server: Finding | None) -> Iterator[tuple[str, str]]:
    if record.source_notes:
        yield "source_note", "; ".join(record.source_notes)
    notes = [*client.notes, *(f"server: {note}" for note in (server.notes if server else ()))]
    if notes:
        yield "tool_note", "; ".join(notes)
    sent = client.measured.get("messages_sent")
    handled = _handled(server).get("messages_handled")
    if sent is not None and handled is not None and handled < sent - MESSAGE_SLACK:
        yield "messages_lost", f"the server handled {handled:.0f} of {sent:.0f} messages"
    found = (("client", client), ("server", server))
    stalls = [f"{side}: {finding.stalled}" for side, finding in found if finding is not None and finding.stalled]
    if stalls:
        yield "stalled", "; ".join(stalls)
    clocks = [sentence for end in record.ends if (sentence := set_clock(end))]
    if clocks:
        yield "clock_set", "; ".join(clocks)


