"""sockperf: latency of small messages (ping-pong, under-load) or message throughput."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ...model import SyscallCount
from ...parsing.finding import Finding
from ...records.record import End, Record, Trouble
from ..benchmark import (
    HOST_PARAMETERS,
    PER_MESSAGE,
    Benchmark,
    Commands,
    Duration,
    Parameter,
    Port,
    at_least,
    host_marks,
    host_problems,
    unsafe_arguments,
)
from ..command_line import Command
from . import checks, notes
from .output import SockperfRecogniser

WARM_UP_SECONDS = 3.5
"""Warm-up messages, the two seconds that sockperf sleeps before it measures, and memory that it touches first."""
MOST_MESSAGES_PER_SECOND = 10_000_000
SMALLEST_MESSAGE_BYTES = 14
LARGEST_MESSAGE_BYTES = {"udp": 65507, "tcp": 2**20 - 1}


class Sockperf(Benchmark):
    """``sockperf server -i ADDRESS`` and ``sockperf ping-pong -i ADDRESS -m BYTES -t SECONDS``."""

    name = "sockperf"
    fields = (
        Parameter("seconds", "whole", "t"),
        Parameter("message_bytes", "whole", "m"),
        Parameter("protocol", "text", ""),
        Parameter("mode", "text", ""),
        Parameter("mps", "text", "mps"),
        Parameter("full_rtt", "flag", ("rtt", "half"), neutral=False),
        *HOST_PARAMETERS,
        Parameter("extra_args", "list", ""),
    )
    recognisers = (SockperfRecogniser,)
    units = (PER_MESSAGE,)
    headlines = (
        ("throughput_sent", "throughput sent"),
        ("latency_p50", "latency p50"),
        ("latency_p99", "latency p99"),
        ("latency_p99.9", "latency p99.9"),
        ("rtt_p50", "round trip p50"),
        ("rtt_p99", "round trip p99"),
        ("rtt_p99.9", "round trip p99.9"),
        ("message_rate", "message rate"),
    )
    decisive = ("latency_p50", "rtt_p50", "message_rate")
    result_lines = "[Total Run]"
    reads_commands = True
    compared = ("protocol", "message_bytes", "mode", "full_rtt")

    def problems(self, parameters: Mapping[str, Any]) -> list[str]:
        found = at_least(parameters, self.name, "seconds", 1, 86400)
        largest = LARGEST_MESSAGE_BYTES.get(parameters["protocol"])
        if largest is None:
            found.append(f"sockperf_protocol is {parameters['protocol']!r}; it must be udp or tcp")
        else:
            found += at_least(parameters, self.name, "message_bytes", SMALLEST_MESSAGE_BYTES, largest)
        if parameters["mode"] not in ("ping-pong", "under-load", "throughput"):
            found.append(
                f"sockperf_mode is {parameters['mode']!r}; it must be ping-pong, under-load or throughput"
            )
        found += _rate_problems(parameters["mps"])
        found += host_problems(parameters, self.name)
        return found + unsafe_arguments(self.name, parameters["extra_args"])

    def case_name(self, parameters: Mapping[str, Any]) -> str:
        parts = [parameters["mode"], parameters["protocol"], f"m{parameters['message_bytes']}"]
        parts.append(f"t{parameters['seconds']}")
        if parameters["mps"]:
            parts.append(f"mps{parameters['mps']}")
        if parameters["full_rtt"]:
            parts.append("rtt")
        return "_".join(parts + host_marks(parameters))

    def privileges(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Busy polling longer than the system does is for the privileged."""
        asked = any(str(item).partition("=")[0] == "--lls" for item in parameters["extra_args"])
        return {"capabilities": ["net_admin"]} if asked else {}

    def measured_seconds(self, parameters: Mapping[str, Any]) -> float:
        return float(parameters["seconds"]) + WARM_UP_SECONDS

    def commands(self, parameters: Mapping[str, Any], server: str, client: str, port: int) -> Commands:
        listen = ["sockperf", "server", "-i", server, "-p", str(port)]
        call = ["sockperf", parameters["mode"], "-i", server, "-p", str(port)]
        call += ["-m", str(parameters["message_bytes"]), "-t", str(parameters["seconds"])]
        if parameters["protocol"] == "tcp":
            listen.append("--tcp")
            call.append("--tcp")
        if parameters["message_bytes"] > LARGEST_MESSAGE_BYTES["udp"]:
            listen += ["-m", str(parameters["message_bytes"])]
        if parameters["mps"]:
            call += ["--mps", str(parameters["mps"])]
        if parameters["full_rtt"]:
            call.append("--full-rtt")
        call += [str(item) for item in parameters["extra_args"]]
        protocol: Literal["tcp", "udp"] = "tcp" if parameters["protocol"] == "tcp" else "udp"
        return Commands(tuple(listen), tuple(call), (Port(protocol, port),), "interrupt")

    def duration(self, record: Record, client: Finding, asked: float) -> Duration:
        return checks.duration(record, client, asked)

    def not_as_planned(self, record: Record, client: Finding) -> Trouble | None:
        return checks.too_many_messages(record, client) or checks.lost_message(record, client)

    def not_confirmed(self, record: Record, client: Finding, server: Finding) -> Trouble | None:
        return checks.other_messages(record, client, server)

    def trace_mismatch(
        self, record: Record, end: End, rows: Sequence[SyscallCount], figures: Mapping[str, float]
    ) -> str | None:
        return checks.other_calls(end, rows, figures)

    def read_command(self, argv: tuple[str, ...]) -> Command | None:
        return notes.read_command(argv)


def _rate_problems(mps: Any) -> list[str]:
    text = "" if mps is None else str(mps)
    if not text or (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_MESSAGES_PER_SECOND):
        return []
    return [f"sockperf_mps is {text}; it must be a whole number from 1 to {MOST_MESSAGES_PER_SECOND}, or empty"]


BENCHMARK = Sockperf()
