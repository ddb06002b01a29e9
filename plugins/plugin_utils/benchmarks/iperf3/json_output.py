"""iperf3's JSON output: one document (``-J``), or one event a line (``--json-stream``).

:func:`load` finds the document in whatever surrounds it, :func:`parse_document` judges it, and
:class:`JsonRecogniser` finds any number of them in a stream of lines.

Differences between versions that are evened out here: ``--bidir`` of 3.7 to 3.10.1 writes its sums twice
under one name (the second is renamed as 3.11 and later name it); UDP up to 3.10.1 has one sum with the
sender's bytes and the receiver's losses; an end that did not measure a figure writes 0, which is left out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from statistics import median_high
from typing import Any

from ...model import JsonObject, Side
from ...parsing.finding import Finding, Recogniser
from ...parsing.stall import Interval
from .measured import Datagrams, Direction, Measured, Problem, classify_error, to_finding
from .text_output import receivers_datagrams

REVERSE_SUFFIX = "_bidir_reverse"

# Settings that servers or versions up to 3.13 write twice, at last as they are used: no figure is lost.
_HARMLESS_DUPLICATES = frozenset({"sock_bufsize", "sndbuf_actual", "rcvbuf_actual", "target_bitrate"})
_ENDS_OWN = frozenset({"streams", "cpu_utilization_percent", "sender_tcp_congestion", "receiver_tcp_congestion"})
_NEVER_ENDS_OWN = frozenset({"bytes", "seconds", "bits_per_second", "packets"})
"""Keys of the sums and streams. Loose in the closing part they come of a sum whose first line is missing."""
_SUM_TOLERANCE = 0.001
"""Share by which a sum may differ from what it is the sum of; every version adds exactly."""
_RATE_TOLERANCE = 0.02
_OLD_RATE_TOLERANCE_SECONDS = 0.2
"""The only sum of UDP up to 3.10.1 has the sender's rate beside the receiver's seconds."""
_INTERVALS_TOLERANCE = 0.1
"""Share by which all intervals may differ from the whole: what moves after the last one is in none."""
_EVENTS = frozenset({"start", "interval", "end", "error", "server_output_text", "server_output_json"})

_DOCUMENT_KEYS = r'"(?:start|intervals|end|error|title|extra_data)"\s*:'
_OPENING_ALONE = re.compile(r"[^\"{}\[\]]*(\{)\s*$")
_OPENING_WITH_KEY = re.compile(r'\{\s*(?:"event"\s*:|' + _DOCUMENT_KEYS + ")")
_FIRST_KEY = re.compile(r"\s*" + _DOCUMENT_KEYS)
_NEW_DOCUMENT = re.compile(r'\s*"(?:start"\s*:\s*\{|(?:intervals|error|title|extra_data)"\s*:)')
_NEW_EVENT = re.compile(r'\{\s*"event"\s*:')
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}]')
_PLAIN_BRACES = re.compile(r'\s*(?:"[^"{}\\]*"\s*:)?[\s\[\]{},]*$')
"""A line whose braces are all outside of strings: nearly every line that has any."""
_JSON_LINE = re.compile(
    r'\s*(?:["{}\],]|\[\s*(?:$|[\]{"\[])|(?:-?\d[\d.eE+-]*|true|false|null|-?nan|-?inf)[\s,\]}]*$|$)'
)
_BARE_NAN = re.compile(r'("(?:[^"\\]|\\.)*")|-?\b(?:nan|inf(?:inity)?)\b', re.IGNORECASE)
_EARLY_KEYS = re.compile(r'"(?:connected|version|cpu_utilization_percent|streams)"')
_EARLY_LINES = 100
"""One of these keys stands in the first lines of every document of iperf3, with its keys sorted too."""
_WHOLE = re.compile(r"\{\n\t*" + _DOCUMENT_KEYS)
_OTHER_LINE = re.compile(r'\n(?!\t*(?:"[^"]*":\t|[}\]])|\n*\Z)')
"""The start of a line that ``-J`` does not print behind its first: neither ``"key":`` and a tab, nor a closing bracket."""
_WORDS_FOR_OTHERS = ("[0m", ":  ")
"""What a text holds where some of its lines may mean more than JSON: colours, and titles before lines."""
_FOREIGN_LINES = 20
"""Lines inside a document that cannot be JSON (warnings) before the document is given up as cut off."""


@dataclass(frozen=True)
class Loaded:
    """One document found: as far as it could be read, what is wrong with it, and the line it starts at."""

    document: JsonObject | None
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    line: int = 1


def load(text: str) -> tuple[JsonObject | None, tuple[Problem, ...]]:
    """Find iperf3's JSON document in ``text`` and return it with what is wrong with it.

    The document is ``None`` when there is none. Events of ``--json-stream`` come back as one document with
    ``start``, ``intervals`` and ``end``. The second of doubled sums has :data:`REVERSE_SUFFIX` in its name.
    Never raises.
    """
    loaded = _load(text)
    return loaded.document, loaded.problems


def parse_document(text: str) -> Finding:
    """Judge the one iperf3 JSON document that ``text`` holds, whatever stands around it.

    Text without a document is a failed run too: what iperf3 said instead decides the reason.
    """
    return to_finding(measure(_load(text)))


def _load(text: str) -> Loaded:
    whole = _whole(text)
    if whole is not None:
        return whole
    found = _line_by_line(text)
    runs = [one for one in found if not _is_idle_server(one.document)]
    found = runs or found
    complete = [one for one in found if not one.problems]
    if len(complete) > 1:
        problem = Problem("malformed", f"{len(complete)} documents were found where one run writes one.")
        return replace(complete[0], problems=(problem,))
    if complete:
        return complete[0]
    if found:
        return found[0]
    return Loaded(None, (_no_document(text),))


def _line_by_line(text: str) -> list[Loaded]:
    scanner = _Scanner(strict=False)
    found: list[Loaded] = []
    for number, line in enumerate(text.splitlines(), start=1):
        found += scanner.feed(line, number)
    return found + scanner.close()


def whole_output(text: str) -> list[Finding] | None:
    """The run in a text that is one document of ``-J`` and nothing else; None where its lines have to be read.

    It is what both recognisers of iperf3 together find in the lines of the text, and no line is given to either.
    """
    loaded = _whole(text)
    if loaded is None:
        return None
    return [to_finding(measure(loaded))] if _is_ours(loaded.document or {}) else []


def _whole(text: str) -> Loaded | None:
    """The document that a text is; None where its lines might say anything else.

    In a document of ``-J`` every line after the first begins with a key or a closing bracket. Such a line is never wrapped
    in anything (``parsing.lines``), never begins another document, and is never one of iperf3's texts, whatever stands in
    its strings; and what JSON itself allows keeps line ends out of strings. So nothing is left to look for line by line.
    """
    if not text.isascii() or not _WHOLE.match(text) or not _EARLY_KEYS.search(text, 0, 2 * _EARLY_LINES):
        return None
    if "\r" in text or any(word in text for word in _WORDS_FOR_OTHERS) or _OTHER_LINE.search(text):
        return None
    try:
        loaded = _parsed(text, 1)
    except (ValueError, RecursionError):
        return None
    return None if _is_event(loaded.document or {}) else loaded


def _no_document(text: str) -> Problem:
    if not text.strip():
        return Problem("no_output", "iperf3 printed nothing.")
    message = re.search(r"iperf3?: (?:error|interrupt)\b.*", text)
    if message is not None:
        return Problem(classify_error(message.group()), message.group().strip())
    if "{" in text:
        return Problem("truncated", "The JSON document stops at its beginning.")
    return Problem("malformed", "There is no JSON document in the output.")


class JsonRecogniser(Recogniser):
    """Finds iperf3's JSON in lines, one finding a run; other programs' JSON is passed over."""

    def __init__(self) -> None:
        """Start between documents."""
        self._scanner = _Scanner(strict=True)
        self._found_any = False

    def feed(self, line: str, number: int) -> Iterable[Finding]:
        """Take the next cleaned line; give back the runs that it completes."""
        found = self._scanner.feed(line, number)
        return self._judged(found) if found else ()

    def close(self, cut_line: int = 0) -> Iterable[Finding]:
        """Give back the run that the text ends in, if it ends in one."""
        return self._judged(self._scanner.close())

    def _judged(self, found: list[Loaded]) -> list[Finding]:
        """Judge documents; a server's that was stopped between runs is none of its runs."""
        findings = []
        for loaded in found:
            if not (self._found_any and _is_idle_server(loaded.document)):
                findings.append(to_finding(measure(loaded)))
            self._found_any = True
        return findings


