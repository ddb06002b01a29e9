"""What every benchmark says about itself, and how cases are made from variables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

START_AND_STOP_SECONDS = 2.5
"""Seconds that a run takes beside its measured part when it is traced: attach, listen, stop (measured: 1 to 2.5)."""
LIMIT_SLACK_SECONDS = 30.0
"""How much longer than expected a process may live before its dead man's limit ends it."""


class CaseError(ValueError):
    """A case cannot be run as asked; the text names the variable and the mend."""


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
    parameters: tuple[str, ...]
    """The variables that make a case, without the prefix; others (port, direction, install) are not part of it."""

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


def build_cases(benchmark: Benchmark, values: Mapping[str, Any], overrides: Sequence[Mapping[str, Any]]) -> list[Case]:
    """The cases of one benchmark: the plain variables once, or once per entry of its ``_cases`` variable.

    ``values`` has every name of ``benchmark.parameters``. Raises CaseError naming all problems at once.
    """
    problems: list[str] = []
    cases: list[Case] = []
    for number, override in enumerate(overrides or [{}]):
        given = {name: value for name, value in override.items() if name != "name"}
        unknown = sorted(set(given) - set(benchmark.parameters))
        if unknown:
            problems.append(
                f"{benchmark.name}_cases[{number}] has {', '.join(unknown)}; "
                f"a case may set: name, {', '.join(benchmark.parameters)}"
            )
            continue
        parameters = {name: values[name] for name in benchmark.parameters} | given
        try:
            found = benchmark.problems(parameters)
        except (TypeError, ValueError) as error:
            found = [f"{benchmark.name}_cases[{number}] has a value of the wrong type: {error}"]
        problems += found
        if not found:
            cases.append(Case(str(override.get("name") or benchmark.case_name(parameters)), parameters))
    names = [case.name for case in cases]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        problems.append(f"{benchmark.name}_cases has more than one case named {', '.join(doubled)}: give them names")
    if problems:
        raise CaseError(". ".join(problems))
    return cases
