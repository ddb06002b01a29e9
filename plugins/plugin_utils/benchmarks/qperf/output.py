"""What qperf 0.4 prints into findings.

qperf ends with 0 after tests that measured nothing (``latency = 0 ns``), and its figures are rounded to three digits
unless it is told otherwise. So nothing is taken from them: every figure is made of the counts and times that
``-vv -uu -un`` adds, and what qperf printed as its result must follow from them, digit by digit.

``latency_mean`` is one way, half the mean round trip: the client's time divided by the messages of both directions.
qperf has no median and no percentiles. Its times have a resolution of 10 ms, and its CPU figures are of the whole host,
waiting for disks and stolen time included, so they are not taken.

A lost datagram ends ``udp_lat`` silently: the client waits until the time is over, and divides by it. Nothing in one
such test tells. A run of it is therefore made of several tests one after another (slices), with ``quit`` behind them;
a slice in which a message was lost has too few. One in which it was lost shortly before the end passes, and makes the
mean of N slices too large by at most 1 / 2N.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from ...model import Sample, Side, Status
from ...parsing.finding import Finding
from ...parsing.lines import clean, prompts_of

TESTS: Mapping[str, str] = {"tcp_lat": "tcp", "tcp_bw": "tcp", "udp_lat": "udp", "udp_bw": "udp"}
"""The tests that are read, each with its transport."""
SLICED = frozenset({"udp_lat"})
"""Tests that lose a message silently."""
FEWEST_SLICES = 5
"""With fewer tests one that lost a message cannot be told from the others."""
SLICE_SHARE = 0.5
"""A slice whose rate is below this share of the median slice's has lost a message, or was held up as if."""
UNDER_WAY = 1
"""Messages that one end has counted and the other has not when the time of a test is over."""
SECONDS_TOLERANCE = 0.02
SECONDS_TOLERANCE_MIN = 0.2
"""What the time of a test may differ by from what was asked: as a share, and in seconds."""
NS = 1e9

_PROMPTS = prompts_of(("qperf",))
_HEAD = re.compile(r"(\w+):$")
_ROW = re.compile(r" {4}([a-z_]+) += +(\d{1,30}(?:\.\d{1,30})?) ?(\D.*)?$")
_UNITS: Mapping[str, str] = {
    "latency": "ns",
    "bw": "bytes/sec",
    "send_bw": "bytes/sec",
    "recv_bw": "bytes/sec",
    "msg_rate": "/sec",
    "msg_size": "bytes",
    "port": "",
    "time": "ns",
    **{f"{end}_real_time": "ns" for end in ("loc", "rem")},
    **{f"{end}_{way}_bytes": "bytes" for end in ("loc", "rem") for way in ("send", "recv")},
    **{f"{end}_{way}_{what}": "" for end in ("loc", "rem") for way in ("send", "recv") for what in ("msgs", "errors")},
}
"""The rows that are read, each with its unit under ``-uu``."""
_ALWAYS = ("msg_size", "time", "loc_real_time", "rem_real_time")
"""Rows of every test of more than 0 bytes and seconds. Others are left out by qperf where they are 0."""
_OWN_ROW = re.compile(r" {4}(?:loc|rem|send|recv)_(?:\w+_)?(?:time|bytes|msgs|errors|used|user|intr|kernel|iowait) += ")
"""A row that nobody else prints like that."""

_TEXT = r"(?:[\w.:%-]+: )?"
_ERRORS: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern), reason, meaning)
    for pattern, reason, meaning in (
        (r".*; try: qperf --help(?: \w+)?$|.*: bad size: .*$", "bad_option", "qperf did not accept its options"),
        (r"you used a client-only option but", "bad_option", "qperf did not accept its options"),
        (r"(?:server: )?unable to make (?:TCP|UDP) socket$", "address_in_use", "The port of the test could not be opened"),
        (r"unable to bind to listen port$", "address_in_use", "The server could not listen"),
        (r"getaddrinfo failed: .*$", "address_missing", "The address cannot be used"),
        (rf"{_TEXT}failed to connect$", "refused", "Nobody answered on the server's port"),
        (r"(?:client: )?could not make (?:TCP|UDP) connection to server$", "refused", "The port of the test was refused"),
        (r"(?:\w+: )?failed to (?:receive|send) [\w ]+: .*$", "peer_lost", "The other end did not answer"),
        (r"(?:\w+: )?upgrade qperf on (?:client|server) from [\d.]+ to [\d.]+$", "tool_error", "The versions do not fit"),
        (r"synchronize .* failure: data does not match$", "tool_error", "The other end is no qperf"),
        (r"(?:server|client) failure$", "tool_error", "The other end failed"),
        (r"/proc/stat .*$|failed to seek /proc/stat.*$|cannot open /proc/.*$", "tool_error", "No CPU times can be read"),
    )
)
"""What qperf says where a test came to nothing: the words, the reason, what it means."""
_INSIDE = re.compile(r"(?:internal error: |\w+: )?(?:[\w /]+ failed|out of space)(?:: .*)?$")
"""Errors that are known as qperf's only behind the name of a test."""
_WARNING = re.compile(r"warning: \S+ set but not used in test \w+$")
_SERVED = re.compile(r"received request: (\w+)$")
_DATA_PORT = re.compile(r"receiving to \w+ port (\d+)$")
_TIMER = re.compile(r"starting timer for (\d+) seconds$")
_FAILED = frozenset({"bad_option", "address_in_use", "address_missing", "refused", "peer_lost", "tool_error", "no_data"})