@dataclass
class _Scanner:
    """Cuts lines into documents and joins the events of one streamed run; holds at most one run."""

    strict: bool
    """Report only what is certainly iperf3's, for text that may hold other programs' JSON."""
    _lines: list[str] = field(default_factory=list)
    _first_line: int = 1
    _depth: int = 0
    _confirmed: bool = False
    _lone_brace: int | None = None
    _foreign: int = 0
    _streamed: _Streamed | None = None

    def feed(self, line: str, number: int) -> list[Loaded]:
        """Take one line; return the documents that are complete with it."""
        if not self._lines:
            return self._open(line, number) if "{" in line else []
        if not self._confirmed and not _FIRST_KEY.match(line):
            self._reset()
            return self.feed(line, number)
        self._confirmed = True
        if self._is_new_document(line):
            return self._restart(line, number)
        if line.startswith("```"):
            return self._finish()
        if not _JSON_LINE.match(line):
            self._foreign += 1
            return self._finish() if self._foreign > _FOREIGN_LINES else []
        if self.strict and len(self._lines) == _EARLY_LINES and not self._is_likely_ours():
            self._reset()
            return []
        return self._append(line, number)

    def _is_likely_ours(self) -> bool:
        """Tell whether another program's document, which may be as large as the file, need not be kept."""
        return any(_EARLY_KEYS.search(line) for line in self._lines)

    def close(self) -> list[Loaded]:
        """Return what is left: a document without its end, a streamed run."""
        found = self._finish() if self._lines and self._confirmed else []
        self._reset()
        return found + self._end_stream()

    def _open(self, line: str, number: int) -> list[Loaded]:
        begin = self._opening(line, number, 0)
        return [] if begin is None else self._append(line, number, begin)

    def _opening(self, line: str, number: int, begin: int) -> int | None:
        """Return where a document begins in the line from ``begin`` on."""
        start = _OPENING_WITH_KEY.search(line, begin)
        alone = None if start else _OPENING_ALONE.match(line, begin)
        self._first_line, self._confirmed = number, start is not None
        return start.start() if start else (alone.start(1) if alone else None)

    def _append(self, line: str, number: int, begin: int = 0) -> list[Loaded]:
        """Take a line from ``begin`` on; where files lack their last line ending several documents share one."""
        self._lone_brace = len(self._lines) if line.strip() == "{" and self._lines else None
        if "{" not in line and "}" not in line:
            self._lines.append(line)
            return []
        if _PLAIN_BRACES.match(line) and self._depth > line.count("}"):
            self._depth += line.count("{") - line.count("}")
            self._lines.append(line)
            return []
        found: list[Loaded] = []
        place: int | None = begin
        while place is not None:
            end = self._end_of_document(line, place)
            self._lines.append(line[place:end])
            if end is None:
                return found
            found += self._finish()
            place = self._opening(line, number, end)
        return found

    def _end_of_document(self, line: str, begin: int) -> int | None:
        for token in _TOKEN.finditer(line, begin):
            if token.group() == "{":
                self._depth += 1
            elif token.group() == "}":
                self._depth -= 1
                if self._depth == 0:
                    return token.end()
        return None

    def _is_new_document(self, line: str) -> bool:
        return _NEW_EVENT.match(line) is not None or (
            self._lone_brace is not None and _NEW_DOCUMENT.match(line) is not None
        )

    def _restart(self, line: str, number: int) -> list[Loaded]:
        """Close a document that lacks its end because another one begins."""
        if _NEW_EVENT.match(line):
            found = self._finish()
            return found + self._open(line, number)
        del self._lines[self._lone_brace :]
        found = self._finish()
        self._first_line, self._confirmed = number - 1, True
        return found + self._append("{", number - 1) + self._append(line, number)

    def _finish(self) -> list[Loaded]:
        text, line, complete = "\n".join(self._lines), self._first_line, self._depth == 0
        self._reset()
        loaded = _read(text, line) if complete else _read_cut_off(text, line)
        return self._take(loaded)

    def _reset(self) -> None:
        self._lines = []
        self._depth, self._foreign = 0, 0
        self._confirmed, self._lone_brace = False, None

    def _take(self, loaded: Loaded) -> list[Loaded]:
        document = loaded.document or {}
        if _is_event(document):
            return self._take_event(document, loaded)
        if self.strict and not _is_ours(document):
            return []
        # --json-stream-full-output repeats the run as one document: the whole one of the two is taken.
        if self._streamed is not None and self._streamed.is_same_run(document):
            if loaded.problems and self._streamed.has_end:
                return []
            loaded = replace(loaded, line=self._streamed.line)
            self._streamed = None
        return [*self._end_stream(), loaded]

    def _take_event(self, event: JsonObject, loaded: Loaded) -> list[Loaded]:
        found: list[Loaded] = []
        if event["event"] == "start" or self._streamed is None:
            found = self._end_stream()
            self._streamed = _Streamed(loaded.line)
        self._streamed.take(event, loaded)
        return found

    def _end_stream(self) -> list[Loaded]:
        streamed, self._streamed = self._streamed, None
        return [] if streamed is None else [streamed.loaded()]


