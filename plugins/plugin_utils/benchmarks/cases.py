"""From variables to cases: the plain variables, the entries of ``_cases``, and the cross product of ``_matrix``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from .benchmark import KINDS, Benchmark, Case, CaseError, Parameter

MOST_CASES = 500
"""More cases of one benchmark than this are taken for a mistake: each is run in every block, on every pair."""
FALSE_WORDS = frozenset({"false", "no", "off", "0"})
TRUE_WORDS = frozenset({"true", "yes", "on", "1"})


class _WrongType(ValueError):
    """A value is not what its parameter takes; the text says what it is and what it must be."""


@dataclass(frozen=True)
class _Entry:
    """One entry of ``_cases`` with the matrix that is laid over it; ``where`` and ``matrix_at`` name the two."""

    where: str
    name: str
    given: Mapping[str, Any]
    matrix_at: str
    matrix: Mapping[str, tuple[Any, ...]]

    @property
    def varying(self) -> tuple[str, ...]:
        """Parameters of the matrix that have more than one value."""
        return tuple(name for name, values in self.matrix.items() if len(values) > 1)

    def combinations(self) -> Iterator[Mapping[str, Any]]:
        """What every case of the entry sets, in the order in which the matrix is written."""
        for values in product(*self.matrix.values()):
            yield {**self.given, **dict(zip(self.matrix, values, strict=True))}


def build_cases(
    benchmark: Benchmark,
    values: Mapping[str, Any],
    overrides: Sequence[Mapping[str, Any]],
    matrix: Mapping[str, Any] | None = None,
) -> list[Case]:
    """The cases of one benchmark: the plain variables once, or once per entry of its ``_cases`` variable, each
    times every combination of the values of its ``_matrix`` variable.

    ``values`` has the names of ``benchmark.parameters``. An entry may have a ``name``, to which the values that vary
    are appended, and a ``matrix`` of its own in place of the variable. Raises CaseError naming all problems at once.
    """
    variables = f"the variables of {benchmark.name}"
    plain, problems = _typed(benchmark, values, variables)
    entries: list[_Entry] = []
    for number, override in enumerate(overrides or [{}]):
        where = f"{benchmark.name}_cases[{number}]" if overrides else variables
        entry, found = _entry(benchmark, where, override, matrix or {})
        problems += found
        if not found:
            entries.append(entry)
    cases: list[Case] = []
    if all(name in plain for name in values):
        problems += _too_many(benchmark, plain, entries) or _fill(benchmark, plain, entries, cases)
    if problems:
        raise CaseError(". ".join(dict.fromkeys(problems)))
    return cases


def _fill(benchmark: Benchmark, plain: Mapping[str, Any], entries: Sequence[_Entry], cases: list[Case]) -> list[str]:
    """Add every case to ``cases``; sentences about those that are out of range or have no name of their own."""
    places: dict[str, list[str]] = {}
    for entry in entries:
        for given in entry.combinations():
            parameters = {**plain, **given}
            found = benchmark.problems(parameters)
            for sentence in found:
                places.setdefault(sentence, []).append(_place(entry, given) if given else "")
            if not found:
                cases += _cases_of(benchmark, entry, parameters)
    problems = [sentence + _first_of(where) for sentence, where in places.items()]
    names = [case.name for case in cases]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        problems.append(
            f"{benchmark.name}_cases has more than one case named {', '.join(doubled)}: "
            "give them different names, or take out what is doubled"
        )
    return problems


def _first_of(places: Sequence[str]) -> str:
    """The first place in brackets, and how many more there are."""
    if not places[0]:
        return ""
    return f" ({places[0]}" + (f", and in {len(places) - 1} more)" if len(places) > 1 else ")")


def _place(entry: _Entry, given: Mapping[str, Any]) -> str:
    """Where a problem is, for a person who has to find it: the entry, and what the matrix put on top of it."""
    laid = ", ".join(f"{name} {given[name]!r}" for name in entry.matrix)
    return f"in {entry.where}" + (f" with {laid} of {entry.matrix_at}" if laid else "")


def _cases_of(benchmark: Benchmark, entry: _Entry, parameters: Mapping[str, Any]) -> Iterator[Case]:
    ways = benchmark.one_way(parameters)
    fields = {field.name: field for field in benchmark.fields}
    for way in ways:
        kept = {name: value for name, value in way.items() if _is_told(fields[name], value)}
        labels = [
            fields[name].label(parameters[name])
            for name in entry.varying
            if (entry.name or name in benchmark.nameless) and name in way
        ]
        if entry.name and len(ways) > 1:
            labels.append(fields["reverse"].label(way["reverse"]))
        yield Case("_".join([entry.name or benchmark.case_name(way), *labels]), kept)


def _is_told(field: Parameter, value: Any) -> bool:
    return field.always or value != field.neutral


def _entry(
    benchmark: Benchmark, where: str, override: Mapping[str, Any], matrix: Mapping[str, Any]
) -> tuple[_Entry, list[str]]:
    given = {name: value for name, value in override.items() if name not in ("name", "matrix")}
    matrix_at = f"{where}.matrix" if "matrix" in override else f"{benchmark.name}_matrix"
    problems = _unknown(benchmark, given, where, "a case may set: name, matrix, ")
    typed, found = _typed(benchmark, given, where)
    lists, missing = _matrix(benchmark, override.get("matrix", matrix), matrix_at)
    problems += found + missing
    problems += [
        f"{where} sets {name} and so does {matrix_at}: take it out of one of them" for name in typed if name in lists
    ]
    return _Entry(where, str(override.get("name") or ""), typed, matrix_at, lists), problems


def _matrix(benchmark: Benchmark, matrix: Any, where: str) -> tuple[dict[str, tuple[Any, ...]], list[str]]:
    """The lists of a matrix, typed, and sentences about what is wrong with them."""
    if not isinstance(matrix, Mapping):
        return {}, [f"{where} is {matrix!r}; it must map parameters to lists of values, like parallel: [1, 4]"]
    problems = _unknown(benchmark, matrix, where, "a matrix may vary: ")
    fields = {field.name: field for field in benchmark.fields}
    lists: dict[str, tuple[Any, ...]] = {}
    for name, values in matrix.items():
        if name not in fields:
            continue
        if not isinstance(values, (list, tuple)) or not values:
            example = f"[{values!r}]" if isinstance(values, (int, str)) and values != "" else "[1, 4]"
            problems.append(f"{where} has {name}: {values!r}; it must be a list of at least one value, like {example}")
            continue
        try:
            lists[name] = tuple(_value(fields[name], value) for value in values)
        except _WrongType as error:
            problems.append(f"{where} has a value of the wrong type: {error}")
            continue
        doubled = [value for index, value in enumerate(lists[name]) if value in lists[name][:index]]
        if doubled:
            problems.append(f"{where} has {name}: {doubled[0]!r} more than once; leave one")
    return lists, problems


def _unknown(benchmark: Benchmark, given: Mapping[str, Any], where: str, allowed: str) -> list[str]:
    unknown = sorted(str(name) for name in given if name not in benchmark.parameters)
    return [f"{where} has {', '.join(unknown)}; {allowed}{', '.join(benchmark.parameters)}"] if unknown else []


def _typed(benchmark: Benchmark, given: Mapping[str, Any], where: str) -> tuple[dict[str, Any], list[str]]:
    """The values by parameter, each of its type, and sentences about those that are not."""
    typed: dict[str, Any] = {}
    problems: list[str] = []
    for field in benchmark.fields:
        if field.name not in given:
            continue
        try:
            typed[field.name] = _value(field, given[field.name])
        except _WrongType as error:
            problems.append(f"{where} has a value of the wrong type: {error}")
    return typed, problems


def _value(field: Parameter, value: Any) -> Any:
    """The value as its parameter takes it: ``"4"`` from a command line is the number 4. Raises _WrongType."""
    text = str(value).strip() if isinstance(value, (str, int, float, bool)) else None
    if value is None or text == "":
        if field.kind in ("text", "list") or not field.always:
            return [] if field.kind == "list" else field.neutral
    elif field.kind == "flag" and text is not None and text.lower() in TRUE_WORDS | FALSE_WORDS:
        return text.lower() in TRUE_WORDS
    elif field.kind == "whole" and not isinstance(value, bool) and text is not None and _is_whole(text):
        return int(text)
    elif field.kind == "text" and text is not None and not isinstance(value, bool):
        return value
    elif field.kind == "list" and isinstance(value, (list, tuple)) and not any(map(_is_nested, value)):
        return list(value)
    raise _WrongType(f"{field.name} is {value!r}, it must be {KINDS[field.kind]}")


def _is_whole(text: str) -> bool:
    digits = text[1:] if text[:1] == "-" else text
    return digits.isascii() and digits.isdigit() and len(digits) < 16


def _is_nested(value: Any) -> bool:
    return isinstance(value, (Mapping, list, tuple)) or value is None


def _too_many(benchmark: Benchmark, plain: Mapping[str, Any], entries: Sequence[_Entry]) -> list[str]:
    """A sentence when the products are larger than anybody means, made without making the cases."""
    count, seconds, largest = 0, 0.0, ("", 0)
    for entry in entries:
        ways = sum(len(benchmark.one_way({**plain, **entry.given, **both})) for both in _both_ways(entry))
        per_way = prod(len(values) for name, values in entry.matrix.items() if name != "bidirectional")
        cases = ways * per_way
        count += cases
        seconds += cases * _mean_seconds(benchmark, {**plain, **entry.given}, entry.matrix)
        largest = max(largest, (entry.matrix_at, cases), key=lambda item: item[1])
    if count <= MOST_CASES:
        return []
    return [
        f"{benchmark.name} would have {count} cases, {largest[1]} of them by {largest[0]}: {_duration(seconds)} for one "
        f"pair in one block, twice that when traced too. At most {MOST_CASES} are planned: take values out of "
        f"{largest[0]}, or measure parts of it as sweeps of their own"
    ]


def _both_ways(entry: _Entry) -> list[Mapping[str, Any]]:
    return [{"bidirectional": value} for value in entry.matrix["bidirectional"]] if "bidirectional" in entry.matrix else [{}]


def _mean_seconds(benchmark: Benchmark, base: Mapping[str, Any], matrix: Mapping[str, tuple[Any, ...]]) -> float:
    """Mean length of the cases of a matrix; the lengths depend on few of its parameters."""
    lists = {name: values for name, values in matrix.items() if name in benchmark.time_parameters}
    lengths = [
        benchmark.expected_seconds({**base, **dict(zip(lists, values, strict=True))}) for values in product(*lists.values())
    ]
    return sum(lengths) / len(lengths)


def _duration(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours" if hours >= 1 else f"{seconds / 60:.0f} minutes"
