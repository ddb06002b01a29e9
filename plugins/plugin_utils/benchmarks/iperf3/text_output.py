"""iperf3's text output, client and server side: whole, cut to its summary, several runs in a row.

Transfers are counted in powers of 1024, rates in bits in powers of 1000, and rates in bytes (``-f K``) in
powers of 1024 again. Figures have the three digits that iperf3 prints.

Where a server's two outputs go to one file, an error may stand before the run that it ended, because standard
output waits in a buffer. Such an error is held for the next run of the end that reported it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from statistics import median_high
from typing import Any

from ...model import Side
from ...parsing.finding import Finding, Recogniser
from ...parsing.stall import Interval
from .measured import Datagrams, Direction, Measured, Problem, classify_error, to_finding

_ROW = re.compile(
    r"\[\s*(?P<id>\d+|SUM)\](?:\[(?P<role>[TR]X-[CS])\])?"
    r"\s+(?P<start>\d{1,12}\.\d\d)-(?P<end>\d{1,12}\.\d\d)\s+sec"
    r"\s+(?P<transfer>\d[\d.]*) (?P<transfer_prefix>[KMGT]?)Bytes"
    r"\s+(?P<rate>\d[\d.]*) (?P<rate_prefix>[KMGT]?)(?P<rate_unit>bits|Bytes)/sec(?P<tail>.*)"
)
_HEADER = re.compile(r"\[ ID\](?P<roles>\[Role\])?\s+Interval\s+Transfer\s+(?:Bitrate|Bandwidth)(?P<more>.*)")
_LOSS = re.compile(r"\s+(?P<jitter>\d[\d.]*) ms\s+(?P<lost>-?\d+)/(?P<packets>-?\d+)\s+\([^)]*%\)")
_RETRANSMITS = re.compile(r"\s+(\d+)\s")
_STREAM = re.compile(
    r"\[\s*(?P<id>\d+)\] local (?P<local>\S+) port (?P<local_port>\d{1,9})"
    r" connected (?:to|with) (?P<remote>\S+) port (?P<remote_port>\d{1,9})"
)
_CONNECTING = re.compile(r"Connecting to host (?P<address>.+), port (?P<port>\d{1,9})")
_ACCEPTED = re.compile(r"Accepted connection from \S+, port \d+")
_LISTENING = re.compile(r"Server listening on (?P<port>\d{1,9})")
_REVERSE = re.compile(r"Reverse mode, remote host .* is sending")
_VERSION = re.compile(r"iperf (?P<version>3\.\d[\w.+-]*)(?:\s|$)")
_STARTING = re.compile(
    r"Starting Test: protocol: (?P<protocol>\w+), (?P<parallel>\d{1,9}) streams,"
    r" (?P<length>\d{1,12}) byte blocks, omitting (?P<omit>\d{1,9}) seconds,"
    r" (?P<amount>\d{1,18}) (?P<kind>second test|(?:bytes|blocks) to send)"
)
_CPU = re.compile(r"CPU Utilization: local/\w+ (?P<local>[\d.]+)% .*remote/\w+ (?P<remote>[\d.]+)%")
_CONGESTION = re.compile(r"(?:snd|rcv)_tcp_congestion (?P<name>\S+)")
_BITRATE = re.compile(r"Target Bitrate: (?P<bitrate>\d{1,18})")
_TROUBLE = re.compile(
    r"iperf3?: (?P<message>(?:error|interrupt|parameter error) - .*"
    r"|the (?:client|server) has (?:terminated|unexpectedly closed).*"
    r"|(?:unrecogni[sz]ed|invalid) option .*|option .*requires an argument.*)"
)
_TITLE = ":  "
_TROUBLES_KEPT = 8
_SERVER_STOPPED = "interrupt - the server"
_STAMP = re.compile(r"(?:[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4}|\d{4}-\d\d-\d\d[T ][\d:]{8}\S*) ")
"""What ``--timestamps`` puts before each line unless it is told otherwise, and the usual other way."""
_FIRST_CHARACTERS = frozenset("[CASRTiFsr-")

_BINARY = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_DECIMAL = {"": 0, "K": 3, "M": 6, "G": 9, "T": 12}

_RATE_SHARE = 0.02
"""Share by which a rate may differ from what follows from other figures, beside what the printed digits explain."""
_SECONDS_SLACK = 0.011
"""Seconds by which the two printed ends of an interval may be off together."""

_FORWARD_ROLES = frozenset({"TX-C", "RX-S"})


@dataclass(frozen=True)
class _Row:
    """One line of a table: bytes, bit/s and, as far as printed, what follows."""

    stream: str
    role: str
    start: float
    end: float
    transfer: float
    rate: float
    transfer_slack: float
    """Bytes by which ``transfer`` may be off because of the digits that are printed; ``rate_slack`` likewise."""
    rate_slack: float
    who: str
    """``sender``, ``receiver`` or empty for a row of an interval."""
    omitted: bool
    retransmits: float | None
    datagrams: Datagrams | None

    @property
    def seconds(self) -> float:
        return self.end - self.start


def _row(match: re.Match[str]) -> _Row:
    tail = match["tail"]
    loss = _LOSS.match(tail)
    retransmits = None if loss else _RETRANSMITS.match(tail + " ")
    last = tail.split()[-1] if tail.strip() else ""
    return _Row(
        stream=match["id"],
        role=match["role"] or "",
        start=float(match["start"]),
        end=float(match["end"]),
        transfer=_float(match["transfer"]) * _BINARY[match["transfer_prefix"]],
        rate=_rate(match["rate"], match["rate_prefix"], match["rate_unit"]),
        transfer_slack=_last_digit(match["transfer"]) * _BINARY[match["transfer_prefix"]],
        rate_slack=_rate(f"{_last_digit(match['rate']):f}", match["rate_prefix"], match["rate_unit"]),
        who=last if last in ("sender", "receiver") else "",
        omitted=last == "(omitted)",
        retransmits=float(retransmits[1]) if retransmits else None,
        datagrams=_datagrams(loss) if loss else None,
    )


def _datagrams(loss: re.Match[str]) -> Datagrams:
    return Datagrams(
        lost=float(loss["lost"]), packets=float(loss["packets"]), jitter_ms=_float(loss["jitter"])
    )


def _float(digits: str) -> float:
    """Read a printed number; what is none, or too large to be one, counts as not printed."""
    try:
        number = float(digits)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def _last_digit(digits: str) -> float:
    """Return how much a printed number may be off: somewhat more than half of its last digit."""
    return 0.51 * 10.0 ** -len(digits.partition(".")[2][:15])


def _rate(digits: str, prefix: str, unit: str) -> float:
    """Return bit/s, by way of one decimal number: 6.21 Gbits/sec is 6210000000 and nothing beside it."""
    if unit == "Bytes":
        return 8 * _float(digits) * _BINARY[prefix]
    return _float(f"{digits}e{_DECIMAL[prefix]}")


def receivers_datagrams(text: str) -> Datagrams | None:
    """Return the packet counts that the receiver printed for all streams in the summary of ``text``."""
    rows = [_row(match) for line in text.splitlines() if (match := _ROW.match(line)) is not None]
    received = {row.stream: row for row in rows if row.who == "receiver"}
    row = received.get("SUM") or (next(iter(received.values())) if len(received) == 1 else None)
    return row.datagrams if row is not None else None


@dataclass
class _Run:
    """One run as far as it has been read. Holds its summary and counts of its intervals, not its lines."""

    line: int
    side: Side | None = None
    version: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    protocol: str | None = None
    from_start: bool = False
    """True when the text has the run's first line, so that its last one must be there too."""
    done: bool = False
    followed: bool = False
    """True when something certainly follows the summary, so that the summary was not cut off."""
    followed_at: int = 0
    """The first line of other text after the summary; 0 where there is none."""
    reverse: bool = False
    two_ways: bool = False
    after_intervals: bool = False
    cpu_local: float | None = None
    cpu_remote: float | None = None
    troubles: list[str] = field(default_factory=list)
    connected: dict[str, re.Match[str]] = field(default_factory=dict)
    summary: dict[tuple[str, str], dict[str, _Row]] = field(default_factory=dict)
    """By role and ``sender`` or ``receiver``, then by stream (``SUM`` among them)."""
    wordless: dict[str, _Row] = field(default_factory=dict)
    """Summary rows of UDP up to about 3.1: the sender's bytes and the receiver's losses in one."""
    interval_streams: dict[tuple[str, str], int] = field(default_factory=dict)
    interval_lengths: Counter[float] = field(default_factory=Counter)
    """Seconds, and how many intervals took them."""
    omitted_seconds: float = 0.0
    last_start: dict[tuple[str, str], float] = field(default_factory=dict)
    repeats: bool = False
    """True when an interval is printed twice, which iperf3 does when the other end breaks the test off."""
    intervals: dict[str, dict[str, list[Interval]]] = field(default_factory=dict)
    """By role, of [SUM] and of the first stream seen, which is all of them where there is no [SUM]."""
    last_summary: _Row | None = None
    twins: list[int] = field(default_factory=list)
    """Lines that repeat the row of the summary before them to the letter."""
    torn: bool = False
    """True when this is what is left of a run whose summary is broken up by lines in the wrong place."""
    server: _Run | None = None
    """What the server printed, where the client was asked for it."""

    @property
    def is_empty(self) -> bool:
        return not (
            self.troubles or self.connected or self.summary or self.interval_streams or self.from_start
        )

    @property
    def is_error_only(self) -> bool:
        """Tell whether nothing but an error has been read."""
        began = self.from_start or self.connected or self.summary or self.wordless or self.interval_streams
        return bool(self.troubles) and not began

    def take_header(self, header: re.Match[str]) -> None:
        self.two_ways = self.two_ways or header["roles"] is not None
        self.protocol = "udp" if "Datagrams" in header["more"] else (self.protocol or "tcp")
        self.after_intervals = bool(self.interval_streams)

    def take_row(self, row: _Row) -> None:
        self.two_ways = self.two_ways or bool(row.role)
        if row.datagrams is not None:
            self.protocol = "udp"
        self.last_summary = row if row.who else None
        if row.who:
            self.summary.setdefault((row.role, row.who), {})[row.stream] = row
        elif self.after_intervals and row.datagrams is not None and row.start == 0:
            self.wordless[row.stream] = row
        else:
            self._take_interval(row)

    def _take_interval(self, row: _Row) -> None:
        key = (row.role, row.stream)
        count = self.interval_streams.setdefault(key, 0)
        if row.omitted:
            self.omitted_seconds = max(self.omitted_seconds, row.end)
            return
        self.repeats = self.repeats or (
            count > 0 and row.seconds > 0.1 and self.last_start.get(key) == row.start
        )
        self.last_start[key] = row.start
        self.interval_streams[key] = count + 1
        kept = self.intervals.setdefault(row.role, {})
        if row.stream == "SUM" or row.stream in kept or not kept.keys() - {"SUM"}:
            kept.setdefault(row.stream, []).append(_interval(row))
        self.interval_lengths[row.seconds] += 1

    def take_stream(self, match: re.Match[str]) -> None:
        self.connected[match["id"]] = match


