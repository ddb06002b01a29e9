"""bpftrace's maps of system calls, printed as text or as JSON lines, into rows of calls and times.

A counted table is believed only if nothing was lost: a lost event, a full map or a helper error makes every count of
the output invalid, because nobody can say which one is short.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from . import lines
from .finding import CallCount, Finding

_TEXT_ROW = re.compile(r"@(\w*)(?:\[(.*)\])?: (-?\d+)$")
_TEXT_HEAD = re.compile(r"@(\w*)(?:\[(.*)\])?:\s*$")
_TEXT_STATS = re.compile(r"@(\w*)(?:\[(.*)\])?: count \d+, (?:average|total) ")
_BUCKET = re.compile(r"[\[(]-?[\d.]+[KMGTPE]?(?:, -?[\d.]+[KMGTPE]?[)\]]|\.\.\.\)|\])\s+\d+ \|")
_ATTACHED = re.compile(r"(?:stdin:\S+ )?Attach(?:ing|ed) (\d+) probes?\b")
_LOST = re.compile(r"Lost (\d+) (?:events|stacks)|Skipped (\d+) events", re.I)
_MAP_FULL = re.compile(r"map full|map_full|E2BIG|No space (?:left )?in map|Argument list too long", re.I)
_HELPER = re.compile(r"WARNING: Failed to map_\w+|Failed to (?:probe|map)_\w+:|helper error", re.I)
_ERROR = re.compile(r"(?:\S+:\d+:\d+(?:-\d+)?: )?(?:ERROR|FATAL): (.*)")
# A memory-lock limit that could not be raised does not matter on kernels that count memory by cgroup.
_HARMLESS = ("RLIMIT_MEMLOCK",)

_PROBE = re.compile(
    r"(?:tracepoint|t):(?:raw_)?syscalls:(sys_(?:enter|exit)_?\w*)$|(?:k|kprobe|kfunc|fentry):\w+$"
)
_SYSCALL = re.compile(r"(?:(?:tracepoint|t):syscalls:)?sys_(?:enter|exit)_(\w+)$")
_NUMBER = re.compile(r"-?\d+$")

# The only map whose values are times; what is printed in intervals would count a call twice.
_TIME_MAPS = frozenset({"time", "time_ns", "ns", "nsecs"})
_INTERVAL_MAPS = frozenset({"interval", "intervals"})
_WORKING_MAPS = frozenset({"start", "on", "enter", "tid", "tids"})

_MAX_ROWS = 1 << 20
"""More rows than any tracer's map can hold; beyond it the text is not a table of system calls."""


@dataclass
class _Output:
    """What one tracer has printed so far."""

    line: int
    mode: str = "text"
    attached: int | None = None
    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    count: int = 0

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
        self.rows.setdefault(name, {})[key] = value


class BpftraceRecogniser:
    """Finds bpftrace output among other lines (the ``Recogniser`` protocol).

    One output ends where the next tracer attaches its probes, or where lines of something else follow its maps.
    """

    def __init__(self) -> None:
        self._output: _Output | None = None
        self._unrelated = 0

    def feed(self, line: str, number: int) -> Iterable[Finding]:
        """Take the next cleaned line."""
        text = line.strip()
        first = text[:1]
        if first == "@":
            return self._text_row(text, number)
        if first == "{" and text.startswith('{"type":'):
            return self._json_line(text, number)
        if first == "A" and _ATTACHED.match(text):
            return self._attach(text, number)
        if self._output is None:
            return ()
        return self._inside(text)

    def close(self) -> Iterable[Finding]:
        """Judge what is left."""
        output, self._output = self._output, None
        return () if output is None else (_judge(output),)

    def cut_off(self) -> None:
        """The text stopped in the middle of a row, so the count in it may lack digits."""
        if self._output is not None:
            self._output.problem("truncated", "The text stops within its last row, whose count may lack digits.")

    def _open(self, number: int, mode: str) -> _Output:
        if self._output is None:
            self._output = _Output(line=number, mode=mode)
        self._unrelated = 0
        return self._output

    def _attach(self, text: str, number: int) -> Iterable[Finding]:
        done = self.close()
        found = _ATTACHED.match(text)
        self._open(number, "text").attached = int(found.group(1)) if found else None
        return done

    def _text_row(self, text: str, number: int) -> Iterable[Finding]:
        found = _TEXT_ROW.match(text)
        if found:
            output = self._open(number, "text")
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
        if kind not in _JSON_KINDS:
            return ()
        done: Iterable[Finding] = ()
        if kind == "attached_probes":
            done = self.close()
        output = self._open(number, "json")
        output.mode = "json"
        _take_json(output, str(kind), document.get("data"), document)
        return done

    def _inside(self, text: str) -> Iterable[Finding]:
        """A line that is no map row, while an output is open."""
        output = self._output
        if output is None or not text:
            return ()
        if _take_notice(output, text):
            self._unrelated = 0
            return ()
        self._unrelated += 1
        # The traced program's own words come before the maps; after the maps something else has begun.
        if output.rows and self._unrelated > 3:
            return self.close()
        return ()


