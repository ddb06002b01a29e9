"""The validity gate: what may be believed of one run.

Exit codes of benchmarks lie both ways, so a run is judged on the content of its record alone. A run
is ``failed`` when nothing was measured, or when what ended it had nothing to do with the network
(`NEVER_MEASURED`), and ``invalid`` when something was measured that cannot be believed;
only ``valid`` runs give samples and system-call rows. A figure that was not measured is absent, never 0.

What only one benchmark can get wrong, its folder looks for (`benchmarks.benchmark.Benchmark`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..addresses import canonical_address
from ..benchmarks import BENCHMARKS, Benchmark
from ..benchmarks.scan import outputs_of, scan
from ..model import Judgement, Sample, Side, Status, SyscallCount, Target
from ..parsing.bounds import beyond, beyond_calls
from ..parsing.finding import Finding
from ..records.record import End, Record, Trouble, number_of, record_of
from ..shapes import WrongShape
from ..tracing.evidence import MESSAGE_SLACK, Evidence, calls_per, examine, examine_vmm
from .host_figures import host_samples, set_clock
from .reasons import CLOSING_WORDS, CONSEQUENCES, NEVER_MEASURED, REASONS


def judge(record: Record | Mapping[str, Any]) -> Judgement:
    """Decide whether one record may be believed, and give its figures. Never raises.

    A document that should be a record (docs/data.md) is read first: whether it is one belongs to the judgement.
    """
    try:
        return _judge(record if isinstance(record, Record) else record_of(record))
    except WrongShape as fault:
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
    benchmark = BENCHMARKS[record.benchmark]
    trouble = _not_as_planned(benchmark, record, client) or _not_confirmed(benchmark, record, client, server)
    if trouble is not None:
        return _without_figures(trouble, measured=True)
    judgement = _believe(benchmark, record, client, server if isinstance(server, Finding) else None)
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
    findings = _findings(record, end.stdout)
    # Some tools name their error on standard error alone, even beside a document without figures.
    if not findings:
        findings = _findings(record, end.stderr)
    elif len(findings) == 1 and (findings[0].status, findings[0].reason) == ("failed", "no_data"):
        findings = [found for found in _all_findings(end.stderr) if found.status == "failed"][:1] or findings
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


def _findings(record: Record, text: str) -> list[Finding]:
    """The outputs of the record's benchmark in a text; there are none of a benchmark that is not known."""
    known = BENCHMARKS.get(record.benchmark)
    return [] if known is None else outputs_of(known, text)


def _all_findings(text: str) -> list[Finding]:
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


def _not_as_planned(benchmark: Benchmark, record: Record, client: Finding) -> Trouble | None:
    return (
        _other_duration(benchmark, record, client)
        or _other_parameters(benchmark, record, client)
        or _other_peer(record, client)
        or benchmark.not_as_planned(record, client)
    )


def _other_duration(benchmark: Benchmark, record: Record, client: Finding) -> Trouble | None:
    asked, measured = number_of(record.parameters, "seconds"), client.measured.get("seconds")
    if asked is None or measured is None:
        return None
    due = benchmark.duration(record, client, asked)
    told = f"measured {measured:g} s, {due.expected:g} s were to be measured in a run of {asked:g} s"
    if measured < due.least:
        return Trouble("short_run", f"The client {told}.")
    if measured > due.most:
        return Trouble("long_run", f"The client {told}.")
    return None


def _other_parameters(benchmark: Benchmark, record: Record, client: Finding) -> Trouble | None:
    for name in benchmark.compared:
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
        if planned is None or shown is None or planned == shown:
            continue
        if _without_zone(shown) != _without_zone(planned):
            return Trouble("peer", f"The client was connected to {name} {shown}, planned was {planned}.")
    return None


def _without_zone(address: object) -> str:
    return canonical_address(str(address).partition("%")[0])


def _not_confirmed(
    benchmark: Benchmark, record: Record, client: Finding, server: Finding | Trouble | None
) -> Trouble | None:
    """Whether the server's output contradicts the client's. Handwritten notes have none: nothing to compare."""
    if server is None or not benchmark.server_reports:
        return None
    if isinstance(server, Trouble):
        return Trouble("server_unconfirmed", server.detail)
    if benchmark.has_nothing_to_confirm(record, server):
        return None
    if server.status != "valid":
        trouble = _known(Trouble(server.reason, server.detail), "tool_error")
        return Trouble(trouble.reason, f"server: {trouble.detail}")
    return benchmark.not_confirmed(record, client, server)


# The run is valid: its figures.


def _believe(benchmark: Benchmark, record: Record, client: Finding, server: Finding | None) -> Judgement:
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
        evidence = examine(record, end, figures, benchmark.trace_mismatch)
        evidences.append((end, evidence))
        rows.extend(evidence.rows)
        for word, sentence in evidence.checks.items():
            checks[word] = f"{checks[word]}; {sentence}" if word in checks else sentence
    # Where one table of handwritten notes is of another run, the other one most likely is too.
    suspect = record.imported and "trace_mismatch" in checks
    for end, evidence in evidences:
        if evidence.belongs and not suspect:
            samples.extend(_per_unit(benchmark, end.side, evidence.rows, figures))
    for observation in record.server.observations if record.server else ():
        evidence = examine_vmm(observation)
        rows.extend(evidence.rows)
        samples.extend(_per_unit(benchmark, observation.side, evidence.rows, figures, "vmm") if evidence.rows else ())
        for word, sentence in evidence.checks.items():
            checks[word] = f"{checks[word]}; {sentence}" if word in checks else sentence
    return Judgement("valid", "", "", checks, tuple(samples), tuple(rows))


def _per_unit(
    benchmark: Benchmark,
    side: Side,
    rows: tuple[SyscallCount, ...],
    figures: Mapping[str, float],
    target: Target = "process",
) -> Iterator[Sample]:
    for unit in benchmark.units:
        amount = figures.get(unit.figure, 0) / unit.size
        if amount > 0:
            yield calls_per(unit.name, amount, rows, side, target)


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