def _interval(row: _Row) -> Interval:
    if row.datagrams is None:
        return Interval(row.start, row.end, row.transfer)
    return Interval(row.start, row.end, row.transfer, row.datagrams.lost, row.datagrams.packets)


class TextRecogniser(Recogniser):
    """Finds iperf3 runs in text, one finding a run, holding one run at a time."""

    def __init__(self) -> None:
        """Start between runs."""
        self._run: _Run | None = None
        self._version: str | None = None
        self._port: int | None = None
        self._early: list[str] = []
        self._found_any = False
        self._torn = False

    def feed(self, line: str, number: int) -> Iterable[Finding]:
        """Take the next cleaned line; give back the runs that it completes."""
        text = line.lstrip()
        if text[3:4] == " " or text[4:5] == "-":
            stamp = _STAMP.match(text)
            text = text[stamp.end() :].lstrip() if stamp is not None else text
        if _TITLE in text and text[:1] != "[":
            text = text.partition(_TITLE)[2].lstrip()
        if text[:1] == "[":
            return self._feed_bracket(text, number)
        if text[:1] not in _FIRST_CHARACTERS:
            self._mark_followed(text, number)
            return ()
        return self._feed_words(text, number)

    def divide(self, line: str) -> Iterable[Finding]:
        """Know that a fence or a heading stands here: no output is continued behind it."""
        run = self._run
        if run is not None and (run.summary or run.wordless):
            run.followed = True
        return ()

    def close(self, cut_line: int = 0) -> Iterable[Finding]:
        """Give back the run that the text ends in, if it ends in one.

        A line that was cut off may be the beginning of what is wrapped around a further row, so it does not prove
        that the summary is whole.
        """
        if self._run is not None and self._run.followed_at == cut_line:
            self._run.followed_at = 0
        found = self._finish()
        for message in self._early:
            if not (self._found_any and message.startswith(_SERVER_STOPPED)):
                found = [*found, _orphan(message, 1)]
        self._early = []
        return found

    def _feed_bracket(self, text: str, number: int) -> list[Finding]:
        match = _ROW.match(text)
        if match is not None:
            return self._take_row(_row(match), number)
        header = _HEADER.match(text)
        if header is not None:
            found = self._finish_followed() if self._is_summarised() else self._release_orphan()
            self._current(number).take_header(header)
            return found
        stream = _STREAM.match(text)
        if stream is not None:
            found = self._finish() if self._is_summarised() else self._release_orphan()
            self._current(number).take_stream(stream)
            return found
        return []

    def _take_row(self, row: _Row, number: int) -> list[Finding]:
        if self._run is not None and self._run.server is None and row.who and row == self._run.last_summary:
            self._run.twins.append(number)
            return []
        if self._has_summary_of(row):
            found = self._finish_followed()
        elif not row.who and not row.datagrams and self._is_summarised():
            found = self._finish()  # it may be a row of the summary that is cut off: it proves nothing
        else:
            found = self._release_orphan()
        self._current(number).take_row(row)
        return found

    def _has_summary_of(self, row: _Row) -> bool:
        """Tell whether the open run has this row of its summary already, as where only summaries were kept."""
        run = self._run
        if run is None or run.server is not None or not row.who:
            return False
        return row.stream in run.summary.get((row.role, row.who), {})

    def _finish_followed(self) -> list[Finding]:
        """Close the open run because another one's table begins, so that its own is whole."""
        assert self._run is not None
        run = self._run
        # A client says that it is done. Where it did not, this is still its own table, with a line out of place.
        torn = run.from_start and run.side == "client" and not run.followed and not run.followed_at
        run.followed = True
        found = self._finish()
        self._torn = torn
        return found

    def _is_summarised(self) -> bool:
        """Tell whether the open run has its summary already: what comes now is another run's."""
        run = self._run
        return run is not None and run.server is None and bool(run.summary or run.wordless)

    def _current(self, number: int) -> _Run:
        """Return the run that takes the next line, begun here if there is none."""
        if self._run is None:
            self._run = _Run(line=number, torn=self._torn)
            self._torn = False
        return self._run.server or self._run

    def _release_orphan(self) -> list[Finding]:
        """Close an error that stands alone, because it is not of the run whose line comes now."""
        return self._finish(keep_trouble=True) if self._run is not None and self._run.is_error_only else []

    def _feed_words(self, text: str, number: int) -> list[Finding]:
        if (
            self._run is not None
            and self._run.server is not None
            and not text.startswith(("iperf", "Connecting"))
        ):
            self._take_detail(self._run.server, text)
            return []
        if text.startswith(("Connecting to host", "Accepted connection", "Server listening")):
            return self._open(text, number)
        if text.startswith("Server output:") and self._run is not None:
            self._run.server = _Run(line=number, side="server")
            return []
        if text.startswith("iperf Done."):
            return self._take_done()
        if text.startswith("-----") and self._run is not None and self._run.side == "server":
            self._run.followed = True
            return []
        trouble = _TROUBLE.match(text)
        if trouble is not None:
            return self._take_trouble(trouble["message"], number)
        version = _VERSION.match(text)
        if version is not None:
            found = self._finish() if self._is_summarised() else []
            self._version = version["version"]
            return found
        if self._run is None or not self._take_detail(self._run, text):
            self._mark_followed(text, number)
        return []

    def _open(self, text: str, number: int) -> list[Finding]:
        connecting, accepted = _CONNECTING.match(text), _ACCEPTED.match(text)
        listening = _LISTENING.match(text)
        if listening is not None:
            self._forget_idle_stop()
            found = self._finish(keep_trouble=True, listening=True)
            self._port = int(listening["port"])
            return found
        if connecting is None and accepted is None:
            return []
        found = self._finish(keep_trouble=True, reopened=True)
        self._torn = False
        self._run = _Run(line=number, version=self._version, from_start=True)
        if connecting is not None:
            self._run.side = "client"
            self._run.parameters = {"address": connecting["address"], "port": int(connecting["port"])}
            self._version = None
        else:
            self._run.side = "server"
            self._run.parameters = {} if self._port is None else {"port": self._port}
        return found

    def _forget_idle_stop(self) -> None:
        """Take the server's own stop from a run after which it listened again: that run was over by then."""
        run = self._run
        if run is not None and run.summary:
            run.troubles = [message for message in run.troubles if not message.startswith(_SERVER_STOPPED)]

    def _take_done(self) -> list[Finding]:
        if self._run is None:
            return []
        self._run.done = True
        return self._finish()

    def _take_trouble(self, message: str, number: int) -> list[Finding]:
        found = self._release_orphan()
        if self._run is None:
            self._run = _Run(line=number)
        if len(self._run.troubles) < _TROUBLES_KEPT:
            self._run.troubles.append(message)
        return found

    def _mark_followed(self, text: str, number: int) -> None:
        run = self._run
        if run is not None and text and not run.followed_at and (run.summary or run.wordless):
            run.followed_at = number

    def _take_detail(self, run: _Run, text: str) -> bool:
        """Take what a run says about itself outside of its table; tell whether the line was such."""
        if _REVERSE.match(text):
            run.reverse = True
            return True
        starting = _STARTING.match(text)
        if starting is not None:
            run.protocol = starting["protocol"].lower()
            run.parameters |= {name: int(starting[name]) for name in ("parallel", "length", "omit")}
            name = {"second test": "seconds", "bytes to send": "bytes"}.get(starting["kind"], "blocks")
            run.parameters[name] = int(starting["amount"])
            return True
        cpu = _CPU.match(text)
        if cpu is not None:
            run.cpu_local, run.cpu_remote = _float(cpu["local"]), _float(cpu["remote"])
            return True
        congestion = _CONGESTION.match(text)
        if congestion is not None:
            run.parameters["congestion"] = congestion["name"]
            return True
        bitrate = _BITRATE.match(text)
        if bitrate is not None and int(bitrate["bitrate"]):
            run.parameters["bitrate"] = int(bitrate["bitrate"])
        return bitrate is not None or text.startswith(
            ("- - - -", "Test Complete", "Time:", "TCP MSS", "Cookie:")
        )

    def _finish(
        self, *, keep_trouble: bool = False, listening: bool = False, reopened: bool = False
    ) -> list[Finding]:
        """Close the open run. ``keep_trouble`` keeps an error that stands before the run it belongs to.

        An error comes before the run's first line where standard output was buffered.
        ``listening``: the server went on, so the run was not ended by a stop of the server.
        ``reopened``: another connection follows at once, so an error is not of a connection that did nothing.
        """
        run, self._run = self._run, None
        if run is None or run.is_empty:
            return []
        if run.is_error_only:
            (message,) = run.troubles
            if keep_trouble and _speaker(message) is not None and len(self._early) < _TROUBLES_KEPT:
                self._early.append(message)
                return []
            if self._found_any and message.startswith(_SERVER_STOPPED):
                return []  # a server stopped between runs is none of them
            return [_orphan(message, run.line)]
        barren = reopened and not (run.summary or run.wordless or run.interval_streams)
        if not run.troubles and not run.done and not barren:
            mine = [message for message in self._early if run.side in (None, _speaker(message))]
            mine = [message for message in mine if not (listening and message.startswith(_SERVER_STOPPED))]
            self._early = [message for message in self._early if message not in mine]
            run.troubles = mine
        self._found_any = True
        finding = to_finding(_measure(run))
        # One row alone may as well be of several runs that went alike as of one whose row is there twice.
        return [finding, *(replace(finding, line=line) for line in run.twins if not _has_many(run))]


