# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""The temporary folder of one run, and the removal of those that killed sessions left.

Whoever is killed removes nothing. A folder bears the name of the network namespace for which a session holds the host's
lock, so whoever holds that lock knows that every other such folder is nobody's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile

from ansible_collections.pairbench.lab.plugins.module_utils._host_lock import network_namespace


def _prefix():
    return "pairbench-%d-" % network_namespace()


@contextlib.contextmanager
def run_directory():
    """A folder that is removed at the end. Raises OSError where none can be made; a removal that fails is for the next."""
    path = tempfile.mkdtemp(prefix=_prefix())
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def remove_leftovers():
    """Remove the folders of sessions that were killed. Only for whoever holds the host's lock; never raises."""
    try:
        prefix, root = _prefix(), tempfile.gettempdir()
        names = [name for name in os.listdir(root) if name.startswith(prefix)]
    except OSError:
        return
    for name in names:
        path = os.path.join(root, name)
        if _is_ours(path):
            shutil.rmtree(path, ignore_errors=True)


def _is_ours(path):
    """Anybody may write in a folder for temporary files: what is another user's, or a link, stays."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
