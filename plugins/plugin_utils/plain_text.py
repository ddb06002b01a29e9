"""Text of others in one line that a terminal shows and does not obey."""

from __future__ import annotations

import re

MARK = "…"

# C0, DEL and C1; what breaks lines or turns the direction of writing; halves of surrogate pairs, which no encoding has.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str, limit: int = 300) -> str:
    r"""The text with each control character as a visible escape (``\x1b``, ``\n`` as ``\x0a``, ``\u202e``).

    It has at most ``limit`` characters: where the text has more, it ends with ``…``.
    """
    start = text[: limit + 1]
    shown = _CONTROL.sub(_visible, start)
    if len(text) <= limit and len(shown) <= limit:
        return shown
    kept, room = [], limit - len(MARK)
    for character in start:
        piece = _CONTROL.sub(_visible, character)
        if len(piece) > room:
            break
        kept.append(piece)
        room -= len(piece)
    return ("".join(kept) + MARK)[:limit] if limit > 0 else ""


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
