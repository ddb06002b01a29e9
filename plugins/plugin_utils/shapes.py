"""Values of documents as what they should be, or a sentence that names the one that is not.

Whatever comes from elsewhere goes through here: files in a sweep's folder, replies of hosts. ``where`` is how the sentence
calls the value: ``design.rounds[3].pairs``. Each ``…_of`` takes a value with its ``where``, and gives the value. The same
word without ``_of`` takes the bounds alone and gives a `Check`, of which schemas are made; an ``…_of`` that has no bounds
is a `Check` as it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from .plain_text import printable

LONGEST_NAME, LONGEST_LINE = 255, 1000
MOST_KEYS = 10_000
MOST_WORDS_SHOWN = 12

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)")
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,119}")

Check = Callable[[Any, str], Any]
"""Takes a value and what to call it; gives the value. Raises `WrongShape`."""


class WrongShape(ValueError):
    """A value is not what it should be; the text names it and says what it is or should be, in one line."""

    def __init__(self, sentence: str) -> None:
        super().__init__(printable(sentence, LONGEST_LINE))


def kind_of(value: Any) -> str:
    """What kind of thing a value is, in a few characters that a terminal can show, however large or deep it is."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"'{printable(value, 60)}'" if len(value) <= 200 else f"a text of {len(value)} characters"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**20 else "a number of more than 20 digits"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else "no finite number"
    if isinstance(value, Mapping):
        return f"an object of {len(value)}"
    return f"a list of {len(value)}" if isinstance(value, (list, tuple)) else "something else"


def _wrong(value: Any, where: str, wanted: str) -> WrongShape:
    return WrongShape(f"{where} must be {wanted}, it is {kind_of(value)}")


# A value.


def object_of(
    value: Any, where: str, names: Collection[str] | None = None, *, most: float = math.inf
) -> Mapping[str, Any]:
    """An object of at most ``most`` keys, and no other ones than ``names`` where they are given."""
    if not isinstance(value, Mapping):
        raise _wrong(value, where, "an object")
    if len(value) > most:
        raise WrongShape(f"{where} has {len(value)} keys, more than {most}")
    strangers = sorted(set(value) - set(names)) if names is not None else []
    if strangers:
        raise WrongShape(f"{where} has the key {kind_of(strangers[0])}, which nobody knows")
    return value


def small_object_of(value: Any, where: str) -> Mapping[str, Any]:
    """An object of at most `MOST_KEYS` keys."""
    return object_of(value, where, most=MOST_KEYS)


def list_of(value: Any, where: str, *, most: float = math.inf) -> list[Any]:
    """A list of at most ``most`` items."""
    if not isinstance(value, (list, tuple)):
        raise _wrong(value, where, "a list")
    if len(value) > most:
        raise WrongShape(f"{where} has {len(value)} items, more than {most}")
    return list(value)


def text_of(value: Any, where: str, *, most: int = LONGEST_LINE, like: re.Pattern[str] | None = None) -> str:
    """A text of at most ``most`` characters and no control character, wholly like a pattern where one is given."""
    if not isinstance(value, str) or len(value) > most or printable(value, most) != value:
        raise _wrong(value, where, f"a text of at most {most} characters, none of which controls a terminal")
    return value if like is None else _like(value, where, like)


def raw_text_of(value: Any, where: str, *, most: int, like: re.Pattern[str] | None = None) -> str:
    """A text as a program wrote it, control characters and all, that can be written as UTF-8.

    It is measured and not copied, so that many MiB of it take no time.
    """
    if not isinstance(value, str):
        raise _wrong(value, where, "a text")
    if len(value) > most:
        raise WrongShape(f"{where} has {len(value)} characters, more than {most}")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise WrongShape(f"{where} has characters that no text has (lone surrogates)") from None
    return value if like is None else _like(value, where, like)