def _speaker(message: str) -> Side | None:
    """Return which end prints this message about the end of a test, if it is one."""
    if message.startswith(("interrupt - the client", "error - the server has terminated")):
        return "client"
    if message.startswith((_SERVER_STOPPED, "the client has ")):
        return "server"
    return None


def _orphan(message: str, line: int) -> Finding:
    """Return the finding of an error without a run."""
    client = "connect to server" in message or "server is busy" in message
    problem = Problem(classify_error(message), message)
    side: Side | None = "client" if client else _speaker(message)
    return to_finding(Measured(side=side, problems=(problem,), line=line))


def _measure(run: _Run) -> Measured:
    problems = [Problem(classify_error(message), message) for message in run.troubles[:1]]
    directions = {role: _direction(run, role) for role in _roles(run)}
    cut_off = None if problems else _cut_off(run, directions)
    if cut_off is not None:
        problems.append(cut_off)
    forward = next((found for role, found in directions.items() if _is_forward(run, role)), None)
    backward = next((found for role, found in directions.items() if not _is_forward(run, role)), None)
    streams = _summary_streams(run)
    side = _side(run)
    here, there = run.cpu_local or None, run.cpu_remote or None
    counts = list(run.interval_streams.values())
    return Measured(
        side=side,
        version=run.version,
        protocol=run.protocol or ("tcp" if run.summary else None),
        parameters=_parameters(run, len(streams), reverse=forward is None and backward is not None),
        forward=forward,
        backward=backward,
        cpu_client=there if side == "server" else here,
        cpu_server=here if side == "server" else there,
        streams_seen=len(streams) if run.connected else None,
        streams_expected=len(run.connected) if run.connected else None,
        interval_count=max(counts) if counts and run.from_start else None,
        # A busy machine stretches one interval and shortens the next, so the usual length counts.
        interval_seconds=median_high(run.interval_lengths.elements()) if run.interval_lengths else None,
        ended=bool(run.summary or run.wordless),
        problems=tuple(problems),
        disagreements=tuple(_disagreements(run)),
        notes=_server_notes(run),
        line=run.line,
    )


