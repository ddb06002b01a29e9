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
from types import MappingProxyType
from typing import Any

from ..benchmarks.scan import scan
from ..benchmarks.sockperf.output import LOST
from ..model import Judgement, Sample, Side, Status, SyscallCount, Target
from ..parsing.bounds import beyond, beyond_calls
from ..parsing.finding import Finding
from ..records.record import End, Figures, MalformedRecord, RecordView, Trouble, number_of, read_record
from ..tracing.evidence import MESSAGE_SLACK, Evidence, examine, examine_vmm, per_gib, per_message

REASONS: Mapping[str, str] = MappingProxyType(
    {
        # Nothing was measured.
        "unreachable": "The controller could not reach a host.",
        "module_failed": "The program on a host under test failed before it could measure.",
        "interrupted": "The run was stopped from outside before its end.",
        "not_run": "The run was planned and has not been executed.",
        "no_end": "One of the two ends returned nothing.",
        "refused": "The client was refused, or found nobody listening.",
        "busy": "The server was already running a test for somebody else.",
        "port_taken": "The server's port was taken by another process.",
        "address_in_use": "The benchmark could not listen because another process did.",
        "server_not_listening": "The server did not listen within its limit.",
        "server_not_ready": "The server end said that it could not start the run.",
        "server_died": "The server ended before it listened.",
        "peer_lost": "The other end went away, or did not answer within its limit.",
        "control_changed": "Somebody on the network changed, repeated or left out what the two ends said to each other.",
        "control_port": "The two ends could not open the connection on which they meet.",
        "host_busy": "Another sweep is measuring on the host.",
        "host_rebooted": "The host was restarted after it had been looked at.",
        "disk_full": "A host has too little room for the outputs of a run.",
        "host_error": "The operating system of a host refused something the run needs.",
        "mtu_not_set": "The MTU that the run asks for could not be set, did not stay, or could not be put back.",
        "cpus_not_set": "The benchmark could not be pinned to the CPUs that the host names.",
        "tool_missing": "The benchmark is not installed.",
        "no_output": "The benchmark printed nothing.",
        "bad_option": "The benchmark does not know an option, or refuses its value.",
        "address_missing": "The address is not on the host, or has no route.",
        "no_messages": "The client received no message from the server.",
        "malformed_reply": "What a host returned is not what it was asked for.",
        "no_answer": "A host did not answer within the time that the plan allows.",
        "process_stopped": "A process of the run was stopped from outside (SIGSTOP) and did not come back in time.",
        "process_killed": "A process of the run was killed from outside, or by the kernel for lack of memory.",
        "output_too_large": "A program printed more than is kept of one run.",
        "unrecognised": "The output is of none of the tools this project reads.",
        # Something was measured, and cannot be believed.
        "malformed": "The record, or the output in it, is not what it should be.",
        "tool_error": "The benchmark reported an error.",
        "truncated": "The output stops before its end.",
        "timed_out": "The run was ended by its time limit.",
        "port_not_released": "The server's port was still held after the server was stopped.",
        "short_run": "The run measured for less time than was asked for.",
        "long_run": "The run measured for more time than was asked for.",
        "no_data": "No data arrived, or the receiver's figure is missing.",
        "missing_streams": "The number of streams is not what was asked for.",
        "peer": "The client was connected to another address or port than planned.",
        "parameters": "The benchmark ran with other parameters than planned.",
        "duplicate_keys": "A JSON key appears twice with different values, so figures are lost.",
        "message_lost": "A message was lost or reordered, which ends or falsifies a ping-pong silently.",
        "no_observations": "There is no valid observation.",
        "ends_disagree": "The two ends do not agree on what was transferred.",
        "server_unconfirmed": "The server's output does not prove that it was the one that answered.",
        "mixed_versions": "The ends run different iperf3 versions, whose UDP loss cannot be believed.",
        "out_of_bounds": "A figure is beyond what any network carries or any run can measure.",
        "streams_disagree": "The rows of the streams are not as many as the streams, or do not add up to their sum.",
        "several_runs": "One output holds more than one run.",
        "wrong_tool": "The output is of another tool than planned.",
        "gate_error": "The record could not be judged because of a fault in this program.",
        # Of traces only.
        "vmm_not_traced": "The process that carries a guest could not be counted on its hypervisor.",
        "lost_events": "The tracer lost events, so its counts are too low.",
        "tracer_killed": "The tracer was ended before it printed its counts.",
        "map_full": "The tracer's map was full, so calls are missing.",
        "tracer_error": "The tracer reported an error.",
        "histogram": "The trace holds a histogram, which has no counts per call.",
    }
)
"""Every reason a run can be invalid or failed for, and what it means."""

