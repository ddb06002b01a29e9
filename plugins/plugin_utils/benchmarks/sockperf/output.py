"""What sockperf prints, versions 2.x to current, into findings.

sockperf has no machine-readable output and its exit status is 0 whatever happens, so a run is believed only
on what its text proves: the totals, the valid window and the whole statistics block are there and agree with
each other, no failure is reported, and the valid window is as long as it must be. One lost datagram ends a
ping-pong silently, and only the length of that window shows it.

``latency_*`` is one way, half the round trip, as sockperf prints by default; with ``--full-rtt`` the same
figures are named ``rtt_*``. The word comes from the text itself, so the two cannot be mixed.

A percentile is given only if there are enough observations for a distribution-free 95 % interval of it to
have finite ends, that is ``max(p, 1 - p) ** n <= 0.025``: 36 observations for p90, 368 for p99, 36 887 for
p99.99 and 368 887 for p99.999. With fewer, what sockperf prints as the percentile is little more than the
largest one.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...model import Sample, Side, Status
from ...parsing.finding import Finding, Recogniser

WINDOW_LOST_SECONDS = 0.45
"""The first 400 ms and the last 50 ms of a timed run are not in the valid window."""
WINDOW_SHARE = 0.98
"""The share of the remaining seconds that a valid window must cover."""
LOST = "{} messages were dropped, {} came twice and {} out of order: a ping-pong has one message on its way."
"""About the counts of one statistics block."""
STALL_SECONDS = 0.5
"""A round trip this long is more than a busy host or one segment sent again (200 ms under Linux) explains ..."""
STALL_TIMES_MEDIAN = 20
"""... where it is this many times the median too."""
DEFAULT_THROUGHPUT_BYTES = 1472
"""The one message size for which sockperf's throughput mode prints no note about the size."""

_FAILED = frozenset(
    {"no_output", "tool_error", "bad_option", "refused", "address_in_use", "address_missing", "no_messages"}
)
_PROBLEMS_KEPT = 32
"""Kinds of problems and notes kept of one run: a server prints one line a message that it cannot read."""

_COUNT = r"(\d+)"
_FIGURE = r"(-?\d+\.\d{3})"
_BANNER = re.compile(r"== version #(\d[\w.]*)")
_TARGET = re.compile(r"\[ *(\d+)\] IP = (\S+) +PORT = +(\d+)(?: +# (\w+))?")
_TOTAL = re.compile(
    rf"\[Total Run\] RunTime={_FIGURE} sec;(?: Warm up (?:time={_COUNT} msec|packets={_COUNT});)?"
    rf" SentMessages={_COUNT}; ReceivedMessages={_COUNT}(?:; SkippedMessages={_COUNT})?$"
)
_SERVER = re.compile(r"=+ Printing statistics for Server No: (\d+)$")
_VALID = re.compile(
    rf"\[Valid Duration\] RunTime={_FIGURE} sec; SentMessages={_COUNT}; ReceivedMessages={_COUNT}$"
)
_AVERAGE = re.compile(rf"====> avg-(lat|latency|rtt)= *{_FIGURE} \(std-dev=\d+\.\d{{3}}(?:, .*)?\)$")
_ERRORS = re.compile(
    rf"# dropped messages = {_COUNT}; # duplicated messages = {_COUNT}; # out-of-order messages = {_COUNT}$"
)
_SUMMARY = re.compile(rf"Summary: (Latency|Round trip) (?:of burst of (\d+) messages )?is {_FIGURE} usec$")
_OBSERVATIONS = re.compile(rf"Total {_COUNT} observations; each percentile contains \d+\.\d\d observations$")
_EXTREME = re.compile(rf"---> <?(MAX|MIN)>? observation = *{_FIGURE}$")
_PERCENTILE = re.compile(rf"---> percentile +(\d+\.\d+) = *{_FIGURE}$")

_STREAM_TOTAL = re.compile(
    rf"Total of {_COUNT} messages sent in {_FIGURE} sec(?: \((\d+) messages skipped\))?$"
)
_STREAM_NOTE = re.compile(
    r"NOTE: test was performed, using (average )?msg-size=(\d+)(?: \(\+/-\d+\))?(?:, mps=(\d+))?\."
)
_STREAM_RATE = re.compile(rf"Summary: Message Rate is {_COUNT} \[msg/sec\](?:, Packet Rate .*)?$")
_STREAM_BANDWIDTH = re.compile(
    r"Summary: BandWidth is (\d+\.(\d{3}|\d{9})) ([MG])Bps \(\d+\.(?:\d{3}|\d{9}) [MG]bps\)$"
)