def _has_many(run: _Run) -> bool:
    """Tell whether the summary is of more than one stream of a direction."""
    return any(len(rows) > 1 for rows in run.summary.values())


def _disagreements(run: _Run) -> Iterator[Problem]:
    """Say what in the text cannot be of one run: rows that are missing or doubled, or that do not add up."""
    if run.torn:
        yield Problem("streams_disagree", "The rows of the summary are not in iperf3's order.")
    if run.twins and _has_many(run):
        yield Problem("streams_disagree", "A row of the summary is there twice.")
    expected = len(run.connected) // (2 if run.two_ways else 1) or None
    for (role, who), rows in run.summary.items():
        streams = {name: row for name, row in rows.items() if name != "SUM"}
        other = run.summary.get((role, "sender" if who == "receiver" else "receiver"), {})
        others = set(other) - {"SUM"}
        if streams and others and set(streams) != others:
            yield Problem("streams_disagree", f"There are {len(streams)} {who}'s rows and {len(others)} of the other end.")
        if streams and expected is not None and len(streams) != expected:
            yield Problem("streams_disagree", f"{expected} streams ran, {len(streams)} have a {who}'s row.")
        yield from _sum_disagreements(who, rows.get("SUM"), list(streams.values()))
        for row in rows.values():
            if not _rate_agrees(row):
                yield Problem("malformed", f"The rate in a {who}'s row is not the bytes in the seconds beside it.")