@dataclass
class _Streamed:
    """The events of one ``--json-stream`` run, put together as the document they replace."""

    line: int
    _document: JsonObject = field(default_factory=lambda: {"start": {}, "intervals": []})
    _problems: list[Problem] = field(default_factory=list)

    def take(self, event: JsonObject, loaded: Loaded) -> None:
        """Add one event; a cut-off event adds its problem only."""
        self._problems += loaded.problems
        if loaded.problems:
            return
        name, data = event["event"], event.get("data")
        if name == "interval":
            self._document["intervals"].append(data)
        else:
            self._document[name] = data

    @property
    def has_end(self) -> bool:
        """Tell whether the closing event has come."""
        return "end" in self._document

    def is_same_run(self, document: JsonObject) -> bool:
        """Tell whether ``document`` is this run written once more."""
        mine, other = _dict(self._document.get("start")), _dict(document.get("start"))
        return bool(mine) and mine.get("cookie") == other.get("cookie")

    def loaded(self) -> Loaded:
        """Return the run as one document."""
        problems = list(self._problems)
        if "end" not in self._document and "error" not in self._document and not problems:
            problems.append(Problem("truncated", "The stream of events stops before its end."))
        return Loaded(self._document, tuple(problems), (), self.line)


def _is_event(document: JsonObject) -> bool:
    event = document.get("event")
    return isinstance(event, str) and event in _EVENTS