_HANDLED = re.compile(rf"Total {_COUNT} messages received and handled$")
_LOG_HEAD = re.compile(r"test was performed using the following parameters: (.*)$")
_ERRNO = re.compile(r"\(errno=(\d+) ([^)]*)\)?")
_ERROR = re.compile(r"(?:sockperf: )?ERROR: *(.*)")
_USAGE = re.compile(r"Usage: sockperf\b")
_COMPLAINT = re.compile(
    r"'?-[\w-]+'? .*|Invalid .*|.*[Uu]nknown option.*|.*out of range.*|.*not (?:valid|supported).*"
)

# What sockperf says when a run came to nothing: words of its sources, the reason, what it means.
_FAILURES: tuple[tuple[str, str, str], ...] = (
    ("No messages were received from the server", "no_messages", "No message came back from the server."),
    ("No messages were sent", "no_messages", "The client sent no message."),
    (
        "No valid observations found",
        "no_observations",
        "No message fell into the valid window: the run was too short.",
    ),
    ("Test end before test start", "short_run", "The run ended before its valid window began."),
    ("Test ends uncompleted", "short_run", "The asked number of messages was not reached in time."),
    ("_seqN > m_maxSequenceNo", "tool_error", "sockperf ran out of room for sequence numbers and stopped."),
    (
        "Message received was larger than expected",
        "tool_error",
        "The peer sent a message larger than expected.",
    ),
    ("data integrity test failed", "tool_error", "sockperf's data integrity test failed."),
)
# A first SIGINT is "user". "signal 2" is the one by which an ending client stops its own receiving thread.
_INTERRUPTED = re.compile(r"Test end \(interrupted by (user|signal (?!2\))\d+)\)$")

_LAUNCHERS = r"(?:sudo|taskset|timeout|numactl|ip|time|nice|nohup|env|chrt|stdbuf|setpriv)"
_COMMAND = re.compile(
    rf"(?:\w+=\S* )*(?:{_LAUNCHERS} +(?:[^|;&\s]+ +)*?)?(?:\S*/)?sockperf +"
    r"(server|sr|ping-pong|pp|under-load|ul|throughput|tp|playback|pb)(?=\s|$)(.*)$"
)
_SHORT_NAMES = {"sr": "server", "pp": "ping-pong", "ul": "under-load", "tp": "throughput", "pb": "playback"}
_OPTIONS: tuple[tuple[str, str, str], ...] = (
    ("seconds", "-t", "--time"),
    ("message_bytes", "-m", "--msg-size"),
    ("burst", "-b", "--burst"),
    ("mps", "", "--mps"),
    ("mps", "", "--pps"),
    ("reply_every", "", "--reply-every"),
    ("messages", "-n", "--number-of-packets"),
)


@dataclass
class _Block:
    """The statistics of one server."""

    server: int
    valid: tuple[float, int, int] | None = None
    kind: str | None = None
    mean: float | None = None
    errors: tuple[int, int, int] | None = None
    summary: tuple[str, float] | None = None
    observations: int | None = None
    maximum: float | None = None
    minimum: float | None = None
    percentiles: dict[str, float] = field(default_factory=dict)


def _totals(found: re.Match[str]) -> tuple[float, int, int]:
    return float(found.group(1)), int(found.group(4)), int(found.group(5))


