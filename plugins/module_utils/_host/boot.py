# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Which start of the kernel this is."""

from __future__ import annotations

BOOT_ID = "/proc/sys/kernel/random/boot_id"


def boot_id():
    """A text that changes with every start of the kernel. Raises OSError."""
    with open(BOOT_ID) as handle:
        return handle.read().strip()