def _sum_disagreements(who: str, total: _Row | None, streams: list[_Row]) -> Iterator[Problem]:
    if total is None or not streams:
        return
    transfer_slack = total.transfer_slack + sum(row.transfer_slack for row in streams)
    rate_slack = total.rate_slack + sum(row.rate_slack for row in streams) + _RATE_SHARE * total.rate
    transfer, rate = sum(row.transfer for row in streams), sum(row.rate for row in streams)
    if abs(total.transfer - transfer) > transfer_slack or abs(total.rate - rate) > rate_slack:
        yield Problem("streams_disagree", f"The {len(streams)} {who}'s rows do not add up to [SUM].")
    elif total.retransmits is not None and all(row.retransmits is not None for row in streams):
        if total.retransmits != sum(row.retransmits or 0 for row in streams):
            yield Problem("streams_disagree", "The streams' retransmits do not add up to those of [SUM].")
    elif total.datagrams is not None and all(row.datagrams is not None for row in streams):
        packets = sum(row.datagrams.packets for row in streams if row.datagrams is not None)
        if packets != total.datagrams.packets:
            yield Problem("streams_disagree", "The streams' datagrams do not add up to those of [SUM].")


def _rate_agrees(row: _Row) -> bool:
    """Tell whether the rate follows from bytes and seconds, within the digits that are printed.

    Very old versions divide the receiver's bytes by the sender's seconds.
    """
    moved = row.rate * row.seconds / 8
    slack = row.transfer_slack + row.rate_slack * row.seconds / 8 + row.rate * _SECONDS_SLACK / 8
    return abs(moved - row.transfer) <= slack + _RATE_SHARE * max(moved, row.transfer)


