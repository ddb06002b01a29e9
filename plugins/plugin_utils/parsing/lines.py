"""Take off what other tools wrap around a line: log tags, times, colours, quotes, fences, prompts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

_COLOUR = re.compile(
    r"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][0-9A-Za-z]|[=>78DEHMNOZc])"
)
# A tool may colour whatever it writes to. Pagers, loggers and web pages show the escape character in their own
# way, or drop it; its colours end with "[0m" all the same.
_SHOWN_COLOUR = re.compile(r"(?:\^\[|ESC|␛|\\(?:e|x1[bB]|033|u001[bB]))?\[(?:0|\d;\d\d)m")
_TAG = re.compile(r"\[(?:STDOUT|STDERR|OUTPUT|stdout|stderr|output)\](?: |$)")

_CLOCK = r"\d{2}:\d{2}:\d{2}(?:[.,]\d+)?"
_ISO = rf"\d{{4}}[-/]\d{{2}}[-/]\d{{2}}[T ]{_CLOCK}(?: ?(?:Z|UTC|[+-]\d{{2}}:?\d{{2}}))?"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_BRACKETED_TIME = re.compile(rf"\[(?:{_ISO}|{_CLOCK}|\d+\.\d+)\](?: |$)")
_TIME = re.compile(rf"(?:{_ISO}|{_CLOCK}|\d{{9,11}}\.\d+)[: ] ?(?=\s*\S)")
_DATE = re.compile(
    rf"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?{_MONTH} {{1,2}}\d{{1,2}} {_CLOCK}"
    r"(?: [A-Z]{3,4})?(?: \d{4})? "
)
_LOGGER = re.compile(r"[\w.:-]+ [\w./-]+\[\d+\]: ")
_CONTAINER = re.compile(r"[A-Za-z][\w.-]*\s*\| ")

_LAUNCHERS = r"sudo|time|timeout|taskset|numactl|ip netns exec"
_USER_PROMPT = re.compile(r"(?:\([\w.-]+\) ?)?\[?[\w.-]+@[\w.-]+(?:[: ][^$#%]*?)?[$#%] +(?=\S)")
_QUOTE = re.compile(r"(?:> ?)+")
_FENCE = re.compile(r"(?:`{3,}|~~~)[\w+-]*\s*$")

_STRING_ROW = re.compile(r'\s*(?:"(?:msg|stdout|stderr)": ?)?"((?:[^"\\]|\\.)*)",?\s*$')
_YAML_ROW = re.compile(r"\s*- '((?:[^']|'')*)'$")

_DIGITS = frozenset("0123456789")
_DATE_INITIALS = frozenset("JFMASOND" + "TWS")
_BLANK = frozenset(" \t")
_NEVER_WRAPS = frozenset("@{}-=")
_QUOTE_ENDS = ('"', '",', "'", " ", "\t")
_MAX_LAYERS = 8


@dataclass(frozen=True)
class Prompts:
    """What a prompt with a command of a measuring tool behind it looks like."""

    bare: re.Pattern[str]
    """``$`` and its like alone."""
    host: re.Pattern[str]
    """The name of a host before it; looked for in lines that hold one of ``read`` only."""
    read: tuple[str, ...]


def prompts_of(tools: Iterable[str], read: Iterable[str] = ()) -> Prompts:
    """Prompts before commands of some tools. ``read`` are those whose commands say what their outputs do not."""
    names = "|".join(map(re.escape, tools))
    command = rf"(?=(?:{_LAUNCHERS}|(?:/\S*/|\./)?(?:{names}))\b)"
    return Prompts(
        re.compile(rf"[$#%+] +{command}"),
        re.compile(rf"[\w.-]+(?::[^\s$#%]*)?[$#%>] *{command}"),
        tuple(f"{name} " for name in read),
    )


def clean(line: str, prompts: Prompts) -> str:
    """Give back ``line`` as the measuring tool printed it.

    Removes line endings, colour codes and any number of the wrappers that log collectors, Ansible, terminals
    and Markdown put around a line. A line of raw tool output comes back unchanged: every wrapper is known by
    a form that no measuring tool prints at the start of a line.
    """
    line = line.rstrip("\r\n")
    if "\x1b" in line or "[0m" in line:
        line = _without_colours(line)
    # Nearly every line of a large file is raw: the commonest kinds are let through before anything is tried.
    first = line[:1]
    if first in _NEVER_WRAPS or (first == "[" and line[1:2] == " "):
        return line
    if first in _BLANK and not line.endswith(_QUOTE_ENDS):
        return line
    for _ in range(_MAX_LAYERS):
        shorter = _peel(line, prompts)
        if shorter is line:
            break
        line = _without_colours(shorter)
    return line


def _without_colours(line: str) -> str:
    return _SHOWN_COLOUR.sub("", _COLOUR.sub("", line))


def _peel(line: str, prompts: Prompts) -> str:
    """Take off one layer; the very same object comes back when there is none."""
    first = line[:1]
    if first == "[":
        # "[  5]" and "[SUM]" are by far the commonest lines of a large file.
        return line if line[1:2] == " " or line[1:3] == "SU" else _peel_bracket(line)
    if first in _BLANK or first == '"':
        return _peel_quotes(line)
    if first in _DIGITS:
        return _cut(line, _TIME)
    if first.isalpha() or first == "(":
        return _peel_words(line, first, prompts)
    if first == ">":
        return _cut(line, _QUOTE)
    if first in "`~" and _FENCE.match(line):
        return ""
    if first in "$#%+":
        return _cut(line, prompts.bare)
    return line


def _peel_bracket(line: str) -> str:
    for pattern in (_TAG, _BRACKETED_TIME, _USER_PROMPT):
        shorter = _cut(line, pattern)
        if shorter is not line:
            return shorter
    return line


def _peel_words(line: str, first: str, prompts: Prompts) -> str:
    if first in _DATE_INITIALS:
        shorter = _cut(line, _DATE)
        if shorter is not line:
            return _cut(shorter, _LOGGER)
    if "| " in line:
        shorter = _cut(line, _CONTAINER)
        if shorter is not line:
            return shorter
    if "@" in line:
        return _cut(line, _USER_PROMPT)
    for name in prompts.read:
        if name in line:
            return _cut(line, prompts.host)
    return line


def _peel_quotes(line: str) -> str:
    """Undo the quoting of Ansible's JSON and YAML lists of output lines.

    A row that is one JSON string and nothing else does not occur in what measuring tools print as JSON. A
    string that holds several lines stays as it is, because one line in is one line out.
    """
    found = _STRING_ROW.match(line)
    if found is not None:
        text = _unescape(found.group(1))
        return line if text is None or "\n" in text else text
    found = _YAML_ROW.match(line) if "- '" in line else None
    return line if found is None else found.group(1).replace("''", "'")


def _unescape(text: str) -> str | None:
    if "\\" not in text:
        return text
    try:
        value = json.loads(f'"{text}"')
    except ValueError:
        return None
    return value if isinstance(value, str) else None


def _cut(line: str, pattern: re.Pattern[str]) -> str:
    found = pattern.match(line)
    return line if found is None or not found.end() else line[found.end() :]
