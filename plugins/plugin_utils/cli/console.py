"""What every command shares: its exit statuses, and one way to print what a terminal must not obey."""

from __future__ import annotations

import sys

from ..plain_text import printable
from ..report.terminal import as_shown

WELL = 0
NOT_VALID = 1
"""Something was measured, read or written, and is not valid or not complete."""
USAGE = 2
"""Nothing could be done."""
NOT_CONVERGED = 3
HELD = 4
INTERRUPTED = 130

LONGEST_SENTENCE = 10_000


class UsageError(Exception):
    """Something the user can fix; the text is a sentence that says what is wrong and what to do."""


def complain(sentence: str) -> None:
    """Say on standard error what is wrong, in one line that a terminal does not obey."""
    print(f"pairbench: {printable(sentence, LONGEST_SENTENCE)}", file=sys.stderr)


def say(text: str) -> None:
    """Print lines of which a terminal obeys nothing but their ends."""
    print(as_shown(text.split("\n")), flush=True)