@dataclass
class _Run:
    """What one process has printed so far."""

    line: int
    side: Side | None = None
    mode: str | None = None
    version: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    total: tuple[float, int, int] | None = None
    counted: bool = False
    """The run was limited by a number of messages, so no length of time is expected of it."""
    blocks: list[_Block] = field(default_factory=list)
    stream: tuple[int, float] | None = None
    stream_bytes: int | None = None
    stream_rate: int | None = None
    bandwidth: tuple[float, int, str] | None = None
    problems: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error_open: bool = False
    started: bool = False
    """The line that begins the measurement was printed."""
    end_told: bool = False
    """Why the measurement ended was printed; what comes after that interrupts nothing."""
    ended: bool = False
    interrupted_by: str = ""
    servers: int = 0

    @property
    def block(self) -> _Block:
        if not self.blocks:
            self.blocks.append(_Block(0))
        return self.blocks[-1]

    @property
    def has_results(self) -> bool:
        return bool(self.total or self.blocks or self.stream)

    def lacks_statistics(self, total: re.Match[str]) -> bool:
        """Whether these totals can be of this run, whose statistics have not come."""
        if self.stream is not None or any(block.valid for block in self.blocks):
            return False
        return self.total == _totals(total) if self.total is not None else bool(self.blocks)

    def take_total(self, total: re.Match[str]) -> None:
        """Keep the totals of the run."""
        self.total = _totals(total)
        self.counted = total.group(3) is not None
        if total.group(6):
            self.notes.append(f"{total.group(6)} messages were skipped.")

    def problem(self, reason: str, detail: str) -> bool:
        """Keep a problem, unless there are many of its kind already; tell whether it was kept."""
        kept = len(self.problems) < _PROBLEMS_KEPT or all(known != reason for known, _ in self.problems)
        if kept:
            self.problems.append((reason, detail))
        return kept

    def note(self, text: str) -> None:
        if len(self.notes) < _PROBLEMS_KEPT:
            self.notes.append(text)