def parse_trace(text: str) -> Finding:
    """Judge one tracer's whole output (text or JSON lines).

    The tracer's standard error may be appended. Rows are in ``calls``; an invalid or failed finding has none.
    """
    recogniser = BpftraceRecogniser()
    findings: list[Finding] = []
    for number, line in enumerate(text.splitlines(), 1):
        findings.extend(recogniser.feed(lines.clean(line), number))
    if "\n" in text and not text.endswith("\n") and "@" in text.rpartition("\n")[2]:
        recogniser.cut_off()
    findings.extend(recogniser.close())
    if not findings:
        return _nothing(text)
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
_JSON_KINDS = frozenset(
    {
        "attached_probes",
        "map",
        "hist",
        "stats",
        "tseries",
        "helper_error",
        "lost_events",
        "skipped_events",
        "time",
    }
    | {"printf", "cat", "join", "syscall", "value", "errorf"}
)


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
    if kind == "attached_probes":
        probes = data.get("probes") if isinstance(data, dict) else None
        output.attached = probes if isinstance(probes, int) else None
    elif kind == "map":
        _take_map(output, data)
    elif kind in ("hist", "stats", "tseries"):
        output.problem("histogram", _HISTOGRAM.format(kind))
    elif kind in ("lost_events", "skipped_events"):
        output.problem("lost_events", f"The tracer lost events: {json.dumps(data)[:200]}.")
    elif kind == "helper_error":
        message = json.dumps(document)[:300]
        reason = "map_full" if _MAP_FULL.search(message) or '"retcode": -7' in message else "tracer_error"
        output.problem(reason, f"A helper of the tracer failed in the kernel: {message}.")


def _take_map(output: _Output, data: object) -> None:
    if not isinstance(data, dict):
        output.problem("malformed", "A map line of the tracer holds no map.")
        return
    for name, content in data.items():
        rows = content if isinstance(content, dict) else {"": content}
        for key, value in rows.items():
            if isinstance(value, bool) or not isinstance(value, int):
                output.problem("histogram", _HISTOGRAM.format(name))
                break
            output.row(str(name).removeprefix("@"), str(key), value)


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
    elif _MAP_FULL.search(text) and "map" in text.lower():
        output.problem("map_full", f"The tracer says: {text[:200]}.")
    else:
        return False
    return True


def _nothing(text: str) -> Finding:
    for line in text.splitlines():
        found = _ERROR.match(lines.clean(line).strip())
        if found and not any(word in line for word in _HARMLESS):
            return _failed("tracer_error", f"bpftrace refused: {found.group(1)[:200]}")
    if text.strip():
        return _failed("malformed", "The text holds neither a map nor a notice of bpftrace.")
    return _failed("no_output", "bpftrace printed nothing at all.")


def _failed(reason: str, detail: str, mode: str = "text", line: int = 1) -> Finding:
    return Finding(tool="bpftrace", mode=mode, status="failed", reason=reason, detail=detail, line=line)


