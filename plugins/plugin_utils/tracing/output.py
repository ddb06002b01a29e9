"""bpftrace's maps of system calls, printed as text or as JSON lines, into rows of calls and times.

A counted table is believed only if nothing was lost: a lost event, a full map or a helper error makes every
count of the output invalid, because nobody can say which one is short.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ..model import Status
from ..parsing import lines
from ..parsing.finding import CallCount, Finding, Recogniser

_TEXT_ROW = re.compile(r"@(\w*)(?:\[(.*)\])?: (-?\d+)$")
_TEXT_HEAD = re.compile(r"@(\w*)(?:\[(.*)\])?:\s*$")
_TEXT_STATS = re.compile(r"@(\w*)(?:\[(.*)\])?: (?:count \d+, (?:average|total) |\{ ?\.count = )")
_BUCKET = re.compile(r"[\[(]-?[\d.]+[KMGTPE]?(?:, -?[\d.]+[KMGTPE]?[)\]]|\.\.\.\)|\])\s+\d+ \|")
_VERSION = re.compile(r"bpftrace v(\d\S*)$")
_PROMPTS = lines.prompts_of(["bpftrace"])
_ATTACHED = re.compile(r"(?:stdin:\S+ )?Attach(?:ing|ed) (\d+) probes?\b")
_LOST = re.compile(r"Lost (\d+) (?:events|stacks)|Skipped (\d+) events", re.I)
_NOTICE_WORD = re.compile(r"\b(?:Lost|Skipped) \d|WARNING: |ERROR: ")
_MAP_FULL = re.compile(
    r"map full|map_full|\bmap(?: \S{1,80})? is full|failed to update map|E2BIG|No space (?:left )?in map"
    r"|Argument list too long",
    re.I,
)
_HELPER = re.compile(r"WARNING: Failed to map_\w+|Failed to (?:probe|map)_\w+:|helper error", re.I)
_PLACED = re.compile(r"\S+:\d+:\d+(?:-\d+)?: (?:WARNING|ERROR): ")
_QUOTED_LINES = 3
_ERROR = re.compile(r"(?:\S+:\d+:\d+(?:-\d+)?: )?(?:ERROR|FATAL): (.*)")
# A memory-lock limit that could not be raised does not matter on kernels that count memory by cgroup.
_HARMLESS = ("RLIMIT_MEMLOCK",)

_SYSCALL = re.compile(r"(?:(?:tracepoint|t):syscalls:)?sys_(?:enter|exit)_(\w+)$")
_NUMBER = re.compile(r"-?\d+$")

# The only map whose values are times; what is printed in intervals would count a call twice.
_TIME_MAPS = frozenset({"time", "time_ns", "ns", "nsecs"})
_INTERVAL_MAPS = frozenset({"interval", "intervals"})
_WORKING_MAPS = frozenset({"start", "on", "enter", "tid", "tids"})

# Maps that are something else by their name; a sum or a maximum is printed like a count.
_OTHER_MAPS = frozenset(
    {"avg", "average", "bytes", "duration", "errno", "lat", "latency", "len", "max", "min", "ms", "msecs"}
    | {"ret", "retval", "size", "sizes", "sum", "us", "usecs"}
)

_COUNT_MAPS = ("total", "calls")
"""The names, in order, by which the map of counts is known among several."""

_MAP_KEYS = 4096
"""How many keys a map holds by default, in every version. 0.17 drops further ones without a word."""

_E2BIG = -7

_MAX_ROWS = 1 << 20
"""More rows than any tracer's map can hold; beyond it the text is not a table of system calls."""


