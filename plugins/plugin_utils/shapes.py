"""Values of a JSON document as what they should be, or a sentence that names the one that is not.

``where`` is how the sentence calls the value: ``design.rounds[3].pairs``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from .plain_text import printable

LONGEST_TEXT = 1000


class WrongShape(ValueError):
    """A value is not what it should be; the text names it and says what it should be, in one line."""

    def __init__(self, sentence: str) -> None:
        super().__init__(printable(sentence, LONGEST_TEXT))


def object_of(value: Any, where: str, names: Collection[str] | None = None) -> Mapping[str, Any]:
    """An object, with no other keys than ``names`` where they are given."""
    if not isinstance(value, Mapping):
        raise _wrong(value, where, "an object")
    strangers = sorted(set(value) - set(names)) if names is not None else []
    if strangers:
        raise WrongShape(f"{where} has the key {_short(strangers[0])}, which nobody knows")
    return value


def list_of(value: Any, where: str) -> list[Any]:
    """A list."""
    if not isinstance(value, (list, tuple)):
        raise _wrong(value, where, "a list")
    return list(value)


def text_of(value: Any, where: str, *, most: int = LONGEST_TEXT, like: re.Pattern[str] | None = None) -> str:
    """A text of at most ``most`` characters and no control character, wholly like a pattern where one is given."""
    if not isinstance(value, str) or len(value) > most or printable(value, most) != value:
        raise _wrong(value, where, f"a text of at most {most} characters, none of which controls a terminal")
    if like is not None and not like.fullmatch(value):
        raise _wrong(value, where, f"a text like {like.pattern}")
    return value


def word_of(value: Any, where: str, words: Collection[str]) -> str:
    """One of these words."""
    if not isinstance(value, str) or value not in words:
        few = list(words)[:12]
        raise _wrong(value, where, f"one of {', '.join(few)}{' and others' if len(words) > len(few) else ''}")
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
    """A number from ``low`` to ``high``."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high or math.isnan(value):
        raise _wrong(value, where, f"a number from {low:g} to {high:g}")
    return value


def _wrong(value: Any, where: str, wanted: str) -> WrongShape:
    return WrongShape(f"{where} must be {wanted}, it is {_short(value)}")


def _short(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, (str, bool, int, float)):
        text = ascii(value)
        return text if len(text) <= 60 else f"{text[:57]}..."
    return "an object" if isinstance(value, Mapping) else f"a {type(value).__name__}"