@dataclass(frozen=True)
class _Figure:
    """A number as it was printed."""

    value: float
    digits: int
    """Digits behind the point."""

    def is_of(self, exact: float) -> bool:
        """Whether this is what qperf prints of ``exact``; it leaves zeros at the end away."""
        return abs(self.value - exact) <= 0.51 * 10.0**-self.digits + 1e-11 * abs(exact)


@dataclass
class _Test:
    """The rows of one test."""

    rows: dict[str, _Figure] = field(default_factory=dict)
    begun: bool = False
    """There was a row, if not one that is read."""
    fault: str = ""

    def count(self, name: str) -> int:
        """A count or an amount of bytes; a row that is not there stands for 0."""
        return int(self.rows[name].value) if name in self.rows else 0

    def seconds(self, name: str) -> float:
        return self.rows[name].value / NS

    def take(self, name: str, figure: _Figure) -> None:
        if name in self.rows:
            self.fault = self.fault or f"There are two rows {name} in one test."
        self.rows[name] = figure


@dataclass
class _Run:
    """The tests of one name that are one run: several where they are slices, otherwise one."""

    line: int
    name: str
    tests: list[_Test] = field(default_factory=list)
    problem: tuple[str, str] | None = None
    notes: list[str] = field(default_factory=list)
    quit: bool = False

    def fail(self, reason: str, detail: str) -> None:
        """Keep the first problem."""
        self.problem = self.problem or (reason, detail)


@dataclass
class _Log:
    """What a server with ``-D`` wrote down."""

    line: int
    served: list[str] = field(default_factory=list)
    ended: int = 0
    seconds: int = 0
    port: int | None = None
    problem: tuple[str, str] | None = None


class QperfRecogniser:
    """Finds qperf's output among other lines (the ``Recogniser`` protocol)."""

    def __init__(self) -> None:
        self._run: _Run | None = None
        self._log: _Log | None = None

    def feed(self, line: str, number: int) -> Iterable[Finding]:
        """Take the next cleaned line."""
        if line.startswith("    "):
            self._row(line, number)
            return ()
        text = line.strip()
        head = _HEAD.match(text)
        if head and (head[1] in TESTS or (head[1] == "quit" and self._run)):
            return self._head(head[1], number)
        if self._take_error(text, number):
            return ()
        self._take_log(text, number)
        return ()

    def divide(self, line: str) -> Iterable[Finding]:
        """A fence or a heading: no output goes on behind it."""
        return self.close()

    def close(self, cut_line: int = 0) -> Iterable[Finding]:
        """Judge what is left."""
        log, self._log = self._log, None
        found = [*self._finish(), *((_judge_log(log),) if log else ())]
        return sorted(found, key=lambda finding: finding.line)

    def _finish(self) -> tuple[Finding, ...]:
        run, self._run = self._run, None
        return (_judge(run),) if run else ()

    def _head(self, name: str, number: int) -> Iterable[Finding]:
        run = self._run
        if name == "quit":
            assert run is not None
            if run.quit:
                run.fail("malformed", "The server was told twice to quit.")
            run.quit = True
            return ()
        joins = run is not None and not run.quit and name in SLICED and run.name in (name, "")
        done: Iterable[Finding] = () if joins else self._finish()
        if not joins:
            self._run = run = _Run(number, name)
        assert run is not None
        run.name = name
        run.tests.append(_Test())
        return done

    def _row(self, line: str, number: int) -> None:
        found = _ROW.match(line)
        if self._run is None:
            if not _OWN_ROW.match(line):
                return
            self._run = _Run(number, "", [_Test()])
            self._run.fail("truncated", "The output begins in the middle of a test.")
        if self._run.quit:
            self._run.fail("malformed", "There are rows behind the last test.")
            return
        test = self._run.tests[-1] if self._run.tests else _Test()
        test.begun = True
        if found and _UNITS.get(found[1]) == (found[3] or "").strip():
            digits = len(found[2].partition(".")[2])
            test.take(found[1], _Figure(float(found[2]), digits))

    def _take_error(self, text: str, number: int) -> bool:
        """Keep what qperf says of a failure; False for other lines."""
        if _WARNING.match(text):
            if self._run and len(self._run.notes) < 8:
                self._run.notes.append(text)
            return True
        for pattern, reason, meaning in _ERRORS:
            if pattern.match(text):
                self._fail(reason, f"{meaning}: “{text[:200]}”.", number)
                return True
        if self._run and not self._run.quit and _INSIDE.match(text):
            self._fail("tool_error", f"qperf says: “{text[:200]}”.", number)
            return True
        return False

    def _fail(self, reason: str, detail: str, number: int) -> None:
        if self._run is None and self._log is not None:
            self._log.problem = self._log.problem or (reason, detail)
            return
        if self._run is None:
            self._run = _Run(number, "")
        self._run.fail(reason, detail)

    def _take_log(self, text: str, number: int) -> None:
        served = _SERVED.match(text)
        if self._log is None and (served or text == "ready for requests"):
            self._log = _Log(number)
        log = self._log
        if log is None:
            return
        port, timer = _DATA_PORT.match(text), _TIMER.match(text)
        if served:
            log.served.append(served[1])
        elif port:
            log.port = int(port[1])
        elif timer and log.served and log.served[-1] != "quit":
            log.seconds += int(timer[1])
        elif text == "sending results":
            log.ended += 1


