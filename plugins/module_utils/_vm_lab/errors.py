# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""What can go wrong on a hypervisor."""

from __future__ import annotations


class GuestError(Exception):
    """A guest or its network could not be started or ended. The text is a sentence for the user."""
