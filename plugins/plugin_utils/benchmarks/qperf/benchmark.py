"""qperf: mean latency of messages one after another, or throughput, over TCP or UDP.

The server listens on one port for the client's requests and makes a process for each; that process opens the next
port for the test. After the last test the client asks the server to quit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ...model import SyscallCount
from ...parsing.finding import Finding
from ...records.record import End, Record, Trouble
from ..benchmark import (
    HOST_PARAMETERS,
    PER_GIB,
    PER_MESSAGE,
    Benchmark,
    Commands,
    Parameter,
    Port,
    at_least,
    host_marks,
    host_problems,
    unsafe_arguments,
)
from ..command_line import Command
from . import checks, notes
from .output import FEWEST_SLICES, SLICED, TESTS, QperfRecogniser

MOST_SLICES = 60
"""Of how many tests one after another a sliced run is made at most."""
SECONDS_PER_TEST = 0.1
"""What a test takes beside its seconds: a process, two connections, results."""
LARGEST_MESSAGE_BYTES = {"udp": 65507, "tcp": 2**24}
REPORT = ("-vv", "-uu", "-un", "-e", "12")
"""Everything, in one unit each, by local and remote end, with enough digits that the figures prove each other."""


class Qperf(Benchmark):
    """``qperf -lp PORT`` and ``qperf ADDRESS -lp PORT -ip PORT+1 -m BYTES -t SECONDS TEST quit``."""

    name = "qperf"
    fields = (
        Parameter("seconds", "whole", "t"),
        Parameter("message_bytes", "whole", "m"),
        Parameter("test", "text", ""),
        *HOST_PARAMETERS,
        Parameter("extra_args", "list", ""),
    )
    recognisers = (QperfRecogniser,)
    units = (PER_MESSAGE, PER_GIB)
    headlines = (
        ("throughput_received", "throughput"),
        ("latency_mean", "latency mean"),
        ("message_rate", "message rate"),
    )
    decisive = ("throughput_received", "latency_mean")
    result_lines = "latency, bw or recv_bw rows"
    reasons = checks.REASONS
    compared = ("test", "message_bytes")
    by_default = False
    makes_processes = True

    def problems(self, parameters: Mapping[str, Any]) -> list[str]:
        test = parameters["test"]
        if test not in TESTS:
            found = [f"qperf_test is {test!r}; it must be one of {', '.join(TESTS)}"]
        else:
            found = at_least(parameters, self.name, "message_bytes", 1, LARGEST_MESSAGE_BYTES[TESTS[test]])
        # A test of 0 seconds never ends.
        found += at_least(parameters, self.name, "seconds", FEWEST_SLICES if test in SLICED else 1, 86400)
        found += host_problems(parameters, self.name)
        return found + unsafe_arguments(self.name, parameters["extra_args"])

    def case_name(self, parameters: Mapping[str, Any]) -> str:
        parts = [parameters["test"], f"m{parameters['message_bytes']}", f"t{parameters['seconds']}"]
        return "_".join(parts + host_marks(parameters))

    def measured_seconds(self, parameters: Mapping[str, Any]) -> float:
        tests = len(slices(parameters["seconds"])) if parameters["test"] in SLICED else 1
        return float(parameters["seconds"]) + SECONDS_PER_TEST * tests

    def commands(self, parameters: Mapping[str, Any], server: str, client: str, port: int) -> Commands:
        """Neither end can be bound to an address: the server listens on all, the client has that of its route."""
        test, seconds = parameters["test"], parameters["seconds"]
        # With -D the server writes down each request that it gets, which nothing else that it prints shows.
        listen = ("qperf", "-lp", str(port), "-D")
        call = ["qperf", server, "-lp", str(port), "-ip", str(port + 1), "-m", str(parameters["message_bytes"]), *REPORT]
        call += [str(item) for item in parameters["extra_args"]]
        for length in slices(seconds) if test in SLICED else [seconds]:
            call += ["-t", str(length), test]
        protocol: Literal["tcp", "udp"] = "udp" if TESTS[test] == "udp" else "tcp"
        return Commands(listen, (*call, "quit"), (Port("tcp", port), Port(protocol, port + 1)), "exits")

    def version_problem(self, parameters: Mapping[str, Any], server: str, client: str) -> str | None:
        """qperf refuses a peer whose first two numbers are others."""
        one, other = _protocol_version(server), _protocol_version(client)
        if one is None or other is None or one == other:
            return None
        return f"qperf is {server} on the server and {client} on the client, which do not understand each other"

    def not_as_planned(self, record: Record, client: Finding) -> Trouble | None:
        return checks.other_data_port(record, client)

    def not_confirmed(self, record: Record, client: Finding, server: Finding) -> Trouble | None:
        return checks.other_requests(client, server)

    def trace_mismatch(
        self, record: Record, end: End, rows: Sequence[SyscallCount], figures: Mapping[str, float]
    ) -> str | None:
        return checks.other_calls(record, end, rows, figures)

    def read_command(self, argv: tuple[str, ...]) -> Command | None:
        return notes.read_command(argv)


def slices(seconds: int) -> list[int]:
    """The whole seconds of the tests that a sliced run of so many seconds is made of, the longer ones first."""
    count = min(seconds, MOST_SLICES)
    length, longer = divmod(seconds, count)
    return [length + 1] * longer + [length] * (count - longer)


def _protocol_version(version_line: str) -> str | None:
    found = re.search(r"qperf (\d+\.\d+)\b", version_line)
    return found.group(1) if found else None


BENCHMARK = Qperf()
