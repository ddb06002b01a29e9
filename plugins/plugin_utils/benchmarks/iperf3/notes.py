"""Reads the commands of iperf3 that people write into notes."""

from __future__ import annotations

from ..command_line import Command, NotACommand, long_names, number, options, whole

VALUES = long_names(
    "c=client p=port f=format i=interval F=file A=affinity B=bind I=pidfile b=bitrate t=time n=bytes "
    "k=blockcount l=length P=parallel w=window C=congestion M=set-mss L=flowlabel X=xbind S=tos O=omit "
    "T=title bandwidth=bitrate linux-congestion=congestion dscp cport bind-dev logfile extra-data fq-rate "
    "connect-timeout idle-timeout rcv-timeout snd-timeout pacing-timer"
)
"""Options that take a value: short or old name to the long one."""
FLAGS = frozenset(
    long_names(
        "s server 1 one-off J json V verbose d debug D daemon u udp R reverse bidir Z zerocopy N no-delay 4 6 version4 "
        "version6 json-stream get-server-output udp-counters-64bit repeating-payload forceflush dont-fragment sctp"
    )
)
"""Options that take no value."""


def read_command(argv: tuple[str, ...]) -> Command | None:
    """The command, None for words that are none of iperf3 or of a client without a server."""
    try:
        found = list(options(argv[1:], VALUES, FLAGS))
    except NotACommand:
        return None
    given = {option.name: option.value for option in found}
    if "s" in given or "server" in given:
        return Command("iperf3", "server", argv, given.get("bind"), None, whole(given.get("port")))
    if not given.get("client"):
        return None
    used = {"client", "port", "bind", "J", "json", "time", "parallel", "u", "udp", "bitrate", "length"}
    used |= {"window", "omit", "R", "reverse", "congestion", "Z", "zerocopy"}
    endless = "bytes" in given or "blockcount" in given
    parameters = {
        "seconds": None if endless else number(given.get("time"), 10),
        "parallel": number(given.get("parallel"), 1),
        "protocol": "udp" if {"u", "udp"} & set(given) else "tcp",
        "bitrate": given.get("bitrate") or "",
        "length": given.get("length") or "",
        "window": given.get("window") or "",
        "omit_seconds": number(given.get("omit"), 0),
        "reverse": bool({"R", "reverse"} & set(given)),
        "congestion": given.get("congestion") or "",
        "zerocopy": bool({"Z", "zerocopy"} & set(given)),
        "extra_args": [word for option in found if option.name not in used for word in option.words],
    }
    return Command("iperf3", "client", argv, given["client"], given.get("bind"), whole(given.get("port")), parameters)