def _is_idle_server(document: JsonObject | None) -> bool:
    """Tell whether this is what a server writes when it is stopped while it waits for a client."""
    start, error = _dict((document or {}).get("start")), (document or {}).get("error")
    stopped = (
        isinstance(error, str) and "the server has terminated" in error and error.startswith("interrupt")
    )
    return stopped and not start.get("connected") and "accepted_connection" not in start


def _is_ours(document: JsonObject) -> bool:
    start = document.get("start")
    if not isinstance(start, dict):
        return False
    return "test_start" in start or "connected" in start or str(start.get("version", "")).startswith("iperf")


def _read(text: str, line: int) -> Loaded:
    try:
        return _parsed(text, line)
    except ValueError:
        try:
            return _parsed(_BARE_NAN.sub(lambda found: found[1] or "null", text), line)
        except (ValueError, RecursionError) as error:
            return Loaded(
                _salvage(text), (Problem("malformed", f"The document is not JSON: {error}."),), (), line
            )
    except RecursionError:
        return Loaded(
            None, (Problem("malformed", "The document is nested too deeply to be iperf3's."),), (), line
        )


def _parsed(text: str, line: int) -> Loaded:
    """A text that is one document. Raises ValueError where it is not JSON, and RecursionError."""
    doubled: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> JsonObject:
        found = dict(items)
        return found if len(found) == len(items) else _merge(items, doubled)

    document = json.loads(text, object_pairs_hook=pairs)
    problems = tuple(
        Problem("duplicate_keys", f'The key "{key}" is written twice and no rule says which one counts.')
        for key in sorted(set(doubled))
    )
    return Loaded(document, problems, (), line)


