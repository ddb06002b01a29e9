"""What the hosts of a pair are, in the words of a report: ``VM vm1 as server, bare metal b1 as client``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KIND_WORDS = {"vm": "VM", "bare-metal": "bare metal", "container": "container", "namespace": "namespace"}
"""The fact ``fingerprint.kind`` of hosts.csv, for people."""


def host_label(host: str, hosts: Mapping[str, Mapping[str, Any]]) -> str:
    """A host with what it is before its name; the name alone where that is not known.

    ``hosts`` has the facts of each host, as the sweep keeps them.
    """
    kind = (hosts.get(host, {}).get("fingerprint") or {}).get("kind")
    word = KIND_WORDS.get(str(kind))
    return f"{word} {host}" if word else host


def pair_label(server: str, client: str, hosts: Mapping[str, Mapping[str, Any]]) -> str:
    """Both hosts of a pair with what they are and what they do."""
    return f"{host_label(server, hosts)} as server, {host_label(client, hosts)} as client"
SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def format_duration(seconds: float) -> str:
    """A duration in the two largest fitting units: ``45 s``, ``2 min 10 s``, ``3 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def counted(number: int, thing: str) -> str:
    """A number with what it counts: ``1 pair``, ``2 pairs``."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def format_value(value: float | None, unit: str) -> str:
    """A figure with three significant digits and its unit; ``-`` when it was not measured."""
    if value is None:
        return "-"
    if unit == "bit/s":
        for scale, letter in SCALES:
            if abs(value) >= scale:
                return f"{value / scale:.3g} {letter}bit/s"
        return f"{value:.3g} bit/s"
    if unit in ("count", "1/s"):
        number = f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.3g}"
        return number if unit == "count" else f"{number}/s"
    return f"{value:.3g} {unit}" if abs(value) < 1000 else f"{value:,.0f} {unit}"
