"""System-call counts as bpftrace prints them: text maps and ``-f json`` lines.

Only maps of whole runs are taken: ``@calls``, ``@total``, ``@syscalls`` or ``@`` with counts, and ``@time`` in ns. A map
of intervals is never added in. Whatever says that something was lost makes all counts of the output invalid.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from ..model import Status
from .finding import CallCount, Finding

COUNT_MAPS = frozenset({"@", "@calls", "@total", "@count", "@counts", "@n", "@syscalls"})
TIME_MAPS = frozenset({"@time", "@time_ns", "@total_time"})
TEXT_ROW = re.compile(r"^(@\w*)\[(.*)\]: (-?\d{1,20})$")
TEXT_HISTOGRAM = re.compile(r"^(@\w*)(\[.*\])?:\s*$|^[\[(]\S+, \S+[\])]\s+\d+ \|[@ ]*\|$")
LOST = re.compile(r"^Lost (\d+) events", re.I)
MAP_FULL = re.compile(r"map full|no more space in map|E2BIG|Argument list too long", re.I)
JSON_START = '{"type":'
NUMBER = re.compile(r"[0-9]{1,10}")
TRACEPOINT = re.compile(r"^(?:tracepoint:|t:)?(?:syscalls:)?(sys_(?:enter|exit)_\w+)$")


class _Maps:
    """Rows collected from one output, and what speaks against them."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.rows: dict[tuple[str | None, int | str, int | None], CallCount] = {}
        self.trouble: tuple[str, str] | None = None
        self.notes: list[str] = []

    def blame(self, reason: str, detail: str) -> None:
        self.trouble = self.trouble or (reason, detail)

    def add(self, name: str, key: str, value: Any) -> None:
        if name not in COUNT_MAPS and name not in TIME_MAPS:
            note = f"the map {name} is not one of counts or times and is left out"
            if note not in self.notes:
                self.notes.append(note)
            return
        if not isinstance(value, int) or isinstance(value, bool):
            self.blame("histogram", f"{name} holds something other than one number a call")
            return
        if value < 0:
            self.blame("malformed", f"{name} holds a negative count")
            return
        parsed = _parse_key(key)
        if parsed is None:
            self.blame("malformed", f"the key {key!r} of {name} names no system call")
            return
        comm, call, pid = parsed
        old = self.rows.get((comm, call, pid), _empty_row(comm, call, pid))
        if name in TIME_MAPS:
            new = replace(old, time_ns=value)
        elif old.calls is None:
            new = replace(old, calls=value)
        else:
            self.blame("malformed", f"{call} of {comm} is counted twice")
            return
        self.rows[comm, call, pid] = new

    def finding(self) -> Finding:
        timed = any(row.time_ns is not None for row in self.rows.values())
        status: Status = "valid"
        reason = detail = ""
        if self.trouble is not None:
            status, (reason, detail) = "invalid", self.trouble
        elif not self.rows:
            status, reason, detail = "failed", "no_counts", "the tracer printed no counts, as after a kill"
        # A thread that became the benchmark in the middle of a call has a time but no counted call of that name.
        calls = tuple(row for row in self.rows.values() if row.calls is not None)
        return Finding(
            "bpftrace",
            "time" if timed else "count",
            status,
            reason,
            detail,
            calls=calls if status == "valid" else (),
            notes=tuple(self.notes),
            line=self.line,
        )


def _empty_row(comm: str | None, call: int | str, pid: int | None) -> CallCount:
    if isinstance(call, int):
        return CallCount(comm, number=call, pid=pid)
    return CallCount(comm, syscall=call, pid=pid)


def _parse_key(key: str) -> tuple[str | None, int | str, int | None] | None:
    """Thread name, call and pid from a key's parts in any order.

    A probe is known by its form. Of bare numbers, the last is the call unless a probe is there; another one is a pid. A
    thread name may itself hold the separator, so what is left in the middle is put together again.
    """
    text = key.replace(", ", ",") if "tracepoint:" in key or "sys_enter_" in key else key
    parts = text.split(",") if "," in text else [text]
    separator = ", " if ", " in key else ","
    call: int | str | None = None
    for index, part in enumerate(parts):
        found = TRACEPOINT.match(part.strip())
        if found:
            call = found.group(1)
            parts = parts[:index] + parts[index + 1 :]
            break
    numbers = [index for index in (0, len(parts) - 1) if parts and NUMBER.fullmatch(parts[index].strip())]
    if call is None:
        if not numbers:
            return None
        call = int(parts.pop(numbers[-1]))
        numbers = [index for index in (0, len(parts) - 1) if parts and NUMBER.fullmatch(parts[index].strip())]
    pid = int(parts.pop(numbers[0])) if numbers and len(parts) > 1 else None
    comm = separator.join(parts).strip() if parts else None
    return comm, call, pid