CHECKS: Mapping[str, str] = MappingProxyType(
    {
        "trace_mismatch": "The system-call counts cannot belong to the run beside them.",
        "trace_lost": "The tracer lost calls; its counts are not given.",
        "trace_missing": "The run was traced but the tracer left nothing, as after a kill.",
        "tracing_unavailable": "This host cannot trace; the run went on untraced.",
        "vmm_untraced": "The process that carries a guest was not counted; the figures of the run do not depend on it.",
        "messages_lost": "Messages the client sent did not all reach the server.",
        "trace_partial": "The counts lack calls that a process always makes between exec and exit.",
        "stalled": "No data moved for a while inside the run, as when a link goes down and comes back.",
        "clock_set": "The clock of a host was set during the run; durations are taken from another clock.",
        "two_records": "Another record of this run has the same attempt and other content.",
        "tool_note": "The tool printed a warning.",
        "source_note": "Something in hand-kept notes does not fit together.",
    }
)
"""Remarks that do not change a run's status."""

NEVER_MEASURED = frozenset(
    {
        "unreachable", "module_failed", "interrupted", "not_run", "no_end", "peer_lost", "control_port", "control_changed",
        "host_busy", "host_rebooted", "disk_full", "host_error", "malformed_reply", "no_answer", "process_stopped",
        "process_killed", "output_too_large", "tracer_killed", "tracer_error",
    }
)  # fmt: skip
"""Reasons for which a run is ``failed`` whatever was printed until then: another try may well go better."""
CLOSING_WORDS = frozenset({"peer_lost", "interrupted"})
"""What an end says that did not hear the other end's closing word. A run that was whole on both ends stays so."""
CONSEQUENCES: Mapping[str, int] = MappingProxyType({"no_answer": 1, "peer_lost": 2, "server_not_ready": 2})
"""What is said of the other end, in the order in which it is believed where nobody says what went wrong on their own."""

CLOCK_SECONDS = 1.0
CLOCK_SHARE = 0.001
"""What two clocks may differ by without one being set: NTP slews by half of this share at most."""

SECONDS_TOLERANCE = 0.02
SECONDS_TOLERANCE_MIN = 0.2
SOCKPERF_CUT_SECONDS = 0.45
"""sockperf drops the first 400 ms and the last 50 ms of what it measured."""
BYTES_TOLERANCE = 0.02
"""Share by which the bytes of the two ends may differ: what is under way when the clock stops."""


def judge(record: Mapping[str, Any]) -> Judgement:
    """Decide whether one record (docs/data.md) may be believed, and give its figures. Never raises."""
    try:
        return _judge(read_record(record))
    except MalformedRecord as fault:
        return Judgement("invalid", "malformed", f"{fault}.")
    except Exception as fault:  # one record must never keep the others from their table
        return Judgement(
            "invalid", "gate_error", f"{type(fault).__name__}: {fault}. Please report this with the record."
        )


def _judge(record: RecordView) -> Judgement:
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
    record: RecordView, client: Finding | Trouble | None, server: Finding | Trouble | None, told: Trouble | None
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


def _read(record: RecordView, end: End | None) -> Finding | Trouble | None:
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


def _nothing_measured(record: RecordView) -> Trouble | None:
    if record.error is not None:
        return _known(record.error, "module_failed")
    missing = [side for side, end in (("server", record.server), ("client", record.client)) if end is None]
    if missing:
        return Trouble("no_end", f"The {' and the '.join(missing)} returned nothing.")
    return None


def _told_by_an_end(record: RecordView) -> Trouble | None:
    """A problem that an end saw itself: the one from which the other follows, else the server's."""
    told = [(end, _known(end.problem, "tool_error")) for end in record.ends if end.problem is not None]
    for end, trouble in sorted(told, key=lambda item: CONSEQUENCES.get(item[1].reason, 0)):
        return Trouble(trouble.reason, f"{end.side}: {trouble.detail}")
    for end in record.ends:
        if end.output_cut:
            return Trouble("output_too_large", f"{end.side}: {REASONS['output_too_large']}")
    return None


def _ended_by_its_limit(record: RecordView) -> Trouble | None:
    for end in record.ends:
        if end.timed_out:
            return Trouble("timed_out", f"The {end.side} was ended by its time limit.")
    return None


def _known(trouble: Trouble, otherwise: str) -> Trouble:
    """The trouble in words of `REASONS`; a word of a later version stays readable in the sentence."""
    if trouble.reason in REASONS:
        return Trouble(trouble.reason, trouble.detail or REASONS[trouble.reason])
    return Trouble(otherwise, f"{trouble.reason}: {trouble.detail}")


def _told_by_the_client(record: RecordView, client: Finding | Trouble | None) -> Trouble | None:
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


def _not_as_planned(record: RecordView, client: Finding) -> Trouble | None:
    return (
        _other_duration(record, client)
        or _other_parameters(record, client)
        or _other_peer(record, client)
        or _too_many_messages(record, client)
        or _lost_message(record, client)
        or _mixed_versions(record, client)
    )


def _other_duration(record: RecordView, client: Finding) -> Trouble | None:
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


def _other_parameters(record: RecordView, client: Finding) -> Trouble | None:
    for name in COMPARED_PARAMETERS:
        planned, shown = record.parameters.get(name), client.parameters.get(name)
        if planned is None or shown is None or planned == shown:
            continue
        reason = "missing_streams" if name == "parallel" else "parameters"
        return Trouble(reason, f"{name} was planned as {planned}, the output shows {shown}.")
    return None


