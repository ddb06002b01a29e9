"""Reads the commands of qperf that people write into notes."""

from __future__ import annotations

from typing import Any

from ..command_line import Command, number, whole
from .output import TESTS

DEFAULT_PORT = 19765
_SHORT = "v vv vc vs vt vu vvc vvs vvt vvu uu un ub D ar1 f1 cp1 lcp1 rcp1 cm1"
_LONG = "debug verbose verbose_conf verbose_stat verbose_time verbose_used verbose_more unify_units unify_nodes"
FLAGS = frozenset([f"-{name}" for name in _SHORT.split()] + [f"--{name}" for name in _LONG.split()])
"""Options that take no value; every other one takes one."""
NAMES = {"--host": "-H", "--listen_port": "-lp", "--time": "-t", "--msg_size": "-m", "--ip_port": "-ip"}


def read_command(argv: tuple[str, ...]) -> Command | None:
    """The command, None for words that are none of qperf, and for several tests in one: their figures need no case."""
    given: dict[str, str] = {}
    others: list[str] = []
    names: list[str] = []
    words = iter(argv[1:])
    for word in words:
        if not word.startswith("-"):
            names.append(word)
            continue
        value = None if word in FLAGS else next(words, None)
        if value is None and word not in FLAGS:
            return None
        if NAMES.get(word, word) in NAMES.values():
            given[NAMES.get(word, word)] = str(value)
        else:
            others += [word] if value is None else [word, value]
    port = whole(given.get("-lp", str(DEFAULT_PORT)))
    address = given.get("-H") or (names.pop(0) if names else None)
    if address is None:
        return Command("qperf", "server", argv, None, None, port)
    tests = [name for name in names if name != "quit"]
    if len(set(tests)) != 1 or tests[0] not in TESTS:
        return None
    return Command("qperf", "client", argv, address, None, port, _parameters(tests, given, others))


def _parameters(tests: list[str], given: dict[str, str], others: list[str]) -> dict[str, Any]:
    """What the options ask for; the size of a message differs between tests where none is given."""
    seconds = number(given.get("-t"), 2)
    default_bytes = {"tcp_bw": 65536, "udp_bw": 32768}.get(tests[0], 1)
    return {
        "seconds": seconds * len(tests) if isinstance(seconds, int) else seconds,
        "message_bytes": number(given.get("-m"), default_bytes),
        "test": tests[0],
        "extra_args": others,
    }