def iterate(text: str) -> Iterable[Finding]:
    """Every run in a text."""
    recogniser = QperfRecogniser()
    for number, line in enumerate(text.splitlines(), 1):
        yield from recogniser.feed(clean(line, _PROMPTS), number)
    yield from recogniser.close()


def parse_qperf(text: str) -> Finding:
    """Judge the whole output of one client or server."""
    findings = tuple(iterate(text))
    if findings:
        return findings[0]
    if text.strip():
        return Finding("qperf", "unknown", "failed", "malformed", "The text holds nothing that qperf prints.")
    return Finding("qperf", "unknown", "failed", "no_output", "qperf printed nothing at all.")


def _finding(
    run: _Run,
    status: Status,
    reason: str = "",
    detail: str = "",
    samples: tuple[Sample, ...] = (),
    measured: Mapping[str, float] | None = None,
) -> Finding:
    side: Side | None = "client" if run.name else None
    return Finding(
        tool="qperf",
        mode=run.name or "unknown",
        status=status,
        reason=reason,
        detail=detail,
        side=side,
        parameters=_parameters(run),
        samples=samples,
        notes=tuple(run.notes),
        line=run.line,
        measured=measured or {},
    )


def _parameters(run: _Run) -> dict[str, Any]:
    """What the rows show of what was asked."""
    if not run.name:
        return {}
    shown: dict[str, Any] = {"test": run.name, "protocol": TESTS[run.name]}
    for parameter, row in (("message_bytes", "msg_size"), ("data_port", "port")):
        values = {test.count(row) for test in run.tests if row in test.rows}
        if len(values) == 1:
            shown[parameter] = values.pop()
    if all("time" in test.rows for test in run.tests):
        shown["seconds"] = sum(test.seconds("time") for test in run.tests)
    return shown


def _judge(run: _Run) -> Finding:
    if run.problem:
        reason, detail = run.problem
        return _finding(run, "failed" if reason in _FAILED else "invalid", reason, detail)
    if not any(test.begun for test in run.tests):
        # What went wrong may be on standard error.
        return _finding(run, "failed", "no_data", "The output ends before the figures of the test.")
    latency = run.name.endswith("_lat")
    for test in run.tests:
        trouble = _fault(test, latency) or _nothing_moved(test, latency) or _not_believed(test, latency, TESTS[run.name])
        if trouble:
            reason, detail = trouble
            return _finding(run, "failed" if reason in ("no_messages", "no_data") else "invalid", reason, detail)
    trouble = _slices_problem(run) if run.name in SLICED else None
    if trouble:
        return _finding(run, "invalid", *trouble)
    return _latency(run) if latency else _throughput(run)


