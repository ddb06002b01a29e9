"""Throw-away installations of Debian: real hosts for the tests of the install roles, without their machines."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import packages
import yaml
from leftovers import machines_folder
from namespaces import kill, run

SUPPORT = Path(__file__).resolve().parent
ANSIBLE_PLAYBOOK = str(Path(sys.executable).parent / "ansible-playbook")
RELEASES = {"11": "bullseye", "12": "bookworm", "13": "trixie"}
# What a host has before the first play: Ansible's Python, and the bindings that its apt module wants.
PACKAGES = "python3,python3-apt"
# A host's own environment; the one of the tests must not reach into it.
ENVIRONMENT = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8")
# Inside the root's own mount namespace: the kernel's files as a fresh machine has them, tracefs not mounted. It is ready
# when its holder is in the root: who enters before that enters the machine itself.
HOLD = """
set -e
mount -t proc proc "$0/proc"
mount -t sysfs sysfs "$0/sys"
exec chroot "$0" sh -c 'echo ready; exec sleep infinity'
"""


def inside(pid: int, uid: int, *argv: str) -> list[str]:
    """The argument list that runs ``argv`` in the root that the process ``pid`` holds, as user ``uid``."""
    enter = ["nsenter", f"--target={pid}", "--mount", "--root", "--wd=/", f"--setuid={uid}", f"--setgid={uid}", "--"]
    return [*enter, "/usr/bin/env", "-i", *ENVIRONMENT, *argv]


def cache() -> Path:
    """Where pristine roots are kept between runs: ``PAIRBENCH_TEST_ROOTS``, or a folder for temporary files."""
    default = machines_folder() / f"pairbench-test-roots-{os.geteuid()}"
    folder = Path(os.environ.get("PAIRBENCH_TEST_ROOTS", default))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    assert folder.stat().st_uid == os.geteuid(), f"{folder} belongs to somebody else: set PAIRBENCH_TEST_ROOTS"
    return folder


def made_once(name: str, make: Callable[[Path], Path]) -> Path:
    """What ``make`` leaves in a folder of its own, kept under that name; only what is whole has its name."""
    path = cache() / name
    if not path.exists():
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=cache()))
        try:
            make(folder).rename(path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return path


def pristine(version: str) -> Path:
    """A minimal installation of that Debian version, made once; as new as a machine that nothing was done to."""
    release = RELEASES[version]

    def bootstrap(folder: Path) -> Path:
        if not shutil.which("debootstrap"):
            packages.install("debootstrap")
        debootstrap = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}"]
        run(*debootstrap, release, str(folder), *packages.mirror(), timeout=550)
        # A machine's image carries no package lists: whoever installs must fetch them first.
        for path in (folder / "var/lib/apt/lists").iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        folder.chmod(0o755)
        return folder

    return made_once(release, bootstrap)


class Root:
    """A copy of a pristine root with a mount namespace of its own, which takes its mounts with it when it ends."""

    def __init__(self, version: str, folder: Path) -> None:
        self.folder = folder / f"debian{version}"
        self._version = version
        self._holder: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        assert self._holder is not None, "the root is not up"
        return self._holder.pid

    def up(self) -> None:
        subprocess.run(["cp", "--archive", "--reflink=auto", str(pristine(self._version)), str(self.folder)], check=True)
        # The resolver of this machine is the one by which packages are reached.
        shutil.copyfile("/etc/resolv.conf", self.folder / "etc/resolv.conf")
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation=private", "/bin/sh", "-c", HOLD, str(self.folder)],
            stdout=subprocess.PIPE, text=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n", "the root's mount namespace could not be made"

    def down(self) -> None:
        """End what still runs in the root, and with it the mount namespace; remove the folder."""
        for pid in self.processes():
            kill(pid)
        if self._holder is not None:
            self._holder.kill()
            self._holder.wait()
            assert self._holder.stdout is not None
            self._holder.stdout.close()
        assert str(self.folder) not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")
        shutil.rmtree(self.folder)

    def processes(self) -> dict[int, str]:
        """Name of each process that runs in the root, by its id, without the one that holds it."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == self.pid:
                continue
            try:
                if (entry / "root").samefile(self.folder):
                    found[int(entry.name)] = (entry / "comm").read_text(encoding="utf-8").strip()
            except OSError:
                continue
        return found

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """A command in the root."""
        return subprocess.run(inside(self.pid, 0, *argv), capture_output=True, text=True, timeout=120, check=False)

    def files(self) -> dict[str, tuple[int, int, int]]:
        """Mode, size and time of change of each file, without what Ansible itself leaves for a moment."""
        found = {}
        for folder, names, files in os.walk(self.folder):
            where = "/" + os.path.relpath(folder, self.folder)
            if where == "/.":
                names[:] = [name for name in names if name not in ("proc", "sys", "tmp", "dev")]
            if where == "/root":
                names[:] = [name for name in names if name != ".ansible"]
            for name in [*names, *files]:
                status = (Path(folder) / name).lstat()
                size = 0 if name in names else status.st_size
                found[f"{where}/{name}"] = (status.st_mode, size, 0 if where == "/." else status.st_mtime_ns)
        return found

    def play(self, directory: Path, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        """``ansible-playbook pairbench.lab.install`` on the root, which the inventory calls ``fresh``."""
        host = {
            "ansible_connection": "throwaway_root", "ansible_throwaway_folder": str(self.folder),
            "ansible_throwaway_pid": self.pid, "ansible_python_interpreter": "/usr/bin/python3",
        }
        return install(directory, {"fresh": host}, *arguments, **variables)


def install(
    directory: Path, hosts: dict[str, Any], *arguments: str, playbook: str = "pairbench.lab.install", **variables: Any,
) -> subprocess.CompletedProcess[str]:
    """A play over an inventory that is written into ``directory``; ``variables`` hold for all hosts."""
    inventory = directory / "inventory.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": variables}}), encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")} | {
        "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONNECTION_PLUGINS": str(SUPPORT / "connection_plugins"),
        "PYTHONPATH": str(SUPPORT),
    }
    return subprocess.run(
        [ANSIBLE_PLAYBOOK, playbook, "-i", str(inventory), *arguments], cwd=directory, env=environment,
        capture_output=True, text=True, timeout=550, check=False,
    )


def recap(output: str, host: str = "fresh") -> dict[str, int]:
    """The figures of the recap of one host."""
    line = re.search(rf"^{host} +: (.*)$", output, re.MULTILINE)
    assert line, output
    return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", line[1])}