class SockperfRecogniser(Recogniser):
    """Finds sockperf output among other lines.

    A command line such as ``sockperf ping-pong -i 10.0.0.1 -t 30`` before an output says what was asked of
    it. A client's and a server's output may be interleaved.
    """

    def __init__(self) -> None:
        self._head: _Run | None = None
        self._client: _Run | None = None
        self._server: _Run | None = None
        self._asked: dict[str, Any] | None = None

    def feed(self, line: str, number: int) -> Iterable[Finding]:
        """Take the next cleaned line."""
        if "sockperf" in line:
            return self._own_line(line.strip(), number)
        text = line.lstrip()
        if text[:1] in _FIRST and _UNPREFIXED.match(text):
            return self._unprefixed(text.rstrip(), number)
        return ()

    def _unprefixed(self, text: str, number: int) -> Iterable[Finding]:
        """A line that only sockperf prints but without its name, as in a full log or a list of addresses."""
        if self._client or self._server or self._head or text.startswith(_STARTERS):
            return self._message(text, number)
        return ()

    def close(self, cut_line: int = 0) -> Iterable[Finding]:
        """Judge what is left."""
        left = [run for run in (self._head, self._client, self._server) if run is not None]
        self._head = self._client = self._server = self._asked = None
        findings = [finding for run in left for finding in _judge(run)]
        return sorted(findings, key=lambda finding: finding.line)

    def _own_line(self, text: str, number: int) -> Iterable[Finding]:
        if text.startswith("sockperf: "):
            return self._message(text[10:].strip(), number)
        if text.startswith("sockperf["):
            return self._message(text[8:].strip(), number)
        command = _COMMAND.match(text)
        if command:
            return self._command(command)
        if _USAGE.match(text):
            self._usage(number)
            return ()
        return self._unprefixed(text, number) if _UNPREFIXED.match(text) else ()

    def _command(self, found: re.Match[str]) -> Iterable[Finding]:
        mode = _SHORT_NAMES.get(found.group(1), found.group(1))
        if mode == "server":
            return ()
        done = self._finish_client()
        self._asked = {"mode": mode, **_asked(found.group(2))}
        return done

    def _usage(self, number: int) -> None:
        run = self._head or self._begin_head(number)
        if not run.problems:
            run.problem(
                "bad_option", "sockperf printed its usage instead of a run: an option was not understood."
            )

    def _begin_head(self, number: int) -> _Run:
        self._head = _Run(line=number)
        return self._head

    def _finish_client(self) -> tuple[Finding, ...]:
        run, self._client = self._client, None
        return () if run is None else _judge(run)

    def _message(self, text: str, number: int) -> Iterable[Finding]:
        if text.startswith("== version"):
            return self._banner(text, number)
        if text.startswith("[SERVER]"):
            return self._become_server(number)
        if text.startswith("[CLIENT]"):
            return self._become_client(number, "send on" in text)
        if text.startswith(("[Total Run]", "test was performed using")):
            return self._results(text, number)
        handled = _HANDLED.match(text)
        if handled:
            return self._handled(int(handled.group(1)), number)
        if text.startswith("Total of "):
            return self._stream_total(text, number)
        self._detail(text, number)
        return ()

    def _banner(self, text: str, number: int) -> Iterable[Finding]:
        done = () if self._head is None else _judge(self._head)
        found = _BANNER.match(text)
        self._begin_head(number).version = found.group(1) if found else None
        return done

    def _take_head(self, number: int) -> _Run:
        run, self._head = self._head, None
        return run or _Run(line=number)

    def _become_server(self, number: int) -> Iterable[Finding]:
        if self._head is None and self._server is not None:
            return ()  # another thread of the same server
        done = () if self._server is None else _judge(self._server)
        self._server = self._take_head(number)
        self._server.side = "server"
        return done

    def _become_client(self, number: int, certain: bool = True) -> Iterable[Finding]:
        done = self._finish_client()
        self._client = run = self._take_head(number)
        run.side = "client"
        if self._asked is not None and certain:
            asked, self._asked = self._asked, None
            run.mode = asked.pop("mode")
            run.parameters.update(asked)
        return done

    def _results(self, text: str, number: int) -> Iterable[Finding]:
        """``[Total Run]`` or the head of a full log: results begin, whether or not the banner was kept."""
        done: Iterable[Finding] = ()
        total = _TOTAL.match(text)
        if self._client is not None and total is not None and self._client.lacks_statistics(total):
            return self._same_run(self._client, total)
        if self._client is None or self._client.has_results:
            done = self._become_client(number)
        run = self._client
        assert run is not None
        log = _LOG_HEAD.match(text)
        if log:
            run.parameters.update(_asked(log.group(1)))
            return done
        if total is None:
            run.problem("malformed", f"The totals cannot be read: “{text[:120]}”.")
            return done
        run.take_total(total)
        return done

    def _same_run(self, run: _Run, total: re.Match[str]) -> Iterable[Finding]:
        """The totals twice, or after the heading of the statistics: a line is out of place, and no run begins."""
        if run.total is not None:
            run.problem("malformed", "The totals of the run are there twice.")
        run.take_total(total)
        return ()

    def _stream_total(self, text: str, number: int) -> Iterable[Finding]:
        done: Iterable[Finding] = ()
        if self._client is None or self._client.has_results:
            done = self._become_client(number)
        run = self._client
        assert run is not None
        found = _STREAM_TOTAL.match(text)
        if found is None:
            run.problem("malformed", f"The totals cannot be read: “{text[:120]}”.")
            return done
        run.stream = (int(found.group(1)), float(found.group(2)))
        if found.group(3):
            run.notes.append(f"{found.group(3)} messages were skipped.")
        return done

    def _handled(self, count: int, number: int) -> Iterable[Finding]:
        run, self._server = self._server or self._take_head(number), None
        run.side = "server"
        return (_judge_server(run, count),)

    def _detail(self, text: str, number: int) -> None:
        run = self._addressee(text, number)
        if run is None:
            return
        if run.error_open and _refine_error(run, text):
            return
        if run.side != "server" and (_take_figure(run, text) or _take_stream_figure(run, text)):
            return
        _take_remark(run, text)

    def _addressee(self, text: str, number: int) -> _Run | None:
        """The process a line belongs to; a process that has not yet said which side it is comes first."""
        if self._head is not None:
            return self._head
        if text.startswith(("cleanupAfterLoop", "[tid ")):
            return self._server
        if text.startswith("Test end (") and self._client is not None and self._client.has_results:
            return self._server
        run = self._client or self._server
        if run is None and (_ERROR.match(text) or _COMPLAINT.fullmatch(text)):
            return self._begin_head(number)
        return run


_FIRST = frozenset("[=-#STNt(E_'")
_UNPREFIXED = re.compile(
    r"\[(?:Total Run|Valid Duration|SERVER|CLIENT|tid | *\d+\] IP = )|====|# dropped|Summary: |Test |Total "
    r"|NOTE: |No |---> |test was|\(errno|ERROR|_seqN|'-"
)
_STARTERS = ("[Total Run]", "test was performed using the following parameters: ")


