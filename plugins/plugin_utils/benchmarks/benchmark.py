"""The interface of a benchmark: everything that the rest of the project asks about one.

A benchmark is a folder beside this file. What it does not say here nobody else knows (docs/adding-a-benchmark.md).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..model import SyscallCount
from ..parsing.finding import Finding, Recogniser
from ..records.record import End, Record, Trouble
from .command_line import Command
from .transfer import Transfer

START_AND_STOP_SECONDS = 2.5
"""Seconds that a run takes beside its measured part when it is traced: attach, listen, stop (measured: 1 to 2.5)."""
LIMIT_SLACK_SECONDS = 30.0
"""How much longer than expected a process may live before its dead man's limit ends it."""


class CaseError(ValueError):
    """A case cannot be run as asked; the text names the variable and the remedy."""


KINDS: Mapping[str, str] = {
    "whole": "a whole number",
    "flag": "true or false",
    "text": "a text or a number",
    "list": "a list of texts",
}
"""What a parameter's value may be, in the words of an error."""


@dataclass(frozen=True)
class Parameter:
    """One variable of a benchmark's role that makes a case what it is.

    ``kind`` is a word of ``KINDS``. ``neutral`` is what leaves the thing alone; a parameter that is not ``always``
    in a case is left out of it while it is neutral, so that a record holds what was asked for. ``mark`` stands
    before the value where a name has to tell two cases apart; a flag has one mark for true and one for false.
    """

    name: str
    kind: str
    mark: str | tuple[str, str]
    neutral: Any = ""
    always: bool = True

    def label(self, value: Any) -> str:
        """The value as a part of a case's name."""
        if isinstance(self.mark, tuple):
            return self.mark[0 if value else 1]
        if self.kind == "list":
            return self.mark + (re.sub(r"[^A-Za-z0-9_.]+", "", "_".join(map(str, value))) or "none")
        return self.mark + (str(value) if value != self.neutral else "default")


HOST_PARAMETERS = (
    Parameter("mtu", "whole", "mtu", neutral=0, always=False),
    Parameter("pin", "flag", ("pinned", "unpinned"), neutral=False, always=False),
)
"""What every benchmark can ask of the two hosts around a run; no part of its commands."""
SMALLEST_MTU_BYTES = 68
LARGEST_MTU_BYTES = 65535


@dataclass(frozen=True)
class Port:
    """A port of the server."""

    protocol: Literal["tcp", "udp"]
    number: int


@dataclass(frozen=True)
class Commands:
    """What both ends start for one run, and how the server is watched and ended.

    The client starts when the server listens on the first of ``ports``. All of them must be free before the run, and
    must become free after it. ``stop`` says whether the server ends by itself after one client or has to be
    interrupted.
    """

    server: tuple[str, ...]
    client: tuple[str, ...]
    ports: tuple[Port, ...]
    stop: Literal["exits", "interrupt"]


@dataclass(frozen=True)
class Case:
    """One set of parameters with a name that tells it from the others."""

    name: str
    parameters: Mapping[str, Any]


SECONDS_TOLERANCE = 0.02
"""Share of its length by which a run may be longer or shorter than it was asked to be ..."""
SECONDS_TOLERANCE_MIN = 0.2
"""... and the seconds that are always forgiven."""


@dataclass(frozen=True)
class Duration:
    """The seconds that a client's figures should cover, and the least and the most that are believed."""

    expected: float
    least: float
    most: float

    @classmethod
    def around(cls, seconds: float) -> Duration:
        """``seconds`` with the usual tolerance."""
        slack = max(SECONDS_TOLERANCE * seconds, SECONDS_TOLERANCE_MIN)
        return cls(seconds, seconds - slack, seconds + slack)


@dataclass(frozen=True)
class Unit:
    """What system calls are counted per.

    The metric is ``syscalls_per_<name>_<side>``: calls divided by ``figure`` (of ``Finding.measured``) in units of
    ``size``. ``label`` is how a person reads it.
    """

    name: str
    label: str
    figure: str
    size: float = 1.0


PER_MESSAGE = Unit("message", "calls per message", "messages_sent")
PER_GIB = Unit("gib", "calls per GiB", "bytes_received", 2.0**30)