def _roles(run: _Run) -> list[str]:
    roles = [role for role, _ in run.summary]
    return list(dict.fromkeys(roles)) or ([""] if run.wordless else [])


def _is_forward(run: _Run, role: str) -> bool:
    if role:
        return role in _FORWARD_ROLES
    return not _is_reverse(run)


def _is_reverse(run: _Run) -> bool:
    """Tell whether the server sends: its own text shows it by having a figure for the sender only."""
    if run.reverse or run.side != "server":
        return run.reverse
    sent, received = _total(run, "", "sender"), _total(run, "", "receiver")
    return sent is not None and sent.transfer > 0 and (received is None or received.transfer == 0)


def _total(run: _Run, role: str, who: str) -> _Row | None:
    """Return the row for all streams: [SUM], or the only stream's. Several without [SUM] are none."""
    rows = run.summary.get((role, who), {})
    if "SUM" in rows:
        return rows["SUM"]
    return next(iter(rows.values())) if len(rows) == 1 else None


def _direction(run: _Run, role: str) -> Direction:
    if run.wordless and not run.summary:
        return _wordless_direction(run)
    sent, received = _total(run, role, "sender"), _total(run, role, "receiver")
    datagrams = received.datagrams if received is not None and received.transfer > 0 else None
    if run.server is not None and datagrams is not None and not run.reverse and not role:
        own = _total(run.server, "", "receiver")
        datagrams = own.datagrams if own is not None and own.datagrams is not None else datagrams
    return Direction(
        sent_bytes=(sent.transfer or None) if sent else None,
        sent_bps=(sent.rate or None) if sent else None,
        received_bytes=(received.transfer or None) if received else None,
        received_bps=(received.rate or None) if received else None,
        seconds=received.seconds if received else (sent.seconds if sent else None),
        retransmits=sent.retransmits if sent and sent.transfer and run.protocol != "udp" else None,
        datagrams=datagrams,
        intervals=_intervals(run, role),
    )