def _read_cut_off(text: str, line: int) -> Loaded:
    return Loaded(
        _salvage(text), (Problem("truncated", "The JSON document stops before its end."),), (), line
    )


def _merge(items: list[tuple[str, Any]], doubled: list[str]) -> JsonObject:
    """Make one object of key-value pairs, keeping both directions of a doubled sum."""
    merged: JsonObject = {}
    for key, value in items:
        if key not in merged or key in _HARMLESS_DUPLICATES or merged[key] == value:
            merged[key] = value
        elif (
            key.startswith("sum")
            and _are_both_directions(merged[key], value)
            and key + REVERSE_SUFFIX not in merged
        ):
            merged[key + REVERSE_SUFFIX] = value
        else:
            doubled.append(key)
    return merged


def _are_both_directions(first: Any, second: Any) -> bool:
    return [_dict(first).get("sender"), _dict(second).get("sender")] in ([True, False], [False, True])


_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def _salvage(text: str) -> JsonObject | None:
    """Read as much of a cut-off document as is certain: what follows the last complete value is left out."""
    closers: list[str] = []
    good: tuple[int, str] | None = None
    for piece in _PIECE.finditer(text):
        mark = piece.group()
        if mark == ",":
            good = (piece.start(), "".join(reversed(closers)))
        elif mark in "{[":
            closers.append("}" if mark == "{" else "]")
        elif mark in "}]" and closers:
            closers.pop()
            good = (piece.end(), "".join(reversed(closers)))
    if good is None:
        return None
    try:
        document = json.loads(text[: good[0]] + good[1], object_pairs_hook=lambda items: _merge(items, []))
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def measure(loaded: Loaded) -> Measured:
    """Bring one document into the form that is judged. Anything missing or of the wrong type is absent."""
    document = loaded.document or {}
    start, end = _dict(document.get("start")), _dict(document.get("end"))
    test = _dict(start.get("test_start"))
    error = document.get("error")
    side = _side(start, error)
    protocol = test.get("protocol") if isinstance(test.get("protocol"), str) else None
    problems = loaded.problems
    if error is not None and not any(problem.reason == "truncated" for problem in problems):
        message = error if isinstance(error, str) else json.dumps(error)
        problems = (Problem(classify_error(message), message), *problems)
    run = Measured(
        side=side,
        version=_version(start),
        protocol=protocol,
        parameters=_parameters(start, test, end, side) | _omitted(document, test),
        ended=bool(end) or (isinstance(document.get("end"), dict) and not problems),
        problems=problems,
        notes=loaded.notes,
        line=loaded.line,
    )
    run = replace(run, **_cpu(end, side), **_streams(start, test, end), **_intervals(document, test))
    run = _with_directions(run, document, end, test)
    return replace(run, disagreements=tuple(_disagreements(document, end, run)))


def _disagreements(document: JsonObject, end: JsonObject, run: Measured) -> Iterator[Problem]:
    """Say what in a document cannot be of one run: misplaced keys, sums of something else, impossible rates."""
    loose = [key for key in document if key.startswith("sum") or key in _ENDS_OWN]
    loose += [key for key in end if key in _NEVER_ENDS_OWN]
    if loose:
        yield Problem("malformed", f'The key "{loose[0]}" stands where iperf3 does not write it: a line is missing.')
    for one in _dicts(document.get("intervals")):
        yield from _interval_disagreements(one, run)
    for name in sorted(key for key in end if key.startswith("sum")):
        yield from _sum_disagreements(name, _dict(end.get(name)), end, run)
    yield from _whole_disagreements(run)