def _fault(test: _Test, latency: bool) -> tuple[str, str] | None:
    """Why the rows cannot be the whole output of one test."""
    if test.fault:
        return "malformed", test.fault
    missing = next((name for name in _ALWAYS if name not in test.rows), None)
    if missing:
        return "uncounted", f"There is no row {missing} in the unit that qperf has with -vv -uu -un."
    if not test.seconds("time").is_integer() or any(test.rows[name].value <= 0 for name in _ALWAYS):
        return "malformed", "The times or the size of the messages are none that a test can have."
    if any(figure.digits for name, figure in test.rows.items() if _UNITS[name] in ("", "bytes")):
        return "malformed", "A count is no whole number."
    disagreeing = next((name for name, exact in _exact(test, latency).items() if not _agrees(test, name, exact)), None)
    if disagreeing is None:
        return None
    if _missing_counts(test, latency):
        return "truncated", f"The counts from which {disagreeing} follows are not all there."
    return "malformed", f"The {disagreeing} does not follow from the counts and times beside it."


def _agrees(test: _Test, name: str, exact: float) -> bool:
    """Whether a row is what it must be; one of 0 may be left out."""
    return test.rows[name].is_of(exact) if name in test.rows else exact == 0


def _counted(latency: bool) -> tuple[str, ...]:
    return ("loc_send", "loc_recv", "rem_send", "rem_recv") if latency else ("loc_send", "rem_recv")


def _missing_counts(test: _Test, latency: bool) -> bool:
    return any(f"{name}_{what}" not in test.rows for name in _counted(latency) for what in ("msgs", "bytes"))


def _exact(test: _Test, latency: bool) -> dict[str, float]:
    """What rows must be by the counts and times of the test: qperf's own sums, and whole messages only."""
    here, there = test.seconds("loc_real_time"), test.seconds("rem_real_time")
    local, remote = test.count("loc_recv_msgs"), test.count("rem_recv_msgs")
    both = local + remote
    exact = {f"{name}_bytes": float(test.count(f"{name}_msgs") * test.count("msg_size")) for name in _counted(latency)}
    if latency:
        exact["latency"] = NS * here / both if both else 0.0
    else:
        received = test.count("rem_recv_bytes") / there
        exact["bw" if "bw" in test.rows else "recv_bw"] = received
        if "bw" not in test.rows:
            exact["send_bw"] = test.count("loc_send_bytes") / here
    exact["msg_rate"] = remote / here if not local else local / there if not remote else 2 * both / (here + there)
    return exact


def _nothing_moved(test: _Test, latency: bool) -> tuple[str, str] | None:
    """Whether the counts are whole and one that must not be 0 is."""
    if latency and not (test.count("loc_recv_msgs") and test.count("rem_recv_msgs")):
        return "no_messages", f"No message came back; {test.count('loc_send_msgs')} were sent, {_errors(test)} failed."
    if not latency and not test.count("rem_recv_msgs"):
        return "no_data", f"No message arrived; {test.count('loc_send_msgs')} were sent, {_errors(test)} failed."
    return None


def _errors(test: _Test) -> int:
    return sum(test.count(f"{end}_{way}_errors") for end in ("loc", "rem") for way in ("send", "recv"))


def _not_believed(test: _Test, latency: bool, protocol: str) -> tuple[str, str] | None:
    """Why a test that is whole cannot be believed."""
    if _errors(test):
        return "tool_error", f"{_errors(test)} messages could not be sent or received."
    asked = test.seconds("time")
    slack = max(SECONDS_TOLERANCE * asked, SECONDS_TOLERANCE_MIN)
    for end, measured in (("client", test.seconds("loc_real_time")), ("server", test.seconds("rem_real_time"))):
        if measured < asked - slack:
            return "short_run", f"The {end} measured {measured:g} s of {asked:g} s."
        if measured > asked + slack:
            return "long_run", f"The {end} measured {measured:g} s, {asked:g} s were asked for."
    sent, arrived = test.count("loc_send_msgs"), test.count("rem_recv_msgs")
    if arrived > sent + UNDER_WAY:
        return "ends_disagree", f"The client sent {sent} messages, the server received {arrived}."
    if latency:
        return _out_of_step(test, protocol)
    return None


def _out_of_step(test: _Test, protocol: str) -> tuple[str, str] | None:
    """One message at a time is on its way, so no two counts that follow each other can differ by more than it."""
    chain = [test.count(name) for name in ("loc_send_msgs", "rem_recv_msgs", "rem_send_msgs", "loc_recv_msgs")]
    if all(abs(one - other) <= UNDER_WAY for one, other in zip(chain, [*chain[1:], chain[0]], strict=True)):
        return None
    told = "the client sent {}, the server received {} and answered {}, the client received {}".format(*chain)
    return ("message_lost" if protocol == "udp" else "ends_disagree"), f"Of messages one after another {told}."