def _intervals(run: _Run, role: str) -> tuple[Interval, ...]:
    kept = run.intervals.get(role, {})
    if "SUM" in kept:
        return tuple(kept["SUM"])
    streams = {stream for key, stream in run.interval_streams if key == role}
    return tuple(next(iter(kept.values()), ())) if len(streams) == 1 else ()


def _wordless_direction(run: _Run) -> Direction:
    rows = run.wordless
    row = rows.get("SUM") or (next(iter(rows.values())) if len(rows) == 1 else None)
    if row is None:
        return Direction()
    return Direction(
        sent_bytes=row.transfer or None,
        sent_bps=row.rate or None,
        seconds=row.seconds,
        datagrams=row.datagrams,
        received_is_sent=True,
        intervals=_intervals(run, ""),
    )


def _summary_streams(run: _Run) -> set[str]:
    """Return the streams that have their last row: the receiver's, or the sender's on a sending server."""
    streams: set[str] = set(run.wordless)
    for (role, who), rows in run.summary.items():
        if who == "receiver" or role == "TX-S" or (role, "receiver") not in run.summary:
            streams |= set(rows)
    return streams - {"SUM"}


def _cut_off(run: _Run, directions: dict[str, Direction]) -> Problem | None:
    """Say whether the output stops before its end, so that a part could pass for the whole."""
    if run.repeats:
        return Problem("interrupted", "An interval is printed twice: the other end broke the test off.")
    if not run.summary and not run.wordless:
        return Problem("truncated", "The output stops before its summary.")
    if run.side == "client" and run.from_start and not run.done:
        return Problem("truncated", 'The output has its beginning but not its last line, "iperf Done."')
    if run.two_ways and len(directions) < 2:
        return Problem("truncated", "The summary of a run in both directions has one of them only.")
    followed = run.followed or run.followed_at > 0
    if run.wordless and not run.summary and not (run.done or followed):
        return Problem("truncated", "The output stops in its summary.")
    streams = _summary_streams(run) | {stream for _, stream in run.interval_streams if stream != "SUM"}
    streams |= {stream for rows in run.summary.values() for stream in rows} - {"SUM"}
    known = set(run.connected) or streams
    if len(known) > (2 if run.two_ways else 1) and not _has_sums(run):
        return Problem("truncated", f"{len(known)} streams ran and the output has no complete [SUM].")
    certain = run.done or followed or run.connected or run.interval_streams or _has_sums(run)
    if not certain:
        return Problem(
            "truncated", "The text ends with one stream's row: whether others followed is not shown."
        )
    return None


