"""sockperf: latency of small messages (ping-pong, under-load) or message throughput."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from .common import Benchmark, Commands, at_least, unsafe_arguments

WARM_UP_SECONDS = 3.5
"""Warm-up messages, the two seconds that sockperf sleeps before it measures, and memory that it touches first."""
SMALLEST_MESSAGE_BYTES = 14
LARGEST_MESSAGE_BYTES = {"udp": 65507, "tcp": 2**20 - 1}


class Sockperf(Benchmark):
    """``sockperf server -i ADDRESS`` and ``sockperf ping-pong -i ADDRESS -m BYTES -t SECONDS``."""

    name = "sockperf"
    parameters = ("seconds", "message_bytes", "protocol", "mode", "mps", "full_rtt", "extra_args")

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
        if parameters["mps"] not in ("", None) and not 1 <= int(parameters["mps"]) <= 10_000_000:
            found.append(f"sockperf_mps is {parameters['mps']}; it must be from 1 to 10000000, or empty")
        return found + unsafe_arguments(self.name, parameters["extra_args"])

    def case_name(self, parameters: Mapping[str, Any]) -> str:
        parts = [parameters["mode"], parameters["protocol"], f"m{parameters['message_bytes']}"]
        parts.append(f"t{parameters['seconds']}")
        if parameters["mps"]:
            parts.append(f"mps{parameters['mps']}")
        if parameters["full_rtt"]:
            parts.append("rtt")
        return "_".join(parts)

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


BENCHMARK = Sockperf()
