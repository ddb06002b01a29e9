"""What every command shares: its exit statuses, and one way to print what a terminal must not obey."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

from ..plain_text import printable
from ..report.terminal import as_shown

WELL = 0
NOT_VALID = 1
"""Something was measured, read or written, and is not valid or not complete."""
USAGE = 2
"""Nothing could be done."""
NOT_CONVERGED = 3
SOMEBODY_HOLDS = 4
INTERRUPTED = 130

LONGEST_SENTENCE = 10_000
_OBEYED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What printable() escapes and JSON does not."""
_LONGEST_ESCAPE = len("\\u202e")


class UsageError(Exception):
    """Something the user can fix; the text is a sentence that says what is wrong and what to do."""


def complain(sentence: str) -> None:
    """Say on standard error what is wrong, in one line that a terminal does not obey."""
    print(f"pairbench: {printable(sentence, LONGEST_SENTENCE)}", file=sys.stderr)


def say(text: str) -> None:
    """Print lines of which a terminal obeys nothing but their ends."""
    print(as_shown(text.split("\n")), flush=True)


def show_verbatim(text: str, as_shown_there: Callable[[str], str]) -> None:
    """Print a text as it is, to the last byte in UTF-8; on a terminal what ``as_shown_there`` makes of it."""
    if sys.stdout.isatty():
        print(as_shown_there(text))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8"))


def text_as_shown(text: str) -> str:
    """Lines of others, however long, of which a terminal obeys nothing but their ends."""
    lines = text.removesuffix("\n").expandtabs().split("\n")
    return "\n".join(printable(line, _LONGEST_ESCAPE * len(line)) for line in lines)


def json_as_shown(text: str) -> str:
    """A JSON document of which a terminal obeys nothing, and which stays the same document.

    What is escaped stands in texts only; JSON itself asks for C0 alone to be escaped.
    """
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text.removesuffix("\n"))
