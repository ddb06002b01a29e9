"""What every benchmark says about itself, and how cases are made from variables."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

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
class Commands:
    """What both ends start for one run, and how the server is watched and ended."""

    server: tuple[str, ...]
    client: tuple[str, ...]
    protocol: Literal["tcp", "udp"]
    port: int
    stop: Literal["exits", "interrupt"]


@dataclass(frozen=True)
class Case:
    """One set of parameters with a name that tells it from the others."""

    name: str
    parameters: Mapping[str, Any]


class Benchmark(ABC):
    """One benchmark. Its parameters are its role's variables without the prefix."""

    name: str
    fields: tuple[Parameter, ...]
    """The variables that make a case, without the prefix; others (port, direction, install) are not part of it."""
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
        """The commands of both ends; ``server`` and ``client`` are data addresses."""

    def version_problem(self, parameters: Mapping[str, Any], server: str, client: str) -> str | None:
        """Why these two versions must not be used together for this case, or None."""
        return None

    def expected_seconds(self, parameters: Mapping[str, Any]) -> float:
        """Wall seconds of a whole run, start and stop included."""
        return self.measured_seconds(parameters) + START_AND_STOP_SECONDS

    def limit_seconds(self, parameters: Mapping[str, Any]) -> float:
        """The dead man's limit of each process of a run."""
        return self.expected_seconds(parameters) + LIMIT_SLACK_SECONDS


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