@dataclass
class _Output:
    """What one tracer has printed so far."""

    line: int
    mode: str = "text"
    version: str | None = None
    """From ``bpftrace --version``, where somebody kept that before the output, which does not show it."""
    attached: int | None = None
    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    count: int = 0
    open_row: bool = False
    """The last line was a row of a text map, and nothing has come after it."""
    supposed: bool = False
    """Begun by a notice alone, which other programs' logs may hold too; a map or a probe proves it the tracer's."""
    quoted: int = 0
    """Lines that may still quote the program a warning is about: a word on the helper, the source, tildes."""

    def problem(self, reason: str, detail: str) -> None:
        if all(known != reason for known, _ in self.problems):
            self.problems.append((reason, detail))

    def row(self, name: str, key: str, value: int) -> None:
        """Keep one row. The last value of a key counts, as each printing of a map holds all calls so far."""
        if name in _INTERVAL_MAPS:
            return
        self.count += 1
        if self.count > _MAX_ROWS:
            self.problem(
                "malformed", f"The output has more than {_MAX_ROWS} rows, which no tracer's map can hold."
            )
            return
        rows = self.rows.setdefault(name, {})
        if value < rows.get(key, 0):
            self.problem(
                "malformed", f"@{name} was cleared while it was counting: “{key[:80]}” became smaller."
            )
        rows[key] = value


class BpftraceRecogniser(Recogniser):
    """Finds bpftrace output among other lines.

    One output ends where the next tracer attaches its probes, or where lines of something else follow the
    maps.
    """

    def __init__(self) -> None:
        self._output: _Output | None = None
        self._version: str | None = None

    def feed(self, line: str, number: int) -> Iterable[Finding]:
        """Take the next cleaned line."""
        text = line.strip()
        first = text[:1]
        if self._output is not None:
            self._output.open_row = False
        if first == "@":
            return self._text_row(text, number)
        if first == "{" and text.startswith('{"type":'):
            return self._json_line(text, number)
        if first == "A" and _ATTACHED.match(text):
            return self._attach(text, number)
        if first == "b" and (version := _VERSION.match(text)):
            self._version = version.group(1)
        if self._output is None:
            return self._suppose(text, number) if _NOTICE_WORD.search(text) else ()
        return self._inside(text)

    def _suppose(self, text: str, number: int) -> Iterable[Finding]:
        """Take a notice before the first line of an output, which was cut off or comes after it."""
        output = _Output(line=number, version=self._version, supposed=True)
        if _take_notice(output, text) and output.problems:
            output.quoted = _QUOTED_LINES if _PLACED.match(text) else 0
            self._output = output
        return ()

    def close(self, cut_line: int = 0) -> Iterable[Finding]:
        """Judge what is left."""
        output, self._output = self._output, None
        if output is None or output.supposed:
            return ()
        if output.open_row and cut_line:
            output.problem(
                "truncated",
                "The output ends in a row without a line ending, so its number may be cut."
                " If the row is whole, add the line ending.",
            )
        return (_judge(output),)

    def divide(self, line: str) -> Iterable[Finding]:
        """Take a fence or a heading: an output ends there, unless the tildes underline what is warned about."""
        if self._output is not None and self._output.quoted and line.startswith("~"):
            return ()
        return self.close()

    def notice(self, text: str) -> None:
        """Take one line of the tracer's standard error, where that was kept apart."""
        if self._output is not None:
            _take_notice(self._output, text)

    def _open(self, number: int, mode: str) -> _Output:
        if self._output is None:
            self._output = _Output(line=number, mode=mode, version=self._version)
        self._output.supposed = False
        return self._output

    def _attach(self, text: str, number: int) -> Iterable[Finding]:
        done = () if self._is_beginning() else self.close()
        found = _ATTACHED.match(text)
        self._open(number, "text").attached = int(found.group(1)) if found else None
        return done

    def _is_beginning(self) -> bool:
        """Whether the open output has notices only, so that the line on its probes may still be to come."""
        output = self._output
        return output is not None and output.attached is None and bool(output.problems) and not output.count

    def _text_row(self, text: str, number: int) -> Iterable[Finding]:
        found = _TEXT_ROW.match(text)
        if found:
            output = self._open(number, "text")
            output.open_row = True
            output.row(found.group(1), found.group(2) or "", int(found.group(3)))
        elif _TEXT_HEAD.match(text) or _TEXT_STATS.match(text):
            self._open(number, "text").problem("histogram", _HISTOGRAM.format(text[:60]))
        elif self._output is not None:
            self._output.problem("malformed", f"A row of a map is cut or is not a count: “{text[:80]}”.")
        return ()

    def _json_line(self, text: str, number: int) -> Iterable[Finding]:
        document = _load(text)
        if document is None:
            self._open(number, "json").problem(
                "malformed",
                "A JSON line of the tracer cannot be read: the output is cut or has a repeated key.",
            )
            return ()
        kind = document.get("type")
        if not isinstance(kind, str) or kind not in _JSON_KINDS:
            return ()
        done: Iterable[Finding] = ()
        if kind == "attached_probes" and not self._is_beginning():
            done = self.close()
        output = self._open(number, "json")
        output.mode = "json"
        _take_json(output, kind, document.get("data"), document)
        return done

    def _inside(self, text: str) -> Iterable[Finding]:
        """A line that is no map row, while an output is open."""
        output = self._output
        if output is None or not text:
            return ()
        if _take_notice(output, text):
            output.quoted = _QUOTED_LINES if _PLACED.match(text) else 0
            return ()
        if output.quoted:
            output.quoted = 0 if text.startswith("~") else output.quoted - 1
            return ()
        if output.supposed:
            self._output = None
            return ()
        if not output.rows:
            # Before its maps the tracer's output may be mixed with what the traced program prints.
            return ()
        return self.close()


