# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""What may be said on a control connection: the kinds of messages, and the body that says one.

A body is lines "name value", the value one JSON scalar: nothing in it can nest. A name with dots stands for a dict in a
dict. Every kind of message has its names and types (``KINDS``) and its largest size.
"""

from __future__ import annotations

import json
import math
import re

from ansible_collections.pairbench.lab.plugins.module_utils._control.peer import PeerUnfit

DETAIL_CHARS = 4000
MESSAGE_BYTES = 64 << 10
OBSERVATION_BYTES = 4 << 20  # a tracer's map, full (tracer.MAP_KEYS), of calls and of times

_MOST_LINES = 64
_NAME = re.compile(r"[a-z_]{1,32}(?:\.[a-z_]{1,32}){0,2}")
_SCALAR = re.compile(r'"[^\n]*"|-?[0-9]{1,18}(?:\.[0-9]{1,20})?(?:e[+-]?[0-9]{1,3})?|true|false|null')


def _text(most):
    return lambda value: isinstance(value, str) and len(value) <= most


def _or_none(check):
    return lambda value: value is None or check(value)


def _flag(value):
    return isinstance(value, bool)


def _whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value):
    return _whole(value) or isinstance(value, float)


def _fields(**checks):
    def check(value):
        return (
            isinstance(value, dict) and value.keys() == checks.keys()
            and all(checks[name](part) for name, part in value.items())
        )

    return check


_WORD = _text(1000)
_PROBLEM = _or_none(_fields(reason=_WORD, detail=_text(DETAIL_CHARS)))
_OBSERVATION = _fields(
    run_id=_WORD, guest=_WORD, hypervisor=_WORD, pid=_whole, comm=_WORD, command=_text(DETAIL_CHARS), arch=_WORD, mode=_WORD,
    probe=_WORD, version=_or_none(_WORD), output=_text(OBSERVATION_BYTES), stderr=_text(OBSERVATION_BYTES),
    returncode=_or_none(_whole), started_at=_or_none(_WORD), ended_at=_or_none(_WORD), seconds=_or_none(_number),
    problem=_PROBLEM,
)
KINDS = {
    "ready": _fields(kind=_WORD, run_id=_WORD, problem=_PROBLEM),
    "done": _fields(kind=_WORD, run_id=_WORD, measured=_flag),
    "over": _fields(kind=_WORD, run_id=_WORD),
    "arm": _fields(kind=_WORD, run_id=_WORD),
    "armed": _fields(kind=_WORD, run_id=_WORD, problem=_PROBLEM),
    "disarm": _fields(kind=_WORD, run_id=_WORD),
    "disarmed": _fields(kind=_WORD, run_id=_WORD),
    "observed": _fields(kind=_WORD, run_id=_WORD, observation=_OBSERVATION),
}


def largest(kind):
    """The most bytes that the body of a message of this kind may have."""
    return OBSERVATION_BYTES if kind == "observed" else MESSAGE_BYTES


def encode(message):
    """The body of a message. A long ``detail`` is cut, and what is no character (in odd file names) becomes ?."""
    return b"".join(_lines(message, ""))


def _lines(fields, prefix):
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _lines(value, prefix + name + ".")
            continue
        if isinstance(value, str):
            value = value.encode("utf-8", "replace").decode("utf-8")
            value = value[:DETAIL_CHARS] if name == "detail" else value
        yield ("%s%s %s\n" % (prefix, name, json.dumps(value))).encode("ascii")


def decode(body):
    """The message that a body says. Raises PeerUnfit when it says none."""
    try:
        message = _nested(body)
    except ValueError as error:
        raise PeerUnfit("the other end sent something that is not a message: %s" % error) from error
    kind = message.get("kind")
    if not isinstance(kind, str) or kind not in KINDS or not KINDS[kind](message):
        raise PeerUnfit("the other end sent a message of no known kind or shape")
    return message


def _nested(body):
    lines = body.decode("ascii").split("\n", _MOST_LINES)
    if lines.pop():
        raise ValueError("it has more lines than any message, or its last line does not end")
    message = {}
    for line in lines:
        name, _space, text = line.partition(" ")
        if not _NAME.fullmatch(name):
            raise ValueError("a name in it is no name")
        *path, last = name.split(".")
        place = message
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise ValueError("a name in it is both a value and a dict")
        if last in place:
            raise ValueError("a name in it comes twice")
        place[last] = _scalar(text)
    return message


def _scalar(text):
    if not _SCALAR.fullmatch(text):
        raise ValueError("a value in it is neither a text nor a number, true, false or null")
    value = json.loads(text)
    if isinstance(value, str):
        value.encode("utf-8")  # half a surrogate pair is no character: it could be written to no file
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number in it is not finite")
    return value