def _other_peer(record: RecordView, client: Finding) -> Trouble | None:
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


def _too_many_messages(record: RecordView, client: Finding) -> Trouble | None:
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


def _lost_message(record: RecordView, client: Finding) -> Trouble | None:
    """What is a figure of the other modes ends a ping-pong, or makes it two that overlap."""
    if record.benchmark != "sockperf" or record.parameters.get("mode") != "ping-pong":
        return None
    figures = {sample.metric: sample.value for sample in client.samples}
    counts = [int(figures.get(name, 0)) for name in ("dropped", "duplicated", "out_of_order")]
    return Trouble("message_lost", LOST.format(*counts)) if any(counts) else None


def _mixed_versions(record: RecordView, client: Finding) -> Trouble | None:
    if record.benchmark != "iperf3" or _protocol(record, client) != "udp":
        return None
    versions = {end.side: _version(end.tool_version) for end in record.ends}
    known = {version for version in versions.values() if version is not None}
    if len(known) < 2:
        return None
    told = ", ".join(f"{side} {version}" for side, version in versions.items())
    return Trouble("mixed_versions", f"UDP between different versions ({told}) reports a wrong loss.")


def _protocol(record: RecordView, client: Finding) -> str:
    return str(record.parameters.get("protocol") or client.parameters.get("protocol") or "tcp").lower()


def _version(line: str | None) -> str | None:
    found = re.search(r"\d+(?:\.\d+)+", line or "")
    return found.group(0) if found else None


def _not_confirmed(record: RecordView, client: Finding, server: Finding | Trouble | None) -> Trouble | None:
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


def _only_sent(record: RecordView, server: Finding) -> bool:
    """Whether the server only sent data, so that it cannot have a receiver's figure."""
    return bool(record.parameters.get("reverse")) and server.reason == "no_data"


def _other_messages(record: RecordView, client: Finding, server: Finding) -> Trouble | None:
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


def _believe(record: RecordView, client: Finding, server: Finding | None) -> Judgement:
    # What the server says it handled or received comes from itself; everything else from the client.
    figures = {**client.measured, **_handled(server)}
    samples = list(client.samples)
    rows: list[SyscallCount] = []
    evidences: list[tuple[End, Evidence]] = []
    checks = dict(_checks(record, client, server))
    for end in record.ends:
        samples.extend(_host_samples(end))
        if not record.traced:
            continue
        evidence = examine(record, end, figures)
        evidences.append((end, evidence))
        rows.extend(evidence.rows)
        for word, sentence in evidence.checks.items():
            checks[word] = f"{checks[word]}; {sentence}" if word in checks else sentence
    # Where one table of hand-kept notes is of another run, the other one most likely is too.
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
    record: RecordView,
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


def _checks(record: RecordView, client: Finding, server: Finding | None) -> Iterator[tuple[str, str]]:
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
    clocks = [sentence for end in record.ends if (sentence := _set_clock(end))]
    if clocks:
        yield "clock_set", "; ".join(clocks)


def _set_clock(end: End) -> str:
    """By how much an end's time of day moved against the clock that nobody sets; empty where it did not."""
    if end.wall_seconds is None or end.seconds is None:
        return ""
    moved = end.wall_seconds - end.seconds
    if abs(moved) <= CLOCK_SECONDS + CLOCK_SHARE * abs(end.seconds):
        return ""
    way = "forward" if moved > 0 else "back"
    return f"the clock of {end.host or end.side} was set {way} by {abs(moved):.1f} s during the run"


def _host_samples(end: End) -> Iterator[Sample]:
    """CPU and memory of the host around the run, of all processes on it."""
    if end.figures is None:
        return
    shares = cpu_shares(end.figures)
    if shares is not None:
        yield Sample(f"host_cpu_busy_{end.side}", "%", shares[0])
        yield Sample(f"host_cpu_steal_{end.side}", "%", shares[1])
    total, available = end.figures.memory_total_bytes, end.figures.memory_available_bytes
    if total is not None and available is not None and 0 <= available <= total and total > 0:
        yield Sample(f"host_memory_used_{end.side}", "B", float(total - available))


def cpu_shares(figures: Figures) -> tuple[float, float] | None:
    """Busy and stolen time between two readings of /proc/stat, in percent of all CPUs' time.

    The fields are user nice system idle iowait irq softirq steal guest guest_nice; guest time is in user
    already.
    ``None`` when there are not two readings, or the counters ran backwards.
    """
    before, after = figures.cpu_before, figures.cpu_after
    if before is None or after is None or min(len(before), len(after)) < 8:
        return None
    spent = [later - earlier for earlier, later in zip(before[:8], after[:8], strict=True)]
    total = sum(spent)
    # iowait may run backwards by a little (proc(5)); anything else may not.
    if total <= 0 or any(part < 0 for index, part in enumerate(spent) if index != 4):
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = spent
    busy = user + nice + system + irq + softirq
    return 100.0 * busy / total, 100.0 * steal / total