def _has_sums(run: _Run) -> bool:
    if run.wordless and not run.summary:
        return "SUM" in run.wordless
    for role in _roles(run):
        who = "sender" if role == "TX-S" or (role, "receiver") not in run.summary else "receiver"
        if "SUM" not in run.summary.get((role, who), {}):
            return False
    return True


def _side(run: _Run) -> Side | None:
    if run.side is not None:
        return run.side
    for role, _ in run.summary:
        if role:
            return "client" if role.endswith("C") else "server"
    both = [(_total(run, "", who)) for who in ("sender", "receiver")]
    return "client" if all(row is not None and row.transfer > 0 for row in both) else None


def _parameters(run: _Run, streams: int, *, reverse: bool) -> dict[str, Any]:
    shown = dict(run.parameters)
    if run.protocol or run.summary:
        shown.setdefault("protocol", run.protocol or "tcp")  # every summary of UDP has datagrams in it
    count = len(run.connected) or streams
    if count:
        shown.setdefault("parallel", count // 2 if run.two_ways else count)
    first = next(iter(run.connected.values()), None)
    if first is not None and run.side == "server":
        shown.setdefault("address", first["local"])
        shown["port"] = int(first["local_port"])
    if run.omitted_seconds:
        shown.setdefault("omit", round(run.omitted_seconds))
    if run.summary or run.wordless or run.reverse:
        shown["bidir"] = run.two_ways
        # A client says at its beginning that it is in reverse mode; its table alone is the same either way.
        if run.reverse or reverse or run.two_ways or run.from_start or run.side == "server":
            shown["reverse"] = run.reverse or reverse
    return shown


def _server_notes(run: _Run) -> tuple[str, ...]:
    if run.server is None:
        return ()
    told, own = _total(run, "", "receiver"), _total(run.server, "", "receiver")
    if told is None or own is None or told.datagrams is None or own.datagrams is None:
        return ()
    if (told.datagrams.lost, told.datagrams.packets) == (own.datagrams.lost, own.datagrams.packets):
        return ()
    return ("client and server count losses differently: loss is the server's own count",)