def _asked(arguments: str) -> dict[str, Any]:
    """What the options of a command line ask for, in the names that cases use."""
    words = re.split(r"\s(?:[|;&>]|\d?>)", f" {arguments}")[0].replace("=", " ").split()
    asked: dict[str, Any] = {}
    for name, short, long in _OPTIONS:
        for index, word in enumerate(words):
            value = words[index + 1] if index + 1 < len(words) else ""
            if short and word.startswith(short) and not word.startswith("--") and word != short:
                value = word[len(short) :]
            elif word not in (short, long):
                continue
            if re.fullmatch(r"\d+(?:\.\d+)?", value):
                asked[name] = float(value) if name == "seconds" else int(float(value))
    if "--tcp" in words:
        asked["protocol"] = "tcp"
    if "--full-rtt" in words:
        asked["full_rtt"] = True
    return asked


def _take_figure(run: _Run, text: str) -> bool:
    """Keep one line of the statistics block; False if it is none."""
    first = text[:1]
    if first == "[":
        return _take_bracket(run, text)
    if first == "=":
        return _take_average(run, text)
    if first == "#":
        found = _ERRORS.match(text)
        if found:
            run.block.errors = (int(found.group(1)), int(found.group(2)), int(found.group(3)))
        return found is not None
    if first == "-":
        return _take_distribution(run.block, text) if text.startswith("---> ") else False
    if text.startswith("Total "):
        found = _OBSERVATIONS.match(text)
        if found:
            run.block.observations = int(found.group(1))
        return found is not None
    found = _SUMMARY.match(text) if text.startswith("Summary: ") else None
    if found:
        run.block.summary = ("rtt" if found.group(1) == "Round trip" else "latency", float(found.group(3)))
        if found.group(2):
            run.parameters["burst"] = int(found.group(2))
    return found is not None


def _take_bracket(run: _Run, text: str) -> bool:
    valid = _VALID.match(text)
    if valid:
        if run.block.valid is not None:
            run.problem("malformed", "One statistics block has two valid windows.")
        run.block.valid = (float(valid.group(1)), int(valid.group(2)), int(valid.group(3)))
        return True
    target = _TARGET.match(text)
    if target:
        run.servers += 1
        run.parameters.setdefault("address", target.group(2))
        run.parameters.setdefault("port", int(target.group(3)))
        if target.group(4):
            run.parameters["protocol"] = target.group(4).lower()
    return target is not None


def _take_average(run: _Run, text: str) -> bool:
    server = _SERVER.match(text)
    if server:
        run.blocks.append(_Block(int(server.group(1))))
        return True
    average = _AVERAGE.match(text)
    if average:
        run.block.kind = "rtt" if average.group(1) == "rtt" else "latency"
        run.block.mean = float(average.group(2))
    return average is not None


def _take_distribution(block: _Block, text: str) -> bool:
    percentile = _PERCENTILE.match(text)
    if percentile:
        block.percentiles[_percent(percentile.group(1))] = float(percentile.group(2))
        return True
    extreme = _EXTREME.match(text)
    if extreme is None:
        return False
    if extreme.group(1) == "MAX":
        block.maximum = float(extreme.group(2))
    else:
        block.minimum = float(extreme.group(2))
    return True


def _take_stream_figure(run: _Run, text: str) -> bool:
    note = _STREAM_NOTE.match(text)
    if note:
        run.stream_bytes = int(note.group(2))
        run.parameters["message_bytes"] = run.stream_bytes
        if note.group(1):
            run.notes.append("The message size varied; the throughput is of its average.")
        if note.group(3):
            run.parameters["mps"] = int(note.group(3))
        return True
    rate = _STREAM_RATE.match(text)
    if rate:
        run.stream_rate = int(rate.group(1))
        return True
    bandwidth = _STREAM_BANDWIDTH.match(text)
    if bandwidth:
        run.bandwidth = (float(bandwidth.group(1)), len(bandwidth.group(2)), bandwidth.group(3))
    return bandwidth is not None


def _take_remark(run: _Run, text: str) -> None:
    for words, reason, detail in _FAILURES:
        if words in text:
            run.problem(reason, f"{detail} sockperf says: “{text[:160]}”.")
            return
    if text.startswith("Test end"):
        stopped = None if run.end_told else _INTERRUPTED.match(text)
        run.interrupted_by = stopped.group(1) if stopped else run.interrupted_by
        run.end_told = run.end_told or text.startswith("Test end (")
        run.ended = run.ended or text.startswith("Test ended")
        return
    run.started = run.started or text.startswith("Starting test...")
    error = _ERROR.match(text)
    if error:
        message = error.group(1)
        kept = run.problem(_error_reason(message), f"sockperf says: “{message[:200]}”.")
        run.error_open = kept and "errno=" not in message
        return
    if run.side is None and _COMPLAINT.fullmatch(text):
        run.problem("bad_option", f"sockperf did not accept its options: “{text[:200]}”.")
    elif text.startswith("Info: "):
        run.note(text[6:])


