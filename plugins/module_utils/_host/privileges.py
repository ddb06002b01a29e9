# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""What only root may do on a host."""

from __future__ import annotations

import os


def require_root(module, why):
    """End the module with ``why`` and what helps, where it is not root's."""
    if os.geteuid() != 0:
        module.fail_json(msg="%s: set ansible_become: true for this host, or connect as root" % why)
