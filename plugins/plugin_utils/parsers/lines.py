"""Takes off what other tools wrap around a line: colours, labels, time stamps, quote marks, shell prompts.

A line that a tool printed itself must come through unchanged, so everything here is anchored at the start of the line
and matches only what none of the tools prints.
"""

from __future__ import annotations

import re

COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
WRAPPERS = re.compile(
    r"""^(?:
      \[(?:STDOUT|STDERR|OUTPUT|stdout|stderr|output)\]\ ?
    | >\ ?                                                             # quoted in Markdown or mail
    | \[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\]?:?\ +
    | (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\ [ \d]\d\ \d\d:\d\d:\d\d\ (?:\S+\ \S+:\ )?
    | \d\d:\d\d:\d\d(?:\.\d+)?\ +(?=\[|sockperf|@|iperf)
    )""",
    re.VERBOSE,
)
FIRST = frozenset("[>0123456789JFMASOND")


def clean(line: str) -> str:
    """The line without line ending, colours and wrappers; several wrappers come off one after another."""
    line = line.rstrip("\r\n")
    if "\x1b" in line:
        line = COLOURS.sub("", line)
    while line and line[0] in FIRST:
        found = WRAPPERS.match(line)
        if found is None:
            break
        line = line[found.end() :]
    return line