def _like(value: str, where: str, pattern: re.Pattern[str]) -> str:
    if not pattern.fullmatch(value):
        raise _wrong(value, where, f"a text like {pattern.pattern}")
    return value


def moment_of(value: Any, where: str) -> str:
    """A time of day in UTC, ISO 8601."""
    found = raw_text_of(value, where, most=32, like=_MOMENT)
    try:
        datetime.fromisoformat(found.replace("Z", "+00:00"))
    except ValueError:
        raise WrongShape(f"{where} is {kind_of(value)}, which is no time of day") from None
    return found


def word_of(value: Any, where: str, words: Collection[str]) -> str:
    """One of these words."""
    if not isinstance(value, str) or value not in words:
        others = " and others" if len(words) > MOST_WORDS_SHOWN else ""
        raise WrongShape(f"{where} is {kind_of(value)}, not one of {', '.join(list(words)[:MOST_WORDS_SHOWN])}{others}")
    return value


def flag_of(value: Any, where: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise _wrong(value, where, "true or false")
    return value


def whole_of(value: Any, where: str, low: int, high: int) -> int:
    """A whole number from ``low`` to ``high``."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise _wrong(value, where, f"a whole number from {low} to {high}")
    return value


def number_of(value: Any, where: str, low: float, high: float) -> float:
    """A finite number from ``low`` to ``high``."""
    if isinstance(value, float) and not math.isfinite(value):
        raise WrongShape(f"{where} is no finite number")
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
        raise _wrong(value, where, f"a number from {low:g} to {high:g}")
    return value


def same_as(value: Any, where: str, expected: Any) -> Any:
    """What is expected, and nothing else; true and false never are."""
    if isinstance(value, bool) or value != expected:
        raise WrongShape(f"{where} is {kind_of(value)} and not {kind_of(expected)}")
    return expected


# Checks, of which schemas are made.


def raw_text(most: int, like: re.Pattern[str] | None = None) -> Check:
    """`raw_text_of` with these bounds."""
    return lambda value, where: raw_text_of(value, where, most=most, like=like)


def whole(low: int, high: int) -> Check:
    """`whole_of` with these bounds."""
    return lambda value, where: whole_of(value, where, low, high)


def number(low: float, high: float) -> Check:
    """`number_of` with these bounds."""
    return lambda value, where: number_of(value, where, low, high)


def word(words: Collection[str]) -> Check:
    """`word_of` of these words."""
    return lambda value, where: word_of(value, where, words)


def same(expected: Any) -> Check:
    """`same_as` with what is expected."""
    return lambda value, where: same_as(value, where, expected)


def optional(inner: Check) -> Check:
    """Null, or what the inner check takes."""
    return lambda value, where: None if value is None else inner(value, where)


def either(*inners: Check) -> Check:
    """What one of the checks takes; the last one's complaint where none does."""

    def check(value: Any, where: str) -> Any:
        for inner in inners[:-1]:
            try:
                return inner(value, where)
            except WrongShape:
                continue
        return inners[-1](value, where)

    return check


def listing(inner: Check, most: int) -> Check:
    """A list of at most ``most`` items."""

    def check(value: Any, where: str) -> Any:
        return [inner(item, f"{where}[{number}]") for number, item in enumerate(list_of(value, where, most=most))]

    return check


def mapping(inner: Check, most: int) -> Check:
    """An object with at most ``most`` keys of any plain name."""
    name = raw_text(LONGEST_NAME, _KEY)

    def check(value: Any, where: str) -> Any:
        found = object_of(value, where, most=most)
        return {name(key, f"a key of {where}"): inner(item, f"{where}.{key}") for key, item in found.items()}

    return check


def fields(schema: Mapping[str, Check]) -> Check:
    """An object with these fields, of which others are left out. An absent field is as good as null."""

    def check(value: Any, where: str) -> Any:
        found = small_object_of(value, where)
        return {name: inner(found.get(name), f"{where}.{name}") for name, inner in schema.items()}

    return check