def _interval_disagreements(interval: JsonObject, run: Measured) -> Iterator[Problem]:
    streams = _dicts(interval.get("streams"))
    sums = {key: _dict(value) for key, value in interval.items() if key.startswith("sum")}
    if streams and run.streams_expected is not None and len(streams) != run.streams_expected:
        yield Problem("streams_disagree", f"An interval has {len(streams)} of {run.streams_expected} streams.")
    for one in sums.values():
        mine = streams
        if len(sums) > 1:
            mine = [stream for stream in streams if stream.get("sender") == one.get("sender")]
        yield from _not_the_sum("of an interval", one, mine)
        if len(sums) == 1 and _is_other_direction(one.get("sender"), run):
            yield Problem("malformed", "The intervals are of the other direction than the settings say.")


def _is_other_direction(sent: Any, run: Measured) -> bool:
    """Tell whether an end of a run in one direction sent where it should have received, or the other way round."""
    if not isinstance(sent, bool) or run.side is None or "reverse" not in run.parameters:
        return False
    return sent != ((run.side == "client") != bool(run.parameters["reverse"]))


def _sum_disagreements(name: str, total: JsonObject, end: JsonObject, run: Measured) -> Iterator[Problem]:
    number, rate, seconds = (_positive(total.get(key)) for key in ("bytes", "bits_per_second", "seconds"))
    if number and rate and seconds:
        own = "sum_received" in end or "sum_sent" in end or (run.protocol or "").upper() != "UDP"
        slack = max(_RATE_TOLERANCE * seconds, 0 if own else _OLD_RATE_TOLERANCE_SECONDS)
        if abs(8 * number / rate - seconds) > slack:
            yield Problem("malformed", f'In "{name}" the rate is not the bytes in the seconds beside it.')
    role = "receiver" if name.startswith("sum_received") else "sender"
    streams = _dicts(end.get("streams"))
    parts = [_dict(one.get(role)) or (_dict(one.get("udp")) if role == "sender" else {}) for one in streams]
    parts = [part for part in parts if part]
    if all(any(part.get("sender") is way for part in parts) for way in (True, False)):
        parts = [part for part in parts if part.get("sender") == total.get("sender")]
    yield from _not_the_sum(f'called "{name}"', total, parts)


def _not_the_sum(words: str, total: JsonObject, parts: list[JsonObject]) -> Iterator[Problem]:
    """Compare a sum with its parts; an end that does not know a figure writes 0 in both or in one of them."""
    whole, added = _positive(total.get("bytes")), sum([_positive(part.get("bytes")) or 0 for part in parts])
    if whole and added and abs(whole - added) > _SUM_TOLERANCE * max(whole, added):
        yield Problem(
            "streams_disagree", f"The {len(parts)} streams carried {added:g} B, the sum {words} is {whole:g} B."
        )


def _whole_disagreements(run: Measured) -> Iterator[Problem]:
    for direction in (run.forward, run.backward):
        if direction is None or not direction.intervals or run.side is None:
            continue
        received = direction.receiver_is_local and not direction.received_is_sent
        whole = direction.received_bytes if received else direction.sent_bytes
        moved = sum(one.transferred_bytes for one in direction.intervals)
        if whole and moved and abs(whole - moved) > _INTERVALS_TOLERANCE * max(whole, moved):
            yield Problem("malformed", f"The intervals carried {moved:g} B, the whole run {whole:g} B.")


def _with_directions(run: Measured, document: JsonObject, end: JsonObject, test: JsonObject) -> Measured:
    length = _number(test.get("blksize"))
    udp = (run.protocol or "").upper() == "UDP"
    primary = _direction(end, "", run.side, forward=not _flag(test.get("reverse")), udp=udp)
    second = _direction(end, REVERSE_SUFFIX, run.side, forward=False, udp=udp)
    primary, second = _with_intervals(primary, document, ""), _with_intervals(second, document, REVERSE_SUFFIX)
    if primary is not None and udp and second is None:
        primary, note = _receivers_own(primary, document, run.version, _flag(test.get("reverse")))
        run = replace(run, notes=(*run.notes, note)) if note else run
    if second is None and _flag(test.get("reverse")):
        return replace(run, backward=primary)
    if length is None and udp:
        run = replace(run, notes=(*run.notes, "the length of datagrams is not in the document"))
    return replace(run, forward=primary, backward=second)