# EADDRNOTAVAIL, ENETUNREACH and EHOSTUNREACH of Linux, whatever this program runs on.
_NO_ADDRESS = frozenset({99, 101, 113})


def _error_reason(message: str) -> str:
    found = _ERRNO.search(message)
    number = int(found.group(1)) if found else None
    if number == 98 or "Address already in use" in message:
        return "address_in_use"
    if number in _NO_ADDRESS:
        return "address_missing"
    if number == 111 or ("connect socket" in message and number is None):
        return "refused"
    return "tool_error"


def _refine_error(run: _Run, text: str) -> bool:
    """The system's own words about an error, which sockperf may print on the line after it."""
    run.error_open = False
    found = _ERRNO.match(text)
    if found is None or not run.problems:
        return False
    _, detail = run.problems.pop()
    run.problem(_error_reason(text), f"{detail.rstrip('”.')} {found.group(0)}”.")
    return True


def _percent(text: str) -> str:
    """``99.990`` as metrics are named: ``99.99``."""
    return text.rstrip("0").rstrip(".")


def enough_observations(percent: float, observations: int) -> bool:
    """Whether so many observations can carry this percentile (see the module's text)."""
    share = max(percent, 100.0 - percent) / 100.0
    if share >= 1.0:
        return False
    return observations * math.log(share) <= math.log(0.025)


def _judge(run: _Run) -> tuple[Finding, ...]:
    """One finding for each server's statistics, or one that says why there are none."""
    if run.side == "server":
        return (_finish_server(run),)
    if run.interrupted_by:
        run.problem("interrupted", f"The client was stopped by {run.interrupted_by} before its time was over.")
    if run.side is None and not run.problems:
        return (_finding(run, "invalid", "truncated", "The output ends before sockperf says what it does."),)
    if run.problems:
        reason, detail = _gravest(run.problems)
        return (_finding(run, "failed" if reason in _FAILED else "invalid", reason, detail),)
    if run.stream is not None:
        return (_judge_stream(run, run.stream),)
    if not run.blocks:
        return (_finding(run, "invalid", "truncated", "The output ends before the statistics."),)
    return tuple(_judge_block(run, block) for block in run.blocks)


_GRAVITY = (
    "bad_option",
    "address_in_use",
    "address_missing",
    "refused",
    "tool_error",
    "interrupted",
    "no_messages",
    "no_observations",
    "short_run",
    "malformed",
)


def _gravest(problems: list[tuple[str, str]]) -> tuple[str, str]:
    return min(problems, key=lambda problem: _GRAVITY.index(problem[0]))


def _finding(
    run: _Run,
    status: Status,
    reason: str = "",
    detail: str = "",
    samples: tuple[Sample, ...] = (),
    extra: Mapping[str, Any] | None = None,
    measured: Mapping[str, float] | None = None,
    stalled: str = "",
) -> Finding:
    return Finding(
        tool="sockperf",
        mode=_mode(run),
        status=status,
        reason=reason,
        detail=detail,
        side=run.side,
        version=run.version,
        parameters={**run.parameters, **(extra or {})},
        samples=samples,
        notes=tuple(run.notes),
        line=run.line,
        measured=measured or {},
        stalled=stalled,
    )


def _mode(run: _Run) -> str:
    """The subcommand if a command line tells it; the text tells only latency, throughput and server apart."""
    if run.side == "server":
        return "server"
    if run.stream is not None:
        return "throughput"
    return run.mode or ("latency" if run.side == "client" else "unknown")


def _finish_server(run: _Run) -> Finding:
    if run.problems:
        reason, detail = _gravest(run.problems)
        return _finding(run, "failed" if reason in _FAILED else "invalid", reason, detail)
    return _finding(
        run, "invalid", "truncated", "The server printed no total: it was killed, or its output was cut off."
    )


