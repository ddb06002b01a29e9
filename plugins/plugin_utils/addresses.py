"""IP addresses as text."""

from __future__ import annotations

import ipaddress


def canonical_address(text: str) -> str:
    """An address as the kernel writes it, however many zeros IPv6 was written with; anything else as it is."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text
