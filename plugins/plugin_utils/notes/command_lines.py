"""Reads the benchmark commands that people write into notes and shell histories."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ..model import Side

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

SOCKPERF_MODES: Mapping[str, str] = {
    "server": "server",
    "sr": "server",
    "ping-pong": "ping-pong",
    "pp": "ping-pong",
    "under-load": "under-load",
    "ul": "under-load",
    "throughput": "throughput",
    "tp": "throughput",
    "playback": "playback",
    "pb": "playback",
}


def _long_names(text: str) -> Mapping[str, str]:
    """``c=client`` pairs as short name to long name; a word alone is its own long name."""
    pairs = (item.partition("=") for item in text.split())
    return {name: long or name for name, _, long in pairs}


IPERF3_VALUES = _long_names(
    "c=client p=port f=format i=interval F=file A=affinity B=bind I=pidfile b=bitrate t=time n=bytes "
    "k=blockcount l=length P=parallel w=window C=congestion M=set-mss L=flowlabel X=xbind S=tos O=omit "
    "T=title bandwidth=bitrate linux-congestion=congestion dscp cport bind-dev logfile extra-data fq-rate "
    "connect-timeout idle-timeout rcv-timeout snd-timeout pacing-timer"
)
"""Options of iperf3 that take a value: short or old name to the long one."""

SOCKPERF_VALUES = _long_names(
    "i=ip p=port m=msg-size t=time n=number-of-packets b=burst f=file F=iomux-type r=range mps reply-every "
    "client_ip client_port full-log mc-rx-if mc-tx-if sender-affinity receiver-affinity histogram tos "
    "timeout pre-warmup-wait"
)
"""Options of sockperf that take a value: short name to the long one."""

FLAGS = frozenset(
    _long_names(
        "s server 1 one-off J json V verbose d debug D daemon u udp R reverse bidir Z zerocopy N no-delay 4 "
        "6 version4 version6 json-stream get-server-output udp-counters-64bit repeating-payload forceflush "
        "dont-fragment sctp tcp full-rtt nonblocked no-rdtsc tcp-avoid-nodelay increase_output_precision "
        "set-sock-accl dontwarmup dummy-send"
    )
)
"""Options of either tool that take no value."""


@dataclass(frozen=True)
class Command:
    """One benchmark command as it was written.

    ``address`` is the server's: where it listens or what the client calls. ``client_address`` is what the
    client binds to. ``parameters`` have the names of ``benchmarks``, the tool's own defaults filled in.
    """

    tool: str
    side: Side
    argv: tuple[str, ...]
    address: str | None = None
    client_address: str | None = None
    port: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


def read_command(line: str) -> Command | None:
    """The iperf3 or sockperf command on a line, with or without prompt and wrappers; otherwise ``None``."""
    words = _words(PROMPT.sub("", line, count=1))
    for index, word in enumerate(words):
        tool = PurePosixPath(word).name
        if tool in ("iperf3", "sockperf"):
            argv = tuple(words[index:])
            return _iperf3(argv) if tool == "iperf3" else _sockperf(argv)
        if index == 0 and tool not in WRAPPERS and "=" not in word:
            return None
    return None


def _words(line: str) -> list[str]:
    if "iperf3" not in line and "sockperf" not in line:
        return []
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return []
    for index, word in enumerate(words):
        if SHELL_ENDS.fullmatch(word):
            return words[:index]
    return words


class _NotACommand(ValueError):
    """The words after the tool's name are not its options: prose, or the tool's output."""


def _options(
    words: Sequence[str], values: Mapping[str, str]
) -> Iterator[tuple[str, str | None, tuple[str, ...]]]:
    """Each option as long name (or as written), value and words. Raises `_NotACommand` at anything else."""
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        if not word.startswith("-") or word in ("-", "--"):
            raise _NotACommand(word)
        name, value = _split_option(word, values)
        known = values.get(name) or (name if name in values.values() else None)
        spent: tuple[str, ...] = (word,)
        if known is not None and value is None:
            if index >= len(words):
                raise _NotACommand(word)
            value, spent = words[index], (word, words[index])
            index += 1
        elif (
            known is None
            and value is None
            and name not in FLAGS
            and not "".join(words[index:][:1]).startswith("-")
        ):
            # An option this list does not know takes the word behind it for its value.
            spent = tuple(words[index - 1 : index + 1])
            index += 1
        yield known or name, value, spent


def _split_option(word: str, values: Mapping[str, str]) -> tuple[str, str | None]:
    """``--time=30`` and ``-t30`` as name and value; other words as name alone."""
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        return name, value if equals else None
    if len(word) > 2 and word[1] in values:
        return word[1], word[2:].lstrip("=")
    return word[1:], None


def _iperf3(argv: tuple[str, ...]) -> Command | None:
    try:
        options = list(_options(argv[1:], IPERF3_VALUES))
    except _NotACommand:
        return None
    given = {name: value for name, value, _ in options}
    if "s" in given or "server" in given:
        return Command("iperf3", "server", argv, given.get("bind"), None, _whole(given.get("port")))
    if not given.get("client"):
        return None
    used = {"client", "port", "bind", "J", "json", "time", "parallel", "u", "udp", "bitrate", "length"}
    used |= {"window", "omit", "R", "reverse", "congestion", "Z", "zerocopy"}
    endless = "bytes" in given or "blockcount" in given
    parameters = {
        "seconds": None if endless else _number(given.get("time"), 10),
        "parallel": _number(given.get("parallel"), 1),
        "protocol": "udp" if {"u", "udp"} & set(given) else "tcp",
        "bitrate": given.get("bitrate") or "",
        "length": given.get("length") or "",
        "window": given.get("window") or "",
        "omit_seconds": _number(given.get("omit"), 0),
        "reverse": bool({"R", "reverse"} & set(given)),
        "congestion": given.get("congestion") or "",
        "zerocopy": bool({"Z", "zerocopy"} & set(given)),
        "extra_args": [word for name, _, words in options if name not in used for word in words],
    }
    return Command(
        "iperf3", "client", argv, given["client"], given.get("bind"), _whole(given.get("port")), parameters
    )


def _sockperf(argv: tuple[str, ...]) -> Command | None:
    mode = SOCKPERF_MODES.get(argv[1]) if len(argv) > 1 else None
    if mode is None:
        return None
    try:
        options = list(_options(argv[2:], SOCKPERF_VALUES))
    except _NotACommand:
        return None
    given = {name: value for name, value, _ in options}
    address, port = given.get("ip"), _whole(given.get("port"))
    if mode == "server":
        return Command("sockperf", "server", argv, address, None, port)
    used = {"ip", "port", "client_ip", "time", "msg-size", "tcp", "mps", "full-rtt"}
    parameters = {
        "seconds": None if "number-of-packets" in given else _number(given.get("time"), 1),
        "message_bytes": _number(given.get("msg-size"), 14),
        "protocol": "tcp" if "tcp" in given else "udp",
        "mode": mode,
        "mps": _number(given.get("mps"), ""),
        "full_rtt": "full-rtt" in given,
        "extra_args": [word for name, _, words in options if name not in used for word in words],
    }
    return Command("sockperf", "client", argv, address, given.get("client_ip"), port, parameters)


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None


def _number(text: str | None, default: Any) -> Any:
    """A whole number where it is one; a text that is not stays as it was written."""
    if text is None:
        return default
    whole = _whole(text)
    return text if whole is None else whole
