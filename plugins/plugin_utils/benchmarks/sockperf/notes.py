"""Reads the commands of sockperf that people write into notes."""

from __future__ import annotations

from collections.abc import Mapping

from ..command_line import Command, NotACommand, long_names, number, options, whole

MODES: Mapping[str, str] = {
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
VALUES = long_names(
    "i=ip p=port m=msg-size t=time n=number-of-packets b=burst f=file F=iomux-type r=range mps reply-every "
    "client_ip client_port full-log mc-rx-if mc-tx-if sender-affinity receiver-affinity histogram tos "
    "timeout pre-warmup-wait"
)
"""Options that take a value: short name to the long one."""
FLAGS = frozenset(
    long_names(
        "d debug tcp full-rtt nonblocked no-rdtsc tcp-avoid-nodelay increase_output_precision set-sock-accl dontwarmup "
        "dummy-send"
    )
)
"""Options that take no value."""


def read_command(argv: tuple[str, ...]) -> Command | None:
    """The command, None for words that are none of sockperf."""
    mode = MODES.get(argv[1]) if len(argv) > 1 else None
    if mode is None:
        return None
    try:
        found = list(options(argv[2:], VALUES, FLAGS))
    except NotACommand:
        return None
    given = {option.name: option.value for option in found}
    address, port = given.get("ip"), whole(given.get("port"))
    if mode == "server":
        return Command("sockperf", "server", argv, address, None, port)
    used = {"ip", "port", "client_ip", "time", "msg-size", "tcp", "mps", "full-rtt"}
    parameters = {
        "seconds": None if "number-of-packets" in given else number(given.get("time"), 1),
        "message_bytes": number(given.get("msg-size"), 14),
        "protocol": "tcp" if "tcp" in given else "udp",
        "mode": mode,
        "mps": number(given.get("mps"), ""),
        "full_rtt": "full-rtt" in given,
        "extra_args": [word for option in found if option.name not in used for word in option.words],
    }
    return Command("sockperf", "client", argv, address, given.get("client_ip"), port, parameters)
