"""iperf3: bulk throughput over TCP or UDP, one way a run.

Options are those of every version since 3.5; what is later is only used where the user asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .common import Benchmark, Commands, at_least, unsafe_arguments

AMOUNT = re.compile(r"\d+(\.\d+)?[KMGTkmgt]?")


class Iperf3(Benchmark):
    """``iperf3 -s`` and ``iperf3 -c ADDRESS -t SECONDS -P STREAMS``, both reporting in JSON."""

    name = "iperf3"
    parameters = (
        "seconds",
        "parallel",
        "protocol",
        "bitrate",
        "length",
        "window",
        "omit_seconds",
        "reverse",
        "congestion",
        "zerocopy",
        "extra_args",
    )

    def problems(self, parameters: Mapping[str, Any]) -> list[str]:
        found = at_least(parameters, self.name, "seconds", 1, 86400)
        found += at_least(parameters, self.name, "parallel", 1, 128)
        found += at_least(parameters, self.name, "omit_seconds", 0, 60)
        if parameters["protocol"] not in ("tcp", "udp"):
            found.append(f"iperf3_protocol is {parameters['protocol']!r}; it must be tcp or udp")
        for name in ("bitrate", "length", "window"):
            value = str(parameters[name] or "")
            if value and not AMOUNT.fullmatch(value):
                found.append(f"iperf3_{name} is {value!r}; it must be a number with K, M, G or T behind it, like 100M")
        if parameters["congestion"] and not re.fullmatch(r"[a-z0-9_-]+", str(parameters["congestion"])):
            found.append(f"iperf3_congestion is {parameters['congestion']!r}; it must be the name of an algorithm")
        return found + unsafe_arguments(self.name, parameters["extra_args"])

    def case_name(self, parameters: Mapping[str, Any]) -> str:
        parts = [parameters["protocol"], f"P{parameters['parallel']}", f"t{parameters['seconds']}"]
        for mark, name in (("b", "bitrate"), ("l", "length"), ("w", "window"), ("C", "congestion")):
            if parameters[name]:
                parts.append(f"{mark}{parameters[name]}")
        if parameters["omit_seconds"]:
            parts.append(f"O{parameters['omit_seconds']}")
        parts += [mark for mark, name in (("R", "reverse"), ("Z", "zerocopy")) if parameters[name]]
        return "_".join(parts)

    def measured_seconds(self, parameters: Mapping[str, Any]) -> float:
        return float(parameters["seconds"]) + float(parameters["omit_seconds"])

    def commands(self, parameters: Mapping[str, Any], server: str, client: str, port: int) -> Commands:
        listen = ("iperf3", "-s", "-1", "-J", "-B", server, "-p", str(port))
        call = ["iperf3", "-c", server, "-B", client, "-p", str(port), "-J"]
        call += ["-t", str(parameters["seconds"]), "-P", str(parameters["parallel"])]
        if parameters["protocol"] == "udp":
            call.append("-u")
        for option, name in (("-b", "bitrate"), ("-l", "length"), ("-w", "window"), ("-C", "congestion")):
            if parameters[name]:
                call += [option, str(parameters[name])]
        if parameters["omit_seconds"]:
            call += ["-O", str(parameters["omit_seconds"])]
        call += [option for option, name in (("-R", "reverse"), ("-Z", "zerocopy")) if parameters[name]]
        call += [str(item) for item in parameters["extra_args"]]
        # The control connection is TCP whatever the test is, so the port to watch is too.
        return Commands(listen, tuple(call), "tcp", port, "exits")

    def version_problem(self, parameters: Mapping[str, Any], server: str, client: str) -> str | None:
        """Mixed versions misreport UDP loss (esnet/iperf issue 2055): refuse them."""
        if parameters["protocol"] != "udp" or _release(server) == _release(client):
            return None
        return (
            f"iperf3 is {_release(server)} on the server and {_release(client)} on the client; under UDP "
            "different versions report wrong loss. Install the same version on both, or use iperf3_protocol: tcp"
        )


def _release(version_line: str) -> str:
    found = re.search(r"iperf (\S+)", version_line)
    return found.group(1) if found else version_line or "unknown"


BENCHMARK = Iperf3()
