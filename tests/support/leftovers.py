"""What the tests of a session leave on this machine: looked for after each test, told with the test that left it.

Looked at are the folders where this program keeps its state, the folder for temporary files, network namespaces, and the
machine's own links, mounts and processes. Other people may use the machine at the same time, so only this is ours:

- state files that are named after a namespace which these tests have made (its two numbers are noted then);
- whatever bears the number of this pytest in its name: namespaces, links, what is kept of runs, mounts;
- all that lies in a folder for temporary files of the session's own, which every program of the tests is told to use;
- processes that have the mark of this session in their environment, or that live in a folder of its tests.

So nobody is told of files of namespaces that were made by other means than ``namespaces.Host``, of temporary files of
programs with an environment of their own, or of processes of such programs that have left the folders of the tests.
Where the tests are alone on the machine (``PAIRBENCH_TESTS_ALONE=1``, as in CI), everything new but processes is theirs.

No leftovers are installed packages, what is kept on purpose for the next session (``KEPT``), what Ansible leaves of
modules and playbooks that are killed (``ANSIBLES``; it goes with the session's folder), and the kernel's tracing files.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from namespaces import NUMBERS

ALONE = "PAIRBENCH_TESTS_ALONE"
MARK = "PAIRBENCH_TESTS_OF"
TEMPROOT = "PYTEST_DEBUG_TEMPROOT"  # pytest's own variable for where its folders are
STATE = (("/run/pairbench", "*"), ("/run/lock", "pairbench*"))
SPOOLS = "/var/lib/pairbench"
KEPT_STATE = re.compile(r"tracer[a-z-]*\.proven\.json|code-[0-9a-f]{16}")
"""What a host keeps until it is started again: what was proved of its tracer, and our code."""
KEPT = re.compile(r"pairbench-test-(roots|vm)-\d+")
ANSIBLES = re.compile(r"ansible|ansible_.*_payload_.*")
TRACING = ("/sys/kernel/tracing", "/sys/kernel/debug", "/sys/kernel/debug/tracing")
SECONDS = 20.0
"""Longest wait for the end of processes that were told to end."""


def machines_folder() -> Path:
    """The machine's folder for temporary files; in it is the one of the session, and what is kept for other sessions."""
    return Path(os.environ.get(TEMPROOT) or tempfile.gettempdir())


class Session:
    """A folder for temporary files, a mark for processes, and what is there that was not when the session began."""

    def __init__(self) -> None:
        self._alone = os.environ.get(ALONE) == "1"
        os.environ[TEMPROOT] = str(machines_folder())
        self.folder = Path(tempfile.mkdtemp(prefix=f"pairbench-tests-{os.getpid()}-"))
        self.folder.chmod(0o1777)  # benchmarks run as nobody
        os.environ["TMPDIR"] = tempfile.tempdir = str(self.folder)
        os.environ[MARK] = str(os.getpid())
        self._number = re.compile(rf"(?<!\d){os.getpid()}(?!\d)")
        self.folders = [self.folder]
        """The folders in which nobody but these tests works."""
        self._known = set(self._there())
        self._first: dict[str, str] = {}
        self.left: dict[str, str] = {}
        """What was left, and the test after which it was there first."""
        self.looks, self.seconds = 0, 0.0

    def look(self, test: str, all_is_over: bool) -> None:
        """After a test: note what is new. It is left when it is there after the last test of a module as well."""
        begin = time.monotonic()
        new = set(self._there()) - self._known
        self._first = {thing: self._first.get(thing, test) for thing in new}
        self.looks, self.seconds = self.looks + 1, self.seconds + time.monotonic() - begin
        if new and all_is_over:
            self._await_the_end_of_processes()
            left = set(self._there()) - self._known
            self._known |= left
            self.left |= {described(thing): self._first.get(thing, test) for thing in sorted(left)}

    def close(self) -> None:
        """Remove the session's folder, and forget that there was one."""
        shutil.rmtree(self.folder, ignore_errors=True)
        tempfile.tempdir = os.environ.pop(TEMPROOT)
        del os.environ["TMPDIR"], os.environ[MARK]

    def _await_the_end_of_processes(self) -> None:
        limit = time.monotonic() + SECONDS
        while set(self._processes()) - self._known and time.monotonic() < limit:
            time.sleep(0.05)

    def _there(self) -> Iterator[str]:
        yield from (f"file {path}" for path in self._files())
        yield from (f"namespace {name}" for name in self._ours(names("/run/netns")))
        yield from (f"link {name}" for name in self._ours(names("/sys/class/net")))
        yield from (f"mount {place}" for place in self._mounts())
        yield from self._processes()

    def _files(self) -> Iterator[Path]:
        for folder, pattern in STATE:
            there = (path for path in Path(folder).glob(pattern) if not KEPT_STATE.fullmatch(path.name))
            yield from (path for path in there if self._alone or NUMBERS & set(re.findall(r"\d+", path.name)))
        yield from map(Path, self._ours(map(str, Path(SPOOLS).rglob("*"))))
        yield from (path for path in self.folder.iterdir() if not ANSIBLES.fullmatch(path.name))
        if self._alone:
            others = [path for path in machines_folder().iterdir() if re.match("pairbench-|ansible_", path.name)]
            yield from (path for path in others if path != self.folder and not KEPT.fullmatch(path.name))

    def _mounts(self) -> Iterator[str]:
        """Where something is mounted; a namespace is told as such."""
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
        for place in [line.split()[4] for line in lines]:
            if not place.startswith("/run/netns") and place not in TRACING and (self._is_inside(place) or self._alone):
                yield place

    def _processes(self) -> Iterator[str]:
        mark = f"{MARK}={os.environ[MARK]}".encode()
        for number in filter(str.isdigit, names("/proc")):
            try:
                environment = Path(f"/proc/{number}/environ").read_bytes()
                if mark in environment.split(b"\0") or self._is_inside(str(Path(f"/proc/{number}/root").readlink())):
                    yield f"process {number}"
            except OSError:  # it has ended
                continue

    def _ours(self, found: Iterable[str]) -> Iterator[str]:
        return (name for name in found if self._alone or self._number.search(name))

    def _is_inside(self, path: str) -> bool:
        return any(Path(path).is_relative_to(folder) for folder in self.folders)


def names(folder: str) -> list[str]:
    """The entries of a folder, which may not be there."""
    return [path.name for path in Path(folder).iterdir()] if Path(folder).is_dir() else []


def described(thing: str) -> str:
    """A process with its command line, everything else as it is."""
    kind, name = thing.split(" ", 1)
    if kind != "process":
        return thing
    try:
        words = Path(f"/proc/{name}/cmdline").read_bytes().decode("utf-8", "replace").rstrip("\0").split("\0")
    except OSError:
        words = []
    return f"{thing}: {' '.join(words)[:200]}"
