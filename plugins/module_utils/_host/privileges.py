# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""What only root may do on a host."""

from __future__ import annotations

import os


def root_problem(why):
    """None where this process is root's, else ``why`` with what helps."""
    return None if os.geteuid() == 0 else "%s: set ansible_become: true for this host, or connect as root" % why