def _judge_server(run: _Run, count: int) -> Finding:
    if run.problems:
        return _finish_server(run)
    if count == 0:
        return _finding(run, "failed", "no_messages", "The server received no message.")
    samples = (Sample("messages_received", "count", float(count)),)
    return _finding(run, "valid", samples=samples, measured={"messages_handled": float(count)})


def _judge_block(run: _Run, block: _Block) -> Finding:
    extra: dict[str, Any] = {"full_rtt": True} if block.kind == "rtt" else {}
    if len(run.blocks) > 1 or block.server:
        extra["server_number"] = block.server
    missing = _missing(run, block)
    if missing:
        return _finding(run, "invalid", "truncated", f"The statistics lack {missing}.", extra=extra)
    problem = _disagreement(run, block) or _wrong_word(run, block)
    if problem:
        return _finding(run, "invalid", "malformed", problem, extra=extra)
    short = _short(run, block)
    if short:
        return _finding(run, "invalid", "short_run", short, extra=extra)
    assert run.total and block.valid and block.errors
    if run.mode == "ping-pong" and any(block.errors):
        return _finding(run, "invalid", "message_lost", LOST.format(*block.errors), extra=extra)
    measured = {
        "seconds": block.valid[0],
        "messages_sent": float(run.total[1]),
        "messages_received": float(run.total[2]),
    }
    samples = tuple(_block_samples(run, block))
    return _finding(run, "valid", samples=samples, extra=extra, measured=measured, stalled=_stalled(block))


def _stalled(block: _Block) -> str:
    """Say how long the slowest message took where nothing else was nearly as slow; when it was is not printed."""
    assert block.maximum is not None
    usual = block.percentiles.get("50")
    whole = 1 if block.kind == "rtt" else 2
    seconds = whole * block.maximum / 1e6
    if usual is None or seconds < STALL_SECONDS or block.maximum < STALL_TIMES_MEDIAN * usual:
        return ""
    return f"one message took {seconds:.3f} s to go and come back, the median {whole * usual / 1e6:.6f} s"


def _missing(run: _Run, block: _Block) -> str:
    """What the statistics block of a finished run always has and this one has not."""
    wanted: tuple[tuple[object, str], ...] = (
        (run.total, "the line of the total run"),
        (block.valid, "the line of the valid duration"),
        (block.mean, "the average"),
        (block.errors, "the line of dropped messages"),
        (block.observations, "the number of observations"),
        (block.maximum, "the largest observation"),
        (block.minimum, "the smallest observation, which ends them"),
    )
    return next((name for value, name in wanted if value is None), "")


def _disagreement(run: _Run, block: _Block) -> str:
    """A sentence about figures that cannot belong to the same run; empty when all agree."""
    assert run.total and block.valid and block.observations is not None
    assert block.maximum is not None and block.minimum is not None and block.mean is not None
    if block.observations != block.valid[2]:
        return (
            f"The distribution has {block.observations} observations but the valid window received"
            f" {block.valid[2]} messages."
        )
    if block.valid[0] > run.total[0] + 1.0 or block.valid[1] > run.total[1]:
        return "The valid window is larger than the whole run."
    if block.valid[2] > run.total[2]:
        return "The valid window received more messages than the whole run."
    ladder = [(0.0, block.minimum), *((float(key), value) for key, value in block.percentiles.items())]
    ladder = [*sorted(ladder), (100.0, block.maximum)]
    if any(high[1] < low[1] for low, high in itertools.pairwise(ladder)):
        return "The percentiles do not grow from the smallest to the largest observation."
    if not block.minimum - 0.002 <= block.mean <= block.maximum + 0.002:
        return "The average lies outside the smallest and largest observation."
    return ""


def _wrong_word(run: _Run, block: _Block) -> str:
    if block.summary is not None:
        kind, mean = block.summary
        if kind != block.kind or mean != block.mean:
            return "The summary line and the average disagree."
    # A playback does not say why it ended, and has no warm-up that is cut off.
    windowed = run.total is not None and block.valid is not None and run.total[0] - block.valid[0] > WINDOW_LOST_SECONDS / 2
    if windowed and run.started and run.ended and not run.end_told:
        return "The output lacks the line that says why the test ended."
    if run.parameters.get("full_rtt") and block.kind != "rtt":
        return "The round trip was asked for but the figures are one-way latencies."
    return ""


