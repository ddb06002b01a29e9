# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Our code as files on a host, compiled, so that what a step needs there starts in a fifth of the time.

Ansible sends a module with everything that it imports for each task, in an archive from which Python compiles all of it
again: 0.14 s of a processor, of which Ansible's own part is half. So the module that claims a host puts our part of the
archive into a folder, and each session runs from there (``program``). The folder is named after what is in it, and lies
where only we can write; where it is missing, a session is sent as a module as ever.
"""

from __future__ import annotations

import hashlib
import os
import py_compile
import re
import shutil
import sys
import tempfile
import time
import zipfile

from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import own_folder, state_folder

PACKAGE = "ansible_collections/pairbench/lab/plugins/module_utils/"
FOLDER = re.compile("code-[0-9a-f]{16}")
FORGET_AFTER_SECONDS = 7 * 86400
"""The longest lease of a claim: whoever still needed an older version has claimed the host since."""
START = """import sys

sys.path.insert(0, %r)
from %s import main

main()
"""


def installed(program):
    """Have the folder with our code, and give the path of the file in it that starts ``program``. Raises OSError.

    ``program`` is the full name of the module whose ``main`` is started, as it was imported here.
    """
    sources = _sources()
    folder = os.path.join(state_folder(), "code-%s" % _digest(sources, program))
    if os.path.lexists(folder):
        own_folder(folder)
        os.utime(folder)
    else:
        _install(sources, folder, program)
    _forget_old(os.path.dirname(folder))
    return os.path.join(folder, "start.py")


def _sources():
    """What there is of our modules, by its name below the folder of Python's path: bytes."""
    archive = getattr(__loader__, "archive", None)
    return _from_archive(archive) if archive else _from_files()


def _from_archive(archive):
    with zipfile.ZipFile(archive) as parts:
        return {name: parts.read(name) for name in parts.namelist() if name.startswith(PACKAGE) and name.endswith(".py")}


def _from_files():
    top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found = {}
    for folder, _folders, names in os.walk(top):
        for name in names:
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                with open(path, "rb") as handle:
                    found[PACKAGE + os.path.relpath(path, top)] = handle.read()
    return found


def _digest(sources, program):
    found = hashlib.sha256(("%s %s" % (program, sys.version)).encode())
    for name in sorted(sources):
        found.update(b"%s %d " % (name.encode(), len(sources[name])) + sources[name])
    return found.hexdigest()[:16]


def _install(sources, folder, program):
    """Make the folder whole or not at all; two at once make the same."""
    temporary = tempfile.mkdtemp(prefix=".code-", dir=os.path.dirname(folder))
    try:
        for name, content in _with_packages(sources).items():
            path = os.path.join(temporary, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as handle:
                handle.write(content)
            py_compile.compile(path, dfile=os.path.join(folder, name), doraise=True)
        with open(os.path.join(temporary, "start.py"), "w") as handle:
            handle.write(START % (folder, program))
        os.rename(temporary, folder)
    except OSError:
        if not os.path.isdir(folder):
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _with_packages(sources):
    """The sources with an empty ``__init__.py`` in every folder on the way that has none."""
    found = dict(sources)
    for name in sources:
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            found.setdefault("/".join([*parts[:depth], "__init__.py"]), b"")
    return found


def _forget_old(directory):
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        try:
            if FOLDER.fullmatch(name) and time.time() - os.stat(path).st_mtime > FORGET_AFTER_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue
