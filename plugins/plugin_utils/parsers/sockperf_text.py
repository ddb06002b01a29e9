"""sockperf's text: client and server, version 2.x to current.

sockperf exits with 0 whatever happens, so only the text tells. ``latency_*`` is one-way (half the round trip, the
tool's default); with ``--full-rtt`` the metrics are named ``rtt_*``. The observations are those of the valid duration:
sockperf drops the first 400 ms and the last 50 ms. Formats: sockperf's src/client.cpp and src/common.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..model import Sample, Side, Status
from .finding import Finding

CUT_SECONDS = 0.45
SHORTEST_SHARE = 0.98
PREFIX = re.compile(r"^sockperf: ?")
TOTAL = re.compile(r"\[Total Run\] RunTime=(\d{1,15}(?:\.\d{1,15})?) sec;.*?SentMessages=(\d{1,18}); ReceivedMessages=(\d{1,18})")
VALID = re.compile(r"\[Valid Duration\] RunTime=(\d{1,15}(?:\.\d{1,15})?) sec; SentMessages=(\d{1,18}); ReceivedMessages=(\d{1,18})")
MEAN = re.compile(r"====> avg-(latency|lat|rtt) ?= ?(\d{1,15}(?:\.\d{1,15})?)(?![\d.])")
COUNTS = re.compile(r"# dropped messages = (\d{1,18}); # duplicated messages = (\d{1,18}); # out-of-order messages = (\d{1,18})")
SUMMARY = re.compile(r"Summary: (Latency|Round trip) is (\d{1,15}(?:\.\d{1,15})?) usec")
OBSERVATIONS = re.compile(r"Total (\d{1,18}) observations")
# Three decimals always, nine with --increase_output_precision: fewer are a line that was cut off.
PERCENTILE = re.compile(r"---> percentile +(\d{1,15}(?:\.\d{1,15})?) *= *(\d{1,15}\.\d{3}(?:\d{6})?)\s*$")
EXTREME = re.compile(r"---> <(MAX|MIN)> observation *= *(\d{1,15}\.\d{3}(?:\d{6})?)\s*$")
SERVER_TOTAL = re.compile(r"Total (\d{1,18}) messages? received and handled")
VERSION = re.compile(r"== version #?(\S+) ==|sockperf, version (\S+)")
THROUGHPUT_SENT = re.compile(r"Total of (\d{1,18}) messages sent in (\d{1,15}(?:\.\d{1,15})?) sec")
MESSAGE_RATE = re.compile(r"Summary: Message Rate is (\d{1,15}(?:\.\d{1,15})?) \[msg/sec\]")
STARTS = re.compile(r"\[(CLIENT|SERVER)\] (?:send on|listen on)|== version|sockperf, version")
MODES = {"ping-pong": re.compile(r"ping-pong", re.I), "under-load": re.compile(r"under-load", re.I)}
FAILURES = (
    (re.compile(r"Can.t connect socket|Connection refused", re.I), "refused"),
    (re.compile(r"No messages were received from the server"), "no_messages"),
    (re.compile(r"No valid observations found"), "no_observations"),
    (re.compile(r"_seqN > m_maxSequenceNo"), "tool_error"),
    (re.compile(r"Test end before test start"), "tool_error"),
    (re.compile(r"Address already in use|Can.t bind socket", re.I), "port_taken"),
    (re.compile(r"Cannot assign requested address|Network is unreachable|No route to host", re.I), "address_missing"),
    (re.compile(r"Message received was larger than expected|message (?:length|size) .*(?:exceed|too)", re.I), "tool_error"),
    (re.compile(r"^(?:Usage:|.*unknown option|.*Invalid (?:option|value|argument|.*value))", re.I), "bad_option"),
    (re.compile(r"^ERROR:|\bERROR: |errno=\d+"), "tool_error"),
)
COMMAND = re.compile(r"^\S*sockperf (?:server|sr|ping-pong|pp|under-load|ul|throughput|tp)\b")


def _is_marked(line: str) -> bool:
    """Whether a line has something that sockperf prints. Asked of every line of a text, so it must be quick."""
    return (
        "sockperf" in line
        or "--->" in line
        or "====>" in line
        or "Summary:" in line
        or "# dropped" in line
        or "[Total Run]" in line
        or "[Valid Duration]" in line
        or "messages received and" in line
    )


def _may_be_failure(line: str) -> bool:
    """Whether one of `FAILURES` can match: each needs one of these words."""
    lowered = line.lower()
    return (
        "error" in lowered
        or "errno" in lowered
        or "can" in lowered
        or "refused" in lowered
        or "messages were" in lowered
        or "no valid" in lowered
        or "seqn" in lowered
        or "test end" in lowered
        or "in use" in lowered
        or "unreachable" in lowered
        or "no route" in lowered
        or "message" in lowered
        or "usage" in lowered
        or "option" in lowered
        or "invalid" in lowered
    )



class _Run:
    """What the lines of one run said so far."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.side: Side | None = None
        self.mode = "ping-pong"
        self.version: str | None = None
        self.total: tuple[float, int, int] | None = None
        self.valid: tuple[float, int, int] | None = None
        self.counts: tuple[int, int, int] | None = None
        self.mean: float | None = None
        self.full_rtt: bool | None = None
        self.observations: int | None = None
        self.latencies: dict[str, float] = {}
        self.handled: int | None = None
        self.sent: tuple[int, float] | None = None
        self.rate: float | None = None
        self.failure: tuple[str, str] | None = None
        self.servers = 0
        self.parameters: dict[str, Any] = {}

    @property
    def said_anything(self) -> bool:
        return bool(self.total or self.valid or self.failure or self.handled is not None or self.sent or self.rate)

    def take(self, text: str) -> None:
        """Read one line without the prefix ``sockperf:``."""
        for read in (self._totals, self._figures, self._ends):
            if read(text):
                return
        self._failures(text)

    def _totals(self, text: str) -> bool:
        found = TOTAL.search(text) or VALID.search(text)
        if not found:
            return False
        values = float(found.group(1)), int(found.group(2)), int(found.group(3))
        if "[Total Run]" in text:
            self.total, self.side = values, "client"
        else:
            self.valid = values
        return True

    def _figures(self, text: str) -> bool:
        if found := MEAN.search(text):
            self.mean = float(found.group(2))
            self.full_rtt = found.group(1) == "rtt" if self.full_rtt is None else self.full_rtt
        elif found := COUNTS.search(text):
            self.counts = int(found.group(1)), int(found.group(2)), int(found.group(3))
        elif found := SUMMARY.search(text):
            self.full_rtt = found.group(1) == "Round trip"
        elif found := PERCENTILE.search(text):
            self.latencies[f"p{float(found.group(1)):g}"] = float(found.group(2))
        elif found := EXTREME.search(text):
            self.latencies[found.group(1).lower()] = float(found.group(2))
        elif found := OBSERVATIONS.search(text):
            self.observations = int(found.group(1))
        else:
            return False
        return True

    def _ends(self, text: str) -> bool:
        if found := SERVER_TOTAL.search(text):
            self.handled, self.side = int(found.group(1)), "server"
        elif found := THROUGHPUT_SENT.search(text):
            self.sent, self.side, self.mode = (int(found.group(1)), float(found.group(2))), "client", "throughput"
        elif found := MESSAGE_RATE.search(text):
            self.rate, self.side = float(found.group(1)), "client"
            self.mode = "throughput" if self.mode == "ping-pong" else self.mode
        elif found := VERSION.search(text):
            self.version = found.group(1) or found.group(2)
        elif "Printing statistics for Server No" in text:
            self.servers += 1
        else:
            return False
        return True

    def _failures(self, text: str) -> None:
        for pattern, reason in FAILURES:
            if pattern.search(text):
                self.failure = self.failure or (reason, text.strip()[:200])
        if text.startswith("[CLIENT]") or text.startswith("[SERVER]"):
            self.side = "client" if text.startswith("[CLIENT]") else "server"

    def finding(self) -> Finding:
        status, reason, detail = self._judge()
        samples = self._samples() if status == "valid" else ()
        parameters = dict(self.parameters)
        if self.valid is not None:
            parameters["measured_seconds"] = self.valid[0]
        if self.full_rtt is not None and self.side == "client":
            parameters["full_rtt"] = self.full_rtt
        return Finding(
            "sockperf", self.mode, status, reason, detail, side=self.side, version=self.version,
            parameters=parameters, samples=samples, line=self.line,
        )  # fmt: skip

    def _judge(self) -> tuple[Status, str, str]:
        if self.failure is not None:
            measured = self.valid is not None and self.failure[0] not in ("refused", "no_messages")
            return "invalid" if measured else "failed", *self.failure
        if self.side == "server":
            return "valid", "", ""
        if self.sent is not None or self.rate is not None:
            return "valid", "", ""
        if self.total is None:
            return "failed", "truncated", "the run has no [Total Run] line"
        if self.valid is None or self.mean is None or "min" not in self.latencies or self.counts is None:
            return "invalid", "truncated", "the statistics stop before their end"
        expected = SHORTEST_SHARE * (self.total[0] - CUT_SECONDS)
        # What is measured ends with a reply, and under-load asks for one in a hundred messages.
        expected -= min(3 * self.total[0] / max(self.total[2], 1), expected / 2)
        if self.valid[0] < expected:
            return (
                "invalid",
                "short_run",
                f"measured {self.valid[0]} s of the {self.total[0]} s that the run took: a lost message ends it silently",
            )
        if any(self.counts):
            words = "dropped, duplicated and out-of-order messages"
            if self.mode == "ping-pong":
                return "invalid", "message_lost", f"{self.counts} {words}"
        return "valid", "", ""

    def _samples(self) -> tuple[Sample, ...]:
        if self.side == "server":
            return () if self.handled is None else (Sample("messages_received", "count", self.handled),)
        name = "rtt" if self.full_rtt else "latency"
        samples: list[Sample] = []
        if self.mean is not None:
            samples.append(Sample(f"{name}_mean", "us", self.mean))
        count = self.observations or 0
        for key, value in self.latencies.items():
            # A percentile above which there is not one observation is the largest value under another name.
            if key.startswith("p") and count * (100 - float(key[1:])) < 100 - 1e-9:
                continue
            samples.append(Sample(f"{name}_{key}", "us", value))
        if self.valid is not None and self.valid[0] > 0:
            samples.append(Sample("message_rate", "1/s", self.valid[2] / self.valid[0]))
        if self.total is not None:
            samples.append(Sample("messages_sent", "count", self.total[1]))
            samples.append(Sample("messages_received", "count", self.total[2]))
        if self.sent is not None:
            samples.append(Sample("messages_sent", "count", self.sent[0]))
        if self.rate is not None:
            samples.append(Sample("message_rate", "1/s", self.rate))
        if self.counts is not None:
            names = ("dropped", "duplicated", "out_of_order")
            samples += [Sample(metric, "count", value) for metric, value in zip(names, self.counts, strict=True)]
        return tuple(samples)