def parse_trace(text: str, stderr: str = "") -> Finding:
    """Judge one tracer's whole output (text or JSON lines).

    ``stderr`` is its standard error where that was kept apart: from 0.24 on, what went wrong is told there
    and not in a text output. Rows are in ``calls``; an invalid or failed finding has none.
    """
    recogniser = BpftraceRecogniser()
    findings: list[Finding] = []
    number = 1
    for number, line in enumerate(text.splitlines(), 1):
        findings.extend(recogniser.feed(lines.clean(line, _PROMPTS), number))
    for line in stderr.splitlines():
        recogniser.notice(lines.clean(line, _PROMPTS).strip())
    findings.extend(recogniser.close(cut_line=0 if text.endswith("\n") else number))
    if not findings:
        return _nothing(text, stderr)
    if len(findings) > 1:
        return Finding(
            tool="bpftrace",
            mode=findings[0].mode,
            status="invalid",
            reason="malformed",
            detail=f"The text holds the output of {len(findings)} tracers where one was expected.",
            line=findings[0].line,
        )
    return findings[0]


_HISTOGRAM = "“{}” is a histogram or statistics map; a count per system call was expected."
_MAP_KINDS = frozenset({"map", "hist", "stats", "tseries"})
_NOTICE_KINDS = frozenset({"attached_probes", "lost_events", "skipped_events"})
_ERROR_KINDS = frozenset({"helper_error", "runtime_error", "print_error"})
_PRINT_KINDS = frozenset({"time", "printf", "cat", "join", "syscall", "value", "errorf"})
_JSON_KINDS = _MAP_KINDS | _NOTICE_KINDS | _ERROR_KINDS | _PRINT_KINDS


def _load(text: str) -> dict[str, object] | None:
    try:
        document = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key is there twice")
    return result


def _take_json(output: _Output, kind: str, data: object, document: dict[str, object]) -> None:
    """Keep one JSON line. Up to 0.24 everything is under ``data``; later some have a ``count`` instead."""
    if kind == "attached_probes":
        probes = data.get("probes") if isinstance(data, dict) else document.get("count")
        output.attached = probes if isinstance(probes, int) else None
    elif kind == "map":
        _take_map(output, data)
    elif kind in _MAP_KINDS:
        output.problem("histogram", _HISTOGRAM.format(kind))
    elif kind in _NOTICE_KINDS:
        output.problem("lost_events", f"The tracer lost events: {json.dumps(document)[:200]}.")
    elif kind in _ERROR_KINDS:
        message = json.dumps(document)[:300]
        full = document.get("retcode") == _E2BIG or _MAP_FULL.search(message)
        output.problem("map_full" if full else "tracer_error", f"The tracer says: {message}.")