def _with_intervals(direction: Direction | None, document: JsonObject, suffix: str) -> Direction | None:
    if direction is None:
        return None
    sums = _dicts([one.get(f"sum{suffix}") for one in _dicts(document.get("intervals"))])
    intervals = (_interval(one) for one in sums if one and not one.get("omitted"))
    return replace(direction, intervals=tuple(one for one in intervals if one is not None))


def _interval(total: JsonObject) -> Interval | None:
    start, end, moved = _number(total.get("start")), _number(total.get("end")), _number(total.get("bytes"))
    if start is None or end is None or moved is None or moved < 0:
        return None
    counts = _datagrams(total)
    return Interval(start, end, moved) if counts is None else Interval(start, end, moved, counts.lost, counts.packets)


def _direction(
    end: JsonObject, suffix: str, side: Side | None, *, forward: bool, udp: bool
) -> Direction | None:
    sent, received = _dict(end.get(f"sum_sent{suffix}")), _dict(end.get(f"sum_received{suffix}"))
    receiver_is_local = (side == "server") if forward else (side == "client")
    sender_is_local = side is not None and not receiver_is_local
    if not sent and not received:
        return _old_udp_direction(_dict(end.get(f"sum{suffix}")), side, receiver_is_local) if udp else None
    sent_bytes = _positive(sent.get("bytes"))
    return Direction(
        sent_bytes=sent_bytes,
        sent_bps=_positive(sent.get("bits_per_second")),
        received_bytes=_positive(received.get("bytes")),
        received_bps=_positive(received.get("bits_per_second")),
        seconds=_positive((received or sent).get("seconds")),
        retransmits=_number(sent.get("retransmits")) if sent_bytes else None,
        # A server that sends prints its report before the client's figures reach it.
        datagrams=None if side == "server" and sender_is_local else _datagrams(received),
        receiver_is_local=receiver_is_local,
    )


def _old_udp_direction(total: JsonObject, side: Side | None, receiver_is_local: bool) -> Direction | None:
    """Read the only sum of UDP up to 3.10.1: the sender's bytes, the receiver's seconds and losses."""
    if not total:
        return None
    sent_bytes = _positive(total.get("bytes"))
    datagrams = None if side == "server" and not receiver_is_local else _datagrams(total)
    return Direction(
        sent_bytes=sent_bytes,
        sent_bps=_positive(total.get("bits_per_second")),
        seconds=_positive(total.get("seconds")),
        datagrams=datagrams,
        receiver_is_local=receiver_is_local,
        received_is_sent=datagrams is not None,
    )


def _datagrams(total: JsonObject) -> Datagrams | None:
    lost, packets = _number(total.get("lost_packets")), _number(total.get("packets"))
    if lost is None or packets is None or packets <= 0:
        return None
    return Datagrams(lost=lost, packets=packets, jitter_ms=_number(total.get("jitter_ms")))


def _receivers_own(
    direction: Direction, document: JsonObject, version: str | None, reverse: bool
) -> tuple[Direction, str]:
    """Prefer what the receiving server printed itself to what it told the client, where both are here."""
    if reverse or direction.datagrams is None:
        return direction, ""
    server, text = _dict(document.get("server_output_json")), document.get("server_output_text")
    end = _dict(server.get("end"))
    own = _datagrams(_dict(end.get("sum_received")) or _dict(end.get("sum")))
    if own is None and isinstance(text, str):
        own = receivers_datagrams(text)
    if own is None:
        return direction, ""
    if (own.lost, own.packets) == (direction.datagrams.lost, direction.datagrams.packets):
        return direction, ""
    theirs = _version(_dict(server.get("start"))) or "unknown"
    note = (
        f"client ({version}) and server ({theirs}) count losses differently: loss is the server's own count"
    )
    return replace(direction, datagrams=own), note


def _side(start: JsonObject, error: Any) -> Side | None:
    if "connecting_to" in start:
        return "client"
    if "accepted_connection" in start:
        return "server"
    message = error if isinstance(error, str) else ""
    if "connect to server" in message or "server is busy" in message:
        return "client"
    return None


def _version(start: JsonObject) -> str | None:
    version = start.get("version")
    if not isinstance(version, str):
        return None
    return version.removeprefix("iperf3 ").removeprefix("iperf ").strip() or None