def _judge(output: _Output) -> Finding:
    if output.problems:
        reason, detail = min(output.problems, key=lambda problem: _GRAVITY.index(problem[0]))
        return Finding(
            tool="bpftrace",
            mode=output.mode,
            status="invalid",
            reason=reason,
            detail=detail,
            line=output.line,
        )
    names = [name for name in output.rows if name not in _WORKING_MAPS]
    if not names:
        return _failed(
            "tracer_killed",
            "There is no map of system calls: the tracer was killed before it printed, or nothing it waited for happened.",
            output.mode,
            output.line,
        )
    calls, problem = _merge(output, names)
    if problem:
        return Finding(
            tool="bpftrace",
            mode=output.mode,
            status="invalid",
            reason="malformed",
            detail=problem,
            line=output.line,
        )
    return Finding(
        tool="bpftrace",
        mode=output.mode,
        status="valid",
        parameters={"maps": tuple(sorted(f"@{name}" for name in names))},
        calls=tuple(calls),
        line=output.line,
    )


_GRAVITY = ("histogram", "lost_events", "map_full", "tracer_error", "malformed", "truncated")


def _merge(output: _Output, names: list[str]) -> tuple[list[CallCount], str]:
    """One row per key, with the count of one map and the time of another; or the sentence that says why not."""
    counts = [name for name in names if name not in _TIME_MAPS]
    if len(counts) > 1:
        if "total" not in counts:
            shown = ", ".join(f"@{name}" for name in counts)
            return (
                [],
                f"There are several maps ({shown}) and none is called @total: which one counts is not known.",
            )
        counts = ["total"]
    merged: dict[tuple[str | None, int | None, str | None, int | None], list[int | None]] = {}
    for name in counts + [name for name in names if name in _TIME_MAPS]:
        place = 1 if name in _TIME_MAPS else 0
        for key, value in output.rows[name].items():
            parts = split_key(key)
            if parts is None:
                return [], f"The key “{key[:80]}” of @{name} names no system call."
            if value < 0:
                return [], f"The value of “{key[:80]}” in @{name} is negative."
            pair = merged.setdefault(parts, [None, None])
            if pair[place] is not None:
                return [], f"The key “{key[:80]}” of @{name} is there twice."
            pair[place] = value
    rows = [
        CallCount(comm=comm, number=number, syscall=syscall, calls=calls, time_ns=time_ns, pid=pid)
        for (comm, number, syscall, pid), (calls, time_ns) in merged.items()
    ]
    return rows, ""


def split_key(key: str) -> tuple[str | None, int | None, str | None, int | None] | None:
    """Thread name, system-call number, system-call name, process id of one map key; None if it names no call.

    The parts may stand in any order. The thread name may itself hold commas, spaces, slashes and colons; so the
    system call and the process id are looked for at both ends of the key and what is left is the name.
    """
    parts = [(part, part.strip()) for part in key.split(",")]
    syscall: str | None = None
    for index, (_, part) in enumerate(parts):
        found = _SYSCALL.match(part)
        if found:
            syscall = f"sys_enter_{found.group(1)}"
            del parts[index]
            break
    front, back = _edge_numbers([part for _, part in parts])
    numbers = front + back
    name = ",".join(raw for raw, _ in parts[len(front) : len(parts) - len(back)]).strip() or None
    if syscall is not None:
        if len(numbers) > 1:
            return None
        return name, None, syscall, numbers[0] if numbers else None
    if not numbers or len(numbers) > 2:
        return None
    # Two numbers are a process and a call, and scripts write the call last.
    return name, numbers[-1], None, numbers[0] if len(numbers) == 2 else None


def _edge_numbers(parts: list[str]) -> tuple[list[int], list[int]]:
    """The whole numbers at the front and at the back of a key."""
    back: list[int] = []
    while len(back) < len(parts) and _NUMBER.match(parts[-1 - len(back)]):
        back.insert(0, int(parts[-1 - len(back)]))
    rest = parts[: len(parts) - len(back)]
    front: list[int] = []
    while len(front) < len(rest) and _NUMBER.match(rest[len(front)]):
        front.append(int(rest[len(front)]))
    return front, back


def iterate(text: str) -> Iterator[Finding]:
    """Every tracer output in a text, one after another."""
    recogniser = BpftraceRecogniser()
    for number, line in enumerate(text.splitlines(), 1):
        yield from recogniser.feed(lines.clean(line), number)
    yield from recogniser.close()
