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