class SockperfRecogniser:
    """Finds the runs of sockperf in a text, line by line."""

    def __init__(self) -> None:
        self._run: _Run | None = None

    def feed(self, line: str, number: int) -> Iterable[Finding]:
        """Take the next line; a new start or a second total ends the run before it."""
        if line[:1] in ("@", "{"):
            return ()  # the tracer's lines name sockperf as a thread
        marked = _is_marked(line)
        if not marked and (self._run is None or not _may_be_failure(line)):
            return ()
        ours = PREFIX.match(line)
        text = line[ours.end() :] if ours else line.strip()
        if not marked and not self._failing(text):
            return ()
        if COMMAND.match(line):
            return self._finish()  # a command typed above its output
        finished: list[Finding] = []
        if self._run is not None and self._run.said_anything and self._begins(text):
            finished = list(self._finish())
        if self._run is None:
            self._run = _Run(number)
        self._run.take(text)
        return finished

    def close(self) -> Iterable[Finding]:
        """What is left at the end of the text."""
        return self._finish()

    def _begins(self, text: str) -> bool:
        return bool(STARTS.search(text)) or ("[Total Run]" in text and self._run is not None and self._run.total is not None)

    def _failing(self, text: str) -> bool:
        return self._run is not None and any(pattern.search(text) for pattern, _reason in FAILURES)

    def _finish(self) -> list[Finding]:
        run, self._run = self._run, None
        return [run.finding()] if run is not None and (run.said_anything or run.side is not None) else []


def parse_sockperf(text: str) -> Finding:
    """The only run of a text. Raises nothing: without a run the finding is ``failed``."""
    recogniser = SockperfRecogniser()
    findings = [found for number, line in enumerate(text.splitlines(), 1) for found in recogniser.feed(line, number)]
    findings += recogniser.close()
    if len(findings) == 1:
        return findings[0]
    reason = "several_runs" if findings else "no_output"
    return Finding("sockperf", "ping-pong", "failed", reason, f"{len(findings)} runs in one output")
