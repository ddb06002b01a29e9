"""iperf3: bulk throughput over TCP or UDP, one way a run.

Options are those of every version since 3.5; what is later is only used where the user asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...model import SyscallCount
from ...parsing.finding import Finding
from ...records.record import End, Record, Trouble
from ..benchmark import (
    HOST_PARAMETERS,
    PER_GIB,
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
from ..transfer import Transfer
from . import checks, intervals, notes
from .json_output import JsonRecogniser, whole_output
from .text_output import TextRecogniser

NAMED = (("b", "bitrate"), ("pps", "packets_per_second"), ("l", "length"), ("w", "window"), ("C", "congestion"))
"""What stands before the value in a case's name."""
SMALLEST_DATAGRAM_BYTES = 16
LARGEST_DATAGRAM_BYTES = 65507
AMOUNT = re.compile(r"\d+(\.\d+)?[KMGTkmgt]?")


class Iperf3(Benchmark):
    """``iperf3 -s`` and ``iperf3 -c ADDRESS -t SECONDS -P STREAMS``, both reporting in JSON."""

    name = "iperf3"
    time_parameters = ("seconds", "omit_seconds")
    fields = (
        Parameter("seconds", "whole", "t"),
        Parameter("parallel", "whole", "P"),
        Parameter("protocol", "text", ""),
        Parameter("bitrate", "text", "b"),
        Parameter("packets_per_second", "whole", "pps", neutral=0, always=False),
        Parameter("length", "text", "l"),
        Parameter("window", "text", "w"),
        Parameter("omit_seconds", "whole", "O"),
        Parameter("reverse", "flag", ("reverse", "forward"), neutral=False),
        Parameter("bidirectional", "flag", ("bidirectional", "oneway"), neutral=False, always=False),
        Parameter("congestion", "text", "C"),
        Parameter("zerocopy", "flag", ("Z", "copied"), neutral=False),
        *HOST_PARAMETERS,
        Parameter("extra_args", "list", ""),
    )
    recognisers = (JsonRecogniser, TextRecogniser)
    units = (PER_GIB,)
    headlines = (
        ("throughput_received", "throughput received"),
        ("throughput_sent", "throughput sent"),
        ("retransmits", "retransmits"),
        ("loss", "loss"),
        ("jitter", "jitter"),
    )
    decisive = ("throughput_received",)
    result_lines = "[SUM] rows"
    reasons = checks.REASONS
    compared = ("protocol", "parallel", "reverse", "bidir")
    has_intervals = True

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
        if parameters.get("bidirectional") and parameters["reverse"]:
            found.append("iperf3_bidirectional makes a forward and a reverse run already: leave iperf3_reverse out")
        found += _rate_problems(parameters)
        found += host_problems(parameters, self.name)
        return found + unsafe_arguments(self.name, parameters["extra_args"])

    def one_way(self, parameters: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Two runs one after the other instead of ``--bidir``, whose directions disturb each other and whose
        report loses one of them in some versions.
        """
        given = {name: value for name, value in parameters.items() if name != "bidirectional"}
        if not parameters.get("bidirectional"):
            return [given]
        return [given | {"reverse": False}, given | {"reverse": True}]

    def case_name(self, parameters: Mapping[str, Any]) -> str:
        parts = [parameters["protocol"], f"P{parameters['parallel']}", f"t{parameters['seconds']}"]
        for mark, name in NAMED:
            if parameters.get(name):
                parts.append(f"{mark}{parameters[name]}")
        if parameters["omit_seconds"]:
            parts.append(f"O{parameters['omit_seconds']}")
        parts += [mark for mark, name in (("R", "reverse"), ("Z", "zerocopy")) if parameters[name]]
        return "_".join(parts + host_marks(parameters))

    def privileges(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The client tells the server its algorithm: both ends need the same. Old kernels bind to devices for root only."""
        asked = [str(item) for item in parameters["extra_args"]]
        needed: dict[str, Any] = {}
        congestion = str(parameters["congestion"] or "") or _value_of(("-C", "--congestion"), asked)
        if congestion:
            needed["congestion"] = congestion
        if any(item.partition("=")[0] == "--bind-dev" or "%" in item for item in asked):
            needed["capabilities"] = ["net_raw"]
        return needed

    def measured_seconds(self, parameters: Mapping[str, Any]) -> float:
        return float(parameters["seconds"]) + float(parameters["omit_seconds"])

    def commands(self, parameters: Mapping[str, Any], server: str, client: str, port: int) -> Commands:
        listen = ("iperf3", "-s", "-1", "-J", "-B", server, "-p", str(port))
        call = ["iperf3", "-c", server, "-B", client, "-p", str(port), "-J"]
        call += ["-t", str(parameters["seconds"]), "-P", str(parameters["parallel"])]
        if parameters["protocol"] == "udp":
            call.append("-u")
        for option, value in (
            ("-b", _bitrate(parameters)), ("-l", parameters["length"]), ("-w", parameters["window"]),
            ("-C", parameters["congestion"]),
        ):
            if value:
                call += [option, str(value)]
        if parameters["omit_seconds"]:
            call += ["-O", str(parameters["omit_seconds"])]
        call += [option for option, name in (("-R", "reverse"), ("-Z", "zerocopy")) if parameters[name]]
        call += [str(item) for item in parameters["extra_args"]]
        # The control connection is TCP whatever the test is, so the port to watch is too.
        return Commands(listen, tuple(call), (Port("tcp", port),), "exits")

    def version_problem(self, parameters: Mapping[str, Any], server: str, client: str) -> str | None:
        """Mixed versions misreport UDP loss (esnet/iperf issue 2055): refuse them."""
        if parameters["protocol"] != "udp" or _release(server) == _release(client):
            return None
        return (
            f"iperf3 is {_release(server)} on the server and {_release(client)} on the client; under UDP "
            "different versions report wrong loss. Install the same version on both, or use iperf3_protocol: tcp"
        )

    def not_as_planned(self, record: Record, client: Finding) -> Trouble | None:
        return checks.mixed_versions(record, client)

    def has_nothing_to_confirm(self, record: Record, server: Finding) -> bool:
        return checks.only_sent(record, server)

    def not_confirmed(self, record: Record, client: Finding, server: Finding) -> Trouble | None:
        return checks.other_bytes(client, server)

    def trace_mismatch(
        self, record: Record, end: End, rows: Sequence[SyscallCount], figures: Mapping[str, float]
    ) -> str | None:
        return checks.too_few_calls(record, end, rows, figures)

    def whole_output(self, text: str) -> list[Finding] | None:
        return whole_output(text)

    def transfer_of(self, record: Record) -> Transfer | None:
        return intervals.transfer_of(record)

    def read_command(self, argv: tuple[str, ...]) -> Command | None:
        return notes.read_command(argv)


def _bitrate(parameters: Mapping[str, Any]) -> str:
    """What ``-b`` is given, for each stream; a rate in packets is one in bits once the datagram's size is known."""
    packets = parameters.get("packets_per_second")
    return str(packets * int(parameters["length"]) * 8) if packets else str(parameters["bitrate"] or "")


def _rate_problems(parameters: Mapping[str, Any]) -> list[str]:
    packets = parameters.get("packets_per_second") or 0
    if not packets:
        return []
    told = f"iperf3_packets_per_second is {packets}"
    found = at_least(parameters, "iperf3", "packets_per_second", 1, 100_000_000)
    if parameters["protocol"] != "udp":
        found.append(f"{told}, but datagrams are sent under UDP only: set iperf3_protocol to udp")
    if parameters["bitrate"]:
        found.append(f"{told} and iperf3_bitrate is {parameters['bitrate']}: give one of the two")
    length = str(parameters["length"] or "")
    if not (length.isascii() and length.isdigit()):
        shown = length or "empty"
        found.append(f"{told} but iperf3_length is {shown}: give the bytes of a datagram as a plain number, like 1400")
    elif not SMALLEST_DATAGRAM_BYTES <= int(length) <= LARGEST_DATAGRAM_BYTES:
        found.append(
            f"iperf3_length is {length}; a datagram is from {SMALLEST_DATAGRAM_BYTES} to {LARGEST_DATAGRAM_BYTES} bytes"
        )
    return found


def _value_of(options: Sequence[str], arguments: Sequence[str]) -> str:
    """The value of an option among arguments (``-C bbr``, ``-Cbbr``, ``--congestion=bbr``), empty where it is not there."""
    for index, item in enumerate(arguments):
        name, equals, value = item.partition("=")
        if item in options:
            return "".join(arguments[index + 1 : index + 2])
        if name in options and equals:
            return value
        if item.startswith(options[0]) and not item.startswith("--"):
            return item[len(options[0]) :]
    return ""


def _release(version_line: str) -> str:
    found = re.search(r"iperf (\S+)", version_line)
    return found.group(1) if found else version_line or "unknown"


BENCHMARK = Iperf3()