def _slices_problem(run: _Run) -> tuple[str, str] | None:
    """Why it is not known that no message was lost."""
    if not run.quit:
        return "truncated", "The last test is not there: without it nobody knows how many tests there were."
    if len(run.tests) < FEWEST_SLICES:
        told = f"of {len(run.tests)} tests {run.name} one that lost a message cannot be told from the others"
        return "message_lost", f"A lost datagram ends a test silently, and {told}: it takes {FEWEST_SLICES}."
    if len({(test.count("msg_size"), test.count("port")) for test in run.tests}) > 1:
        return "several_runs", "The tests have messages of different sizes, or different ports."
    rates = [test.count("loc_recv_msgs") / test.seconds("loc_real_time") for test in run.tests]
    usual, number = median(rates), rates.index(min(rates))
    if rates[number] >= SLICE_SHARE * usual:
        return None
    return (
        "message_lost",
        f"Test {number + 1} of {len(rates)} had {rates[number]:.0f} messages a second, the median {usual:.0f}: "
        "it waited for its end, as after one lost datagram.",
    )


def _sum(run: _Run, name: str) -> int:
    return sum(test.count(name) for test in run.tests)


def _seconds(run: _Run, name: str) -> float:
    return sum(test.seconds(name) for test in run.tests)


def _measured(run: _Run) -> dict[str, float]:
    """What the gate compares: ``sends`` and ``receives`` are the calls that moved the client's messages."""
    return {
        "seconds": _seconds(run, "loc_real_time"),
        "tests": float(len(run.tests)),
        "sends": float(_sum(run, "loc_send_msgs")),
        "receives": float(_sum(run, "rem_recv_msgs")),
    }


def _latency(run: _Run) -> Finding:
    seconds = _seconds(run, "loc_real_time")
    sent, received = _sum(run, "loc_send_msgs"), _sum(run, "loc_recv_msgs")
    samples = (
        Sample("latency_mean", "us", 1e6 * seconds / (received + _sum(run, "rem_recv_msgs"))),
        Sample("message_rate", "1/s", sent / seconds),
        Sample("messages_sent", "count", float(sent)),
        Sample("messages_received", "count", float(received)),
    )
    measured = {**_measured(run), "messages_sent": float(sent), "messages_received": float(received)}
    return _finding(run, "valid", samples=samples, measured=measured)


def _throughput(run: _Run) -> Finding:
    """No loss is given: the two ends do not begin and end at the same moment, and what is under way is in no count."""
    here, there = _seconds(run, "loc_real_time"), _seconds(run, "rem_real_time")
    sent, received = _sum(run, "loc_send_bytes"), _sum(run, "rem_recv_bytes")
    samples = (
        Sample("throughput_received", "bit/s", 8 * received / there),
        Sample("throughput_sent", "bit/s", 8 * sent / here),
        Sample("message_rate", "1/s", _sum(run, "loc_send_msgs") / here),
        Sample("messages_sent", "count", float(_sum(run, "loc_send_msgs"))),
        Sample("messages_received", "count", float(_sum(run, "rem_recv_msgs"))),
    )
    return _finding(run, "valid", samples=samples, measured={**_measured(run), "bytes_received": float(received)})


def _judge_log(log: _Log) -> Finding:
    """A server prints no figure; what it wrote down says whether it was the one that served."""
    tests = [name for name in log.served if name != "quit"]
    names = sorted(set(tests))
    parameters: dict[str, Any] = {"seconds": float(log.seconds)} if log.seconds else {}
    if len(names) == 1 and names[0] in TESTS:
        parameters |= {"test": names[0], "protocol": TESTS[names[0]]}
    if log.port is not None:
        parameters["data_port"] = log.port
    status: Status = "valid"
    reason = detail = ""
    if log.problem:
        reason, detail = log.problem
        status = "failed" if reason in _FAILED else "invalid"
    elif not tests:
        status, reason, detail = "failed", "no_data", "The server served no test."
    elif log.ended != len(tests):
        detail = f"The server served {len(tests)} tests and came to the end of {log.ended}."
        status, reason = "invalid", "truncated"
    return Finding(
        tool="qperf",
        mode="server",
        status=status,
        reason=reason,
        detail=detail,
        side="server",
        parameters=parameters,
        line=log.line,
        measured={"tests": float(len(tests))} if status == "valid" else {},
    )
