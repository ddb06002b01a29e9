"""Cells of our CSV files: values as text, and text that no spreadsheet takes for a formula.

A text that a spreadsheet would work out, because it begins with one of ``= + - @``, with a tab or a line end (OWASP, "CSV
injection"), has an apostrophe before it. So has a text that begins with apostrophes and goes on like that: taking one
apostrophe away gives the text again, always (`plain_cell`). Figures are no text and stay as they are.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from ..plain_text import printable

_WORKED_OUT = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
_GUARDED = re.compile(f"'+[{re.escape(_WORKED_OUT)}]")


def cell(value: Any) -> str:
    """A value as a cell: nothing for None, floats so that they read back exactly, whole numbers without a point.

    Control characters of texts are written as they are shown in a terminal (``\\x1b``), line ends too, so that a row is one
    line; the record has them as they were.
    """
    kind = type(value)  # most cells of a sweep are figures
    if kind is int:
        return repr(value)
    if kind is float:
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if value is None:
        return ""
    if isinstance(value, str):
        return guarded(value if value.isascii() and value.isprintable() else printable(value, sys.maxsize))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return repr(value) if isinstance(value, (int, float)) else cell(str(value))


def guarded(text: str) -> str:
    """A text that a spreadsheet does not work out."""
    begin = text[:1]
    if begin == "'" and _GUARDED.match(text):
        return f"'{text}"
    return f"'{text}" if begin and begin in _WORKED_OUT else text


def plain_cell(text: str) -> str:
    """The text that `guarded` was given; for whatever reads our tables."""
    return text[1:] if _GUARDED.match(text) else text