class BpftraceRecogniser:
    """Finds the outputs of bpftrace in a text, line by line."""

    def __init__(self) -> None:
        self._open: _Maps | None = None

    def feed(self, line: str, number: int) -> Iterable[Finding]:
        """Take the next line. Rows of maps belong together until something else than maps is said."""
        text = line.strip()
        if not text:
            return ()
        if text.startswith(JSON_START) or (text.startswith('{"type"') and text.endswith("}")):
            return self._feed_json(text, number)
        if text[0] == "@":
            self._feed_row(text, number)
            return ()
        if self._open is not None and (LOST.match(text) or MAP_FULL.search(text)):
            self._blame_text(text)
            return ()
        return self._finish()

    def close(self) -> Iterable[Finding]:
        """What is left at the end of the text."""
        return self._finish()

    def _finish(self) -> Iterator[Finding]:
        if self._open is not None:
            maps, self._open = self._open, None
            yield maps.finding()

    def _maps(self, number: int) -> _Maps:
        if self._open is None:
            self._open = _Maps(number)
        return self._open

    def _feed_row(self, text: str, number: int) -> None:
        found = TEXT_ROW.match(text)
        if found:
            self._maps(number).add(found.group(1), found.group(2), int(found.group(3)))
        elif TEXT_HISTOGRAM.match(text):
            self._maps(number).blame("histogram", "the trace holds a histogram, which has no counts per call")

    def _blame_text(self, text: str) -> None:
        assert self._open is not None
        if LOST.match(text):
            self._open.blame("lost_events", f"the tracer says: {text}")
        else:
            self._open.blame("map_full", f"the tracer says: {text}")

    def _feed_json(self, text: str, number: int) -> Iterable[Finding]:
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            self._maps(number).blame("truncated", "a line of the tracer's output is cut off")
            return ()
        kind, data = document.get("type"), document.get("data")
        if kind == "attached_probes":
            finished = list(self._finish())
            self._maps(number)
            return finished
        maps = self._maps(number)
        if kind == "map" and isinstance(data, dict):
            for name, value in data.items():
                _add_json(maps, name, value)
        elif kind in ("hist", "lhist", "stats"):
            maps.blame("histogram", f"the trace holds {kind}, which has no counts per call")
        elif kind == "lost_events":
            maps.blame("lost_events", f"the tracer lost events: {json.dumps(data)}")
        elif kind == "helper_error":
            full = MAP_FULL.search(json.dumps(document))
            maps.blame("map_full" if full else "tracer_error", f"the tracer reported: {json.dumps(document)[:200]}")
        elif kind not in ("time", "printf", "cat", "join", "syscall"):
            maps.blame("tracer_error", f"the tracer printed a line of unknown type {kind!r}")
        return ()


def _add_json(maps: _Maps, name: str, value: Any) -> None:
    if not isinstance(value, dict):
        maps.notes.append(f"the map {name} has no keys and is left out")
        return
    for key, count in value.items():
        maps.add(name, key, count)


def parse_trace(text: str) -> Finding:
    """All of one tracer's output as one finding; without any map it is ``failed``."""
    recogniser = BpftraceRecogniser()
    findings = [
        found for number, line in enumerate(text.splitlines(), 1) for found in recogniser.feed(line, number)
    ]
    findings += recogniser.close()
    with_rows = [found for found in findings if found.calls or found.status == "invalid"]
    if len(with_rows) == 1:
        return with_rows[0]
    if with_rows:
        return replace(with_rows[0], status="invalid", reason="malformed", detail="several traces in one output", calls=())
    return findings[0] if findings else _Maps(1).finding()