def _short(run: _Run, block: _Block) -> str:
    assert run.total and block.valid
    if run.counted or "messages" in run.parameters:
        wanted = run.parameters.get("messages")
        if wanted is not None and block.valid[1] < WINDOW_SHARE * wanted:
            return f"The valid window has {block.valid[1]} of {wanted} messages."
        return ""
    asked = run.parameters.get("seconds")
    seconds = run.total[0] if asked is None else float(asked)
    needed = WINDOW_SHARE * (seconds - WINDOW_LOST_SECONDS)
    # The window ends with a reply, and under-load asks for one in a hundred messages: what lies between two replies
    # may be missing on either side. Between two replies of a ping-pong lies nothing.
    needed -= min(3 * run.total[0] / max(run.total[2], 1), needed / 2)
    if block.valid[0] >= needed:
        return ""
    return (
        f"The valid window is {block.valid[0]:.3f} s where a run of {seconds:g} s has at least"
        f" {needed:.3f} s: the messages stopped early, as after one lost datagram."
    )


def _block_samples(run: _Run, block: _Block) -> Iterator[Sample]:
    assert run.total and block.valid and block.observations is not None and block.errors
    assert block.maximum is not None and block.minimum is not None and block.mean is not None
    yield Sample(f"{block.kind}_mean", "us", block.mean)
    for percent, value in sorted(block.percentiles.items(), key=lambda item: float(item[0])):
        if enough_observations(float(percent), block.observations):
            yield Sample(f"{block.kind}_p{percent}", "us", value)
    yield Sample(f"{block.kind}_min", "us", block.minimum)
    yield Sample(f"{block.kind}_max", "us", block.maximum)
    if block.valid[0] > 0:
        yield Sample("message_rate", "1/s", block.valid[1] / block.valid[0])
    if block is run.blocks[0]:
        yield Sample("messages_sent", "count", float(run.total[1]))
        yield Sample("messages_received", "count", float(run.total[2]))
    for name, count in zip(("dropped", "duplicated", "out_of_order"), block.errors, strict=True):
        yield Sample(name, "count", float(count))


def _judge_stream(run: _Run, total: tuple[int, float]) -> Finding:
    """Throughput mode: what the sender handed to its own kernel."""
    messages, seconds = total
    if run.stream_rate is None or run.bandwidth is None:
        return _finding(
            run, "invalid", "truncated", "The output ends before the message rate and the bandwidth."
        )
    if messages == 0:
        return _finding(run, "failed", "no_data", "The client sent no message.")
    size = run.stream_bytes or run.parameters.get("message_bytes") or DEFAULT_THROUGHPUT_BYTES
    asked = run.parameters.get("seconds")
    if asked is not None and seconds < WINDOW_SHARE * (asked - WINDOW_LOST_SECONDS):
        return _finding(run, "invalid", "short_run", f"The client sent for {seconds:.3f} s of {asked:g} s.")
    if seconds <= 0 or not _rates_agree(run, messages, seconds, size):
        detail = "The message rate, the message size and the bandwidth do not belong to the same run."
        return _finding(run, "invalid", "malformed", detail)
    rate = messages / seconds
    samples = (
        Sample("throughput_sent", "bit/s", rate * size * 8),
        Sample("message_rate", "1/s", rate),
        Sample("messages_sent", "count", float(messages)),
    )
    measured = {"seconds": seconds, "messages_sent": float(messages)}
    return _finding(run, "valid", samples=samples, extra={"message_bytes": size}, measured=measured)


def _rates_agree(run: _Run, messages: int, seconds: float, size: int) -> bool:
    """The printed rate and bandwidth must follow from the other figures.

    The bandwidth is in units of 2^20 bytes (of 1000 times that with ``--giga-size``), and versions before 3.8
    print it under the wrong unit with ``--increase_output_precision``; so it is a check and never a figure.
    """
    assert run.stream_rate is not None and run.bandwidth is not None
    rate = messages / seconds
    if abs(rate - run.stream_rate) > 0.51 + rate * 0.0006 / seconds:
        return False
    printed, decimals, _ = run.bandwidth
    mebibytes = run.stream_rate * size / 2**20
    slack = 0.51 * 10.0**-decimals
    return any(abs(printed - mebibytes / unit) <= slack + 1e-9 * mebibytes for unit in (1, 1000))
