"""Text of files and of standard input, in bounded lines, whatever their encoding is."""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from .console import UsageError

LONGEST_LINE = 64 * 2**20
"""Characters read as one line at most, so that a file without line ends cannot fill the memory."""
LONGEST_NOTES = 64 * 2**20
"""Characters of notes, which are read as a whole."""


@contextlib.contextmanager
def lines_of(name: str) -> Iterator[Iterable[str]]:
    """The lines of a file, or of standard input for ``-``. Raises OSError where there is none to read."""
    if name == "-":
        if sys.stdin is None:
            raise OSError(errno.EBADF, "standard input is closed")
        with open(sys.stdin.fileno(), "rb", closefd=False) as binary:
            yield _decoded(binary)
        return
    with Path(name).open("rb") as binary:
        yield _decoded(binary)


def whole_text(name: str) -> str:
    """All of a file, or of standard input for ``-``. Raises UsageError where it is none to read, or too long for notes."""
    parts: list[str] = []
    left = LONGEST_NOTES
    try:
        with lines_of(name) as lines:
            for line in lines:
                left -= len(line)
                if left < 0:
                    raise UsageError(f"{name} has more than {LONGEST_NOTES} characters: these are no notes kept by hand.")
                parts.append(line)
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror or error}.") from error
    return "".join(parts)


def _decoded(binary: io.BufferedReader) -> Iterator[str]:
    """Lines of bounded length in the encoding that the file's first bytes announce, UTF-8 otherwise."""
    wide = binary.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    reader = io.TextIOWrapper(binary, encoding="utf-16" if wide else "utf-8-sig", errors="replace")
    while line := reader.readline(LONGEST_LINE):
        yield line