def _parameters(start: JsonObject, test: JsonObject, end: JsonObject, side: Side | None) -> JsonObject:
    connected = _dicts(start.get("connected"))
    first = connected[0] if connected else {}
    target = _dict(start.get("connecting_to"))
    local = {"host": first.get("local_host"), "port": first.get("local_port")} if side == "server" else {}
    reverse = _flag(test.get("reverse"))
    two_ways = any(key.endswith(REVERSE_SUFFIX) for key in end) or _flag(test.get("bidir"))
    congestion = end.get("sender_tcp_congestion") or end.get("receiver_tcp_congestion")
    protocol = test.get("protocol")
    shown = {
        "seconds": _positive(test.get("duration")),
        "bytes": _positive(test.get("bytes")),
        "blocks": _positive(test.get("blocks")),
        "parallel": _positive(test.get("num_streams")),
        "protocol": protocol.lower() if isinstance(protocol, str) else None,
        "bitrate": _positive(test.get("target_bitrate")) or _positive(start.get("target_bitrate")),
        "length": _positive(test.get("blksize")),
        "omit": _number(test.get("omit")),
        "reverse": reverse if test else None,
        "bidir": two_ways if test else None,
        "interval": _positive(test.get("interval")),
        "congestion": congestion if isinstance(congestion, str) else None,
        "address": target.get("host") or local.get("host"),
        "port": target.get("port") or local.get("port"),
    }
    if shown["bytes"] or shown["blocks"]:
        shown["seconds"] = None
    return {name: value for name, value in shown.items() if value is not None}


def _omitted(document: JsonObject, test: JsonObject) -> JsonObject:
    """Return the seconds that the intervals show as omitted, where the settings do not say it."""
    if _number(test.get("omit")) is not None:
        return {}
    ends = [
        _positive(total.get("end")) or 0
        for one in _list(document.get("intervals"))
        if (total := _dict(_dict(one).get("sum"))).get("omitted") is True
    ]
    return {"omit": round(max(ends))} if ends else {}


def _cpu(end: JsonObject, side: Side | None) -> dict[str, Any]:
    """Read the processor time of both ends. The far end's is 0 where the report precedes its figures."""
    cpu = _dict(end.get("cpu_utilization_percent"))
    here, there = _positive(cpu.get("host_total")), _positive(cpu.get("remote_total"))
    if side == "client":
        return {"cpu_client": here, "cpu_server": there}
    return {"cpu_client": there, "cpu_server": here} if side == "server" else {}


def _streams(start: JsonObject, test: JsonObject, end: JsonObject) -> dict[str, Any]:
    asked = _number(test.get("num_streams"))
    if asked is None or not end:
        return {}
    two_ways = any(key.endswith(REVERSE_SUFFIX) for key in end) or _flag(test.get("bidir"))
    counts = [len(_list(end.get("streams")))]
    if "connected" in start:
        counts.append(len(_list(start.get("connected"))))
    return {"streams_expected": int(asked) * (2 if two_ways else 1), "streams_seen": min(counts)}


def _intervals(document: JsonObject, test: JsonObject) -> dict[str, Any]:
    """Count the intervals that are measured; ``-i 0`` has one at most and says nothing."""
    sums = _dicts([one.get("sum") for one in _dicts(document.get("intervals"))])
    counted = [one for one in sums if one and not one.get("omitted")]
    asked = _number(test.get("interval"))
    lengths = [seconds for one in counted if (seconds := _positive(one.get("seconds"))) is not None]
    # A busy machine stretches one interval and shortens the next, so the usual length counts.
    length = asked if asked is not None else (median_high(lengths) if lengths else None)
    return {"interval_count": len(counted), "interval_seconds": length} if length else {}


def _dict(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[JsonObject]:
    return [one if isinstance(one, dict) else {} for one in value] if isinstance(value, list) else []


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


_NUMBERS = (int, float)


def _flag(value: Any) -> bool:
    return bool(_number(value)) if not isinstance(value, bool) else value


def _number(value: Any) -> float | None:
    if type(value) not in _NUMBERS:  # true and false are none
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None


def _positive(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and number > 0 else None
