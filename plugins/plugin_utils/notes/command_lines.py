"""Reads the benchmark commands that people write into notes and shell histories."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePosixPath

from ..benchmarks import BENCHMARKS
from ..benchmarks.command_line import Command

PROMPT = re.compile(r"^\s*(?:\[[^\]]*\]\s*)?(?:[\w.@:~/-]*[$#>%])?\s*")
"""A shell prompt before a command: ``$``, ``root@vm1:~#``, ``[user@host dir]$``; or nothing."""

WRAPPERS = frozenset(
    {
        "sudo",
        "env",
        "ip",
        "nsenter",
        "taskset",
        "numactl",
        "chrt",
        "nice",
        "timeout",
        "time",
        "nohup",
        "stdbuf",
        "ssh",
    }
)
"""Programs that start another one named behind their own arguments."""

SHELL_ENDS = re.compile(r"(?:\d?>>?.*|<.*|\|.*|&&?|;.*)")


def read_command(line: str) -> Command | None:
    """The command of a benchmark on a line, with or without prompt and wrappers; otherwise ``None``."""
    words = _words(PROMPT.sub("", line, count=1))
    for index, word in enumerate(words):
        tool = PurePosixPath(word).name
        if tool in BENCHMARKS:
            return BENCHMARKS[tool].read_command(tuple(words[index:]))
        if index == 0 and tool not in WRAPPERS and "=" not in word:
            return None
    return None


def _words(line: str) -> list[str]:
    if not any(name in line for name in BENCHMARKS):
        return []
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return []
    for index, word in enumerate(words):
        if SHELL_ENDS.fullmatch(word):
            return words[:index]
    return words