class Benchmark(ABC):
    """One benchmark. Its parameters are its role's variables without the prefix.

    The role and the program have the benchmark's name too.
    """

    name: str
    fields: tuple[Parameter, ...]
    """The variables that make a case, without the prefix; others (port, direction, install) are not part of it."""
    recognisers: tuple[Callable[[], Recogniser], ...]
    """What finds the program's output in a text; each call gives one for one text."""
    units: tuple[Unit, ...]
    """What system calls are counted per. A run has a figure for each unit whose ``figure`` its output has."""
    headlines: tuple[tuple[str, str], ...]
    """The metrics that a closing summary shows, in this order, each with its label."""
    decisive: tuple[str, ...]
    """The metrics whose interval decides whether a sweep has converged; of a case, the first that it has."""
    result_lines: str
    """The lines of the output by which a result is known, in the words of an error: ``[SUM] rows``."""
    package: str = ""
    """The distributions' package that has the program; empty where it has the benchmark's name."""
    version_arguments: tuple[str, ...] = ("--version",)
    """What makes the program print its version and nothing else."""
    reads_commands: bool = False
    """Whether the recognisers read the command above an output, because the output does not say what was asked."""
    reasons: Mapping[str, str] = {}
    """Reasons of `validity.reasons` that only this benchmark gives, each with its sentence."""
    compared: tuple[str, ...] = ("protocol",)
    """Parameters that an output shows in the values of a plan, so that the two are compared."""
    server_reports: bool = True
    """Whether the server prints what the client's figures are compared with; if not, its output is not looked at."""
    by_default: bool = True
    """Whether it is measured where nobody chooses benchmarks (``pairbench_benchmarks``)."""
    makes_processes: bool = False
    """Whether its work is done by processes that it makes, whose system calls are then counted too."""
    has_intervals: bool = False
    """Whether ``transfer_of`` tells what arrived when, so that pairs measured at once have a total."""
    nameless: tuple[str, ...] = ("extra_args",)
    """Parameters that ``case_name`` does not show."""
    time_parameters: tuple[str, ...] = ("seconds",)
    """Parameters that ``measured_seconds`` is made of."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of ``fields``."""
        return tuple(field.name for field in self.fields)

    def privileges(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """What the commands need that a kernel may keep for the privileged: arguments of a run of the session module.

        ``capabilities`` are names, ``congestion`` is an algorithm of TCP.
        """
        return {}

    def one_way(self, parameters: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The runs that one set of parameters stands for; more than one where a case means both directions."""
        return [parameters]

    @abstractmethod
    def problems(self, parameters: Mapping[str, Any]) -> list[str]:
        """Sentences about values out of range, each naming the parameter with the role's prefix."""

    @abstractmethod
    def case_name(self, parameters: Mapping[str, Any]) -> str:
        """A short name made of what makes the case what it is."""

    @abstractmethod
    def measured_seconds(self, parameters: Mapping[str, Any]) -> float:
        """Wall seconds from the client's start to its end."""

    @abstractmethod
    def commands(self, parameters: Mapping[str, Any], server: str, client: str, port: int) -> Commands:
        """The commands of both ends; ``server`` and ``client`` are data addresses.

        ``port`` is the role's variable of that name. A server that needs more ports takes those that follow it.
        """

    def version_problem(self, parameters: Mapping[str, Any], server: str, client: str) -> str | None:
        """Why these two versions must not be used together for this case, or None."""
        return None

    def duration(self, record: Record, client: Finding, asked: float) -> Duration:
        """What the client's figures should cover in a run of ``asked`` seconds."""
        return Duration.around(asked)

    @abstractmethod
    def not_as_planned(self, record: Record, client: Finding) -> Trouble | None:
        """Why the client's output, which is valid, is not of the run that was planned, or None.

        Duration, the parameters in ``compared``, address and port of the peer have been checked before.
        """

    def has_nothing_to_confirm(self, record: Record, server: Finding) -> bool:
        """Whether the server's output is without figures because in this run its server has none."""
        return False

    @abstractmethod
    def not_confirmed(self, record: Record, client: Finding, server: Finding) -> Trouble | None:
        """How the server's output, which is valid, contradicts the client's, or None.

        It is not asked where not ``server_reports``.
        """

    @abstractmethod
    def trace_mismatch(
        self, record: Record, end: End, rows: Sequence[SyscallCount], figures: Mapping[str, float]
    ) -> str | None:
        """Why the system calls counted at one end cannot be of the run beside them, in a sentence, or None.

        ``figures`` has the names of ``Finding.measured``.
        """

    def whole_output(self, text: str) -> list[Finding] | None:
        """The findings of a text that is, as a whole, one document of the program; None where its lines have to be read.

        They are those that ``recognisers`` find in the lines. It is for programs that print JSON: a parser in C reads it
        many times faster than any line by line.
        """
        return None

    def transfer_of(self, record: Record) -> Transfer | None:
        """What a run received and when, from its record; None where the record does not tell."""
        return None

    @abstractmethod
    def read_command(self, argv: tuple[str, ...]) -> Command | None:
        """The command of a person's notes; ``argv[0]`` is the program. None for what is no command of it."""

    def expected_seconds(self, parameters: Mapping[str, Any]) -> float:
        """Wall seconds of a whole run, start and stop included."""
        return self.measured_seconds(parameters) + START_AND_STOP_SECONDS

    def limit_seconds(self, parameters: Mapping[str, Any]) -> float:
        """The dead man's limit of each process of a run."""
        return self.expected_seconds(parameters) + LIMIT_SLACK_SECONDS


def protocol_of(record: Record, client: Finding) -> str:
    """The transport of a run, as planned or else as the output shows it: ``tcp`` or ``udp``."""
    return str(record.parameters.get("protocol") or client.parameters.get("protocol") or "tcp").lower()


def at_least(parameters: Mapping[str, Any], prefix: str, name: str, low: float, high: float) -> list[str]:
    """A sentence when a number is outside its range."""
    value = parameters[name]
    if low <= value <= high:
        return []
    return [f"{prefix}_{name} is {value}; it must be from {low:g} to {high:g}"]


def unsafe_arguments(prefix: str, arguments: Sequence[str]) -> list[str]:
    """A sentence for every argument that bpftrace could not pass on (it splits at spaces and knows no quotes)."""
    bad = [item for item in arguments if not item or any(char.isspace() or char in "\"'\\" for char in item)]
    return [f"{prefix}_extra_args holds {item!r}: an argument may have no spaces or quotes" for item in bad]


def host_problems(parameters: Mapping[str, Any], prefix: str) -> list[str]:
    """Sentences about ``HOST_PARAMETERS`` out of range."""
    mtu = parameters.get("mtu") or 0
    if not mtu:
        return []
    return at_least({"mtu": mtu}, prefix, "mtu", SMALLEST_MTU_BYTES, LARGEST_MTU_BYTES)


def host_marks(parameters: Mapping[str, Any]) -> list[str]:
    """The parts of a case's name that say what is asked of the hosts."""
    return [
        field.label(parameters[field.name])
        for field in HOST_PARAMETERS
        if parameters.get(field.name, field.neutral) != field.neutral
    ]
