"""sockperf: latency of small messages (ping-pong, under-load) or message throughput."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ..benchmark import (
    HOST_PARAMETERS,
    Benchmark,
    Commands,
    Parameter,
    at_least,
    host_marks,
    host_problems,
    unsafe_arguments,
)

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
        return Commands(tuple(listen), tuple(call), protocol, port, "interrupt")


def _rate_problems(mps: Any) -> list[str]:
    text = "" if mps is None else str(mps)
    if not text or (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_MESSAGES_PER_SECOND):
        return []
    return [f"sockperf_mps is {text}; it must be a whole number from 1 to {MOST_MESSAGES_PER_SECOND}, or empty"]


BENCHMARK = Sockperf()
