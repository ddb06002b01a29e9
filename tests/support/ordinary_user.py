"""An ordinary user of this machine, without a name, a group or a way to root, and a clone of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from namespaces import kill, run

CLONE = Path(__file__).resolve().parents[2]
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "results", "dist", "build", "tests")
COMMANDS = ("ansible", "ansible-playbook")
FIRST_NUMBER = 61000


class OrdinaryUser:
    """A number that no other process has, a home, and the clone in it with its virtual environment ready."""

    def __init__(self) -> None:
        self.number = FIRST_NUMBER + os.getpid() % 4000
        assert not self.processes(), f"user {self.number} is in use"
        # Not pytest's own folder, which nobody else may enter.
        self.home = Path(tempfile.mkdtemp(prefix="pairbench-user-"))
        self.clone = self.home / "pairbench"

    def make_clone(self) -> None:
        shutil.copytree(CLONE, self.clone, ignore=NOT_COPIED, symlinks=True)
        self._make_environment()
        run("chown", "--recursive", f"{self.number}:{self.number}", str(self.home))

    def _make_environment(self) -> None:
        """As ``make venv`` does it, with the packages of the tests' own environment in place of downloaded ones."""
        python = self._python()
        run(python, "-m", "venv", "--without-pip", str(self.clone / ".venv"))
        commands = self.clone / ".venv/bin"
        # Ordered before the line below: this clone is the collection, and not the tests' own.
        run(python, str(CLONE / "tools/link_collection.py"), str(commands))
        query = "import sysconfig; print(sysconfig.get_path('purelib'))"
        own = Path(run(str(commands / "python"), "-c", query).stdout.strip())
        link = own / "ansible_collections/pairbench/lab"
        link.unlink()
        link.symlink_to(self.clone)
        (own / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
        for name in COMMANDS:
            _first, _line, rest = (Path(sys.executable).parent / name).read_text(encoding="utf-8").partition("\n")
            (commands / name).write_text(f"#!{commands / 'python'}\n{rest}", encoding="utf-8")
            (commands / name).chmod(0o755)
        (self.clone / ".venv/.ready").touch()

    def _python(self) -> str:
        """A Python of the tests' version that this user can run, wherever that of the tests lies."""
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        for path in (os.path.realpath(sys.executable), f"/usr/bin/python{version}"):
            if subprocess.run(self.as_user("test", "-x", path), check=False).returncode == 0:
                return path
        raise AssertionError(f"no Python {version} that everybody on this machine can run")

    def as_user(self, *argv: str) -> list[str]:
        """The argument list that runs ``argv`` as this user, with nothing of the environment of the tests."""
        become = ["setpriv", f"--reuid={self.number}", f"--regid={self.number}", "--clear-groups", "--bounding-set=-all"]
        plain = [f"HOME={self.home}", "LOGNAME=somebody", "PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8",
                 "ANSIBLE_NOCOLOR=1"]
        return [*become, "env", "-i", *plain, *argv]

    def run(self, *argv: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.as_user(*argv), cwd=self.clone, capture_output=True, text=True, timeout=timeout,
                              check=False)

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """Start it as a terminal does, in a process group of its own."""
        return subprocess.Popen(self.as_user(*argv), cwd=self.clone, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, start_new_session=True)

    def processes(self) -> dict[int, list[str]]:
        """Argument list of each process of this user, by its id."""
        found = {}
        for entry in _processes():
            try:
                if entry.stat().st_uid == self.number:
                    found[int(entry.name)] = _words(entry)
            except OSError:
                continue
        return found

    def left_elsewhere(self) -> list[str]:
        """Files of this user outside the home."""
        places = ("/tmp", "/var/tmp", "/var/lib", "/run", "/dev/shm")
        search = ["find", *places, "-xdev", "-path", str(self.home), "-prune", "-o", "-uid", str(self.number), "-print"]
        return subprocess.run(search, capture_output=True, text=True, check=False).stdout.splitlines()

    def remove(self) -> None:
        for pid in self.processes():
            kill(pid)
        shutil.rmtree(self.home, ignore_errors=True)


def descendants(pid: int) -> dict[int, tuple[int, list[str]]]:
    """User and argument list of a process and of everything below it, by process id."""
    parents = {}
    for entry in _processes():
        try:
            fields = (entry / "stat").read_bytes().rsplit(b")", 1)[1].split()
            parents[int(entry.name)] = (int(fields[1]), entry.stat().st_uid, _words(entry))
        except (OSError, IndexError):
            continue
    below, added = {pid}, True
    while added:
        more = {child for child, (parent, _user, _words) in parents.items() if parent in below} - below
        below |= more
        added = bool(more)
    return {number: parents[number][1:] for number in below if number in parents}


def _processes() -> Iterator[Path]:
    return (entry for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _words(entry: Path) -> list[str]:
    return (entry / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")


def command_of(words: Sequence[str]) -> str:
    """The name of what an argument list runs, through an interpreter or not."""
    names = [Path(word).name for word in words[:2]]
    return names[1] if names and names[0].startswith("python") and len(names) > 1 else names[0] if names else ""