def _take_map(output: _Output, data: object) -> None:
    if not isinstance(data, dict):
        output.problem("malformed", "A map line of the tracer holds no map.")
        return
    for name, content in data.items():
        rows = content if isinstance(content, dict) else {"": content}
        for key, value in rows.items():
            number = _whole(value)
            if number is None:
                output.problem("histogram", _HISTOGRAM.format(name))
                break
            output.row(str(name).removeprefix("@"), str(key), number)


def _whole(value: object) -> int | None:
    """A count; newer versions write one that a double cannot hold exactly as a string."""
    if isinstance(value, str) and _NUMBER.match(value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _take_notice(output: _Output, text: str) -> bool:
    """Recognise a notice of the tracer; False if the line is somebody else's."""
    lost = _LOST.search(text)
    if lost:
        output.problem("lost_events", f"The tracer says: {text[:200]}.")
    elif _HELPER.search(text):
        reason = "map_full" if _MAP_FULL.search(text) else "tracer_error"
        output.problem(reason, f"The tracer says: {text[:200]}.")
    elif _BUCKET.match(text):
        output.problem("histogram", _HISTOGRAM.format(text[:60]))
    elif ("WARNING: " in text or "ERROR: " in text) and _MAP_FULL.search(text):
        output.problem("map_full", f"The tracer says: {text[:200]}.")
    elif _refusal(text):
        output.problem("tracer_error", f"The tracer says: {text[:200]}.")
    else:
        return False
    return True


def _refusal(text: str) -> str:
    """What an error line of the tracer says; empty for any other line and for errors that do not matter."""
    found = _ERROR.match(text)
    return found.group(1)[:200] if found and not any(word in text for word in _HARMLESS) else ""


def _nothing(text: str, stderr: str) -> Finding:
    for line in [*text.splitlines(), *stderr.splitlines()]:
        refusal = _refusal(lines.clean(line, _PROMPTS).strip())
        if refusal:
            return _failed("tracer_error", f"bpftrace refused: {refusal}")
    if text.strip():
        return _failed("malformed", "The text holds neither a map nor a notice of bpftrace.")
    return _failed("tracer_killed", "bpftrace printed nothing at all: it was killed, or nothing matched.")


def _failed(reason: str, detail: str, mode: str = "text", line: int = 1) -> Finding:
    return Finding(tool="bpftrace", mode=mode, status="failed", reason=reason, detail=detail, line=line)


_GRAVITY = ("histogram", "lost_events", "map_full", "tracer_error", "malformed", "truncated")


def _judge(output: _Output) -> Finding:
    full = [name for name, rows in output.rows.items() if len(rows) >= _MAP_KEYS]
    if full:
        output.problem(
            "map_full", f"@{full[0]} has {_MAP_KEYS} keys or more: it is full, and further ones are lost."
        )
    if output.problems:
        reason, detail = min(output.problems, key=lambda problem: _GRAVITY.index(problem[0]))
        return _without_calls(output, reason, detail)
    names = [name for name in output.rows if name not in _WORKING_MAPS]
    if not names:
        detail = (
            "There is no map of system calls: the tracer was killed before it printed, or nothing matched."
        )
        return replace(_failed("tracer_killed", detail, output.mode, output.line), version=output.version)
    calls, problem = _merge(output, names)
    if problem:
        return _without_calls(output, "malformed", problem)
    return Finding(
        tool="bpftrace",
        mode=output.mode,
        status="valid",
        version=output.version,
        parameters={"maps": tuple(sorted(f"@{name}" for name in names))},
        calls=tuple(calls),
        line=output.line,
    )


def _without_calls(output: _Output, reason: str, detail: str) -> Finding:
    status: Status = "failed" if reason == "tracer_error" and not output.rows else "invalid"
    return replace(_failed(reason, detail, output.mode, output.line), status=status, version=output.version)


def _merge(output: _Output, names: list[str]) -> tuple[list[CallCount], str]:
    """One row per key, the count of one map beside the time of another; or the sentence that says why not."""
    times = [name for name in names if name in _TIME_MAPS]
    counts = [name for name in names if name not in _TIME_MAPS]
    if len(counts) > 1:
        known = [name for name in _COUNT_MAPS if name in counts]
        if not known:
            shown = ", ".join(f"@{name}" for name in counts)
            return (
                [],
                f"Several maps ({shown}) and none called @total or @calls: which one counts is unknown.",
            )
        counts = known[:1]
    if counts and counts[0].lower() in _OTHER_MAPS:
        return [], f"By its name @{counts[0]} holds no counts of calls."
    merged: dict[Key, list[int | None]] = {}
    for place, name in [(0, name) for name in counts] + [(1, name) for name in times]:
        keys = split_keys(output.rows[name])
        if keys is None:
            example = min(output.rows[name])[:80]
            return [], f"A key of @{name} names no system call, for example “{example}”."
        for key, value in zip(keys, output.rows[name].values(), strict=True):
            pair = merged.setdefault(key, [None, None])
            if pair[place] is not None or value < 0:
                return [], f"A row of @{name} is there twice or is negative: “{key}”."
            pair[place] = value
    rows = [
        CallCount(comm=comm, number=number, syscall=syscall, calls=calls, time_ns=time_ns, pid=pid)
        for (comm, number, syscall, pid), (calls, time_ns) in merged.items()
    ]
    return rows, ""


Key = tuple[str | None, int | None, str | None, int | None]
"""Thread name, system-call number, system-call name, process id."""


def split_keys(keys: Iterable[str]) -> list[Key] | None:
    """The parts of the keys of one map; None if one of them names no system call.

    The parts may stand in any order, the same in every key. A thread name may itself hold commas, spaces,
    slashes, colons and digits: so the system call and the process id are those columns at the ends of the
    keys that are whole numbers in every key, and what is left between them is the name.
    """
    rows = [_take_syscall(key.split(",")) for key in keys]
    if not rows:
        return []
    back = _fewest(_leading_numbers(reversed(parts)) for parts, _ in rows)
    front = _fewest(_leading_numbers(parts[: len(parts) - back]) for parts, _ in rows)
    named = all(syscall is not None for _, syscall in rows)
    if any((syscall is not None) != named for _, syscall in rows):
        return None
    if not (0 <= front + back <= 1 if named else 1 <= front + back <= 2):
        return None
    return [_key(parts, syscall, front, back) for parts, syscall in rows]


def _key(parts: list[str], syscall: str | None, front: int, back: int) -> Key:
    end = len(parts) - back
    numbers = [int(part) for part in parts[:front] + parts[end:]]
    name = ",".join(parts[front:end]).strip() or None
    if syscall is not None:
        return name, None, syscall, numbers[0] if numbers else None
    # Of a process and a call, scripts write the call last.
    return name, numbers[-1], None, numbers[0] if len(numbers) == 2 else None


def _take_syscall(parts: list[str]) -> tuple[list[str], str | None]:
    """The parts of a key without the one that is a probe on a system call, and the name of that call."""
    for index, part in enumerate(parts):
        if "sys_" not in part:
            continue
        found = _SYSCALL.match(part.strip())
        if found:
            return parts[:index] + parts[index + 1 :], f"sys_enter_{found.group(1)}"
    return parts, None


def _fewest(counts: Iterable[int]) -> int:
    """The least of some counts; after a 0 none is made."""
    fewest: int | None = None
    for count in counts:
        fewest = count if fewest is None else min(fewest, count)
        if not fewest:
            break
    return fewest or 0


def _leading_numbers(parts: Iterable[str]) -> int:
    count = 0
    for part in parts:
        if not part.strip().removeprefix("-").isdecimal():
            break
        count += 1
    return count
