"""The tools of the rootless mode: the machine's own, else the distribution's packages unpacked in the user's cache.

On Debian and its relatives ``apt-get download`` needs no root and takes nothing that does not match the signed lists of
the distribution; ``dpkg-deb --extract`` unpacks without running anything of the package. What the machine lacks, and only
that, is fetched: the tools and those libraries of theirs that are not installed.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..benchmarks import BENCHMARKS, version_arguments
from .launcher import RootlessError

USUAL = {name: benchmark.package or name for name, benchmark in BENCHMARKS.items() if benchmark.by_default}
PACKAGES = USUAL | {"ip": "iproute2", "tc": "iproute2"}
"""Command to the package that has it: what a measurement needs where nobody chooses benchmarks."""
VERSION = version_arguments(BENCHMARKS) | {"ip": ["-V"], "tc": ["-V"]}
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where ip(8) and tc(8) may be, which an ordinary user's PATH leaves out."""
NEW_PACKAGE = re.compile(r"^Inst (\S+) \((\S+) ", re.MULTILINE)
"""A package that would be installed; one that would be upgraded has its old version before the bracket."""
FETCH_SECONDS = 300


def with_tools(environment: Mapping[str, str], cache: Path) -> dict[str, str]:
    """The environment with every tool on its PATH, fetched into ``cache`` where it is missing. Raises RootlessError."""
    path = os.pathsep.join((environment.get("PATH", os.defpath), *SYSTEM_FOLDERS))
    found = dict(environment) | {"PATH": path}
    packages = sorted({package for tool, package in PACKAGES.items() if shutil.which(tool, path=path) is None})
    if not packages:
        return found
    folder = cache / "tools" / _release() / "-".join(packages)
    try:
        if not folder.is_dir():
            print(f"Fetching {' and '.join(packages)} for this user into {folder}", flush=True)
            _fetch(packages, folder)
        return _with_folder(found, folder)
    except (OSError, subprocess.SubprocessError, RootlessError) as error:
        raise RootlessError(
            f"not on this machine: {', '.join(packages)}, and without root {'it' if len(packages) == 1 else 'they'} could "
            f"not be fetched ({_reason(error)}). Ask an administrator to install the packages {' '.join(packages)}"
        ) from error


def _release() -> str:
    try:
        known = platform.freedesktop_os_release()
    except OSError:
        known = {}
    name = f"{known.get('ID', 'unknown')}-{known.get('VERSION_ID', 'rolling')}-{platform.machine()}"
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)


def _with_folder(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Programs and libraries of the folder come after those of the machine."""
    programs = [str(folder / part) for part in ("usr/bin", "usr/sbin", "bin", "sbin") if (folder / part).is_dir()]
    libraries = sorted({str(path.parent) for path in folder.rglob("*.so*")})
    known = [item for item in environment.get("LD_LIBRARY_PATH", "").split(os.pathsep) if item]
    found = dict(environment) | {"PATH": os.pathsep.join([environment["PATH"], *programs])}
    return found | ({"LD_LIBRARY_PATH": os.pathsep.join([*known, *libraries])} if libraries else {})


def _fetch(packages: Sequence[str], folder: Path) -> None:
    """Unpack packages and what they need into the folder, which is there whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder.parent) as name:
        private, root = Path(name), Path(name) / "root"
        root.mkdir()
        options, wanted = _found_by_apt(packages, private)
        downloads = private / "packages"
        downloads.mkdir()
        _run(["apt-get", *options, "--quiet", "download", *wanted], cwd=downloads)
        for package in sorted(downloads.glob("*.deb")):
            _run(["dpkg-deb", "--extract", str(package), str(root)], cwd=private)
        _require_running(packages, root)
        root.rename(folder)


def _found_by_apt(packages: Sequence[str], private: Path) -> tuple[list[str], list[str]]:
    """Options of apt-get, and the packages to download with their versions: from the machine's lists, else from new ones.

    A machine on which nothing was ever installed has no lists, and old lists name what the archive has no more.
    """
    try:
        return [], _missing_packages(packages, [], private)
    except subprocess.CalledProcessError:
        options = []
        for kind, place in (("State::Lists", "lists"), ("Cache", "cache")):
            (private / place / "partial").mkdir(parents=True)
            options += ["-o", f"Dir::{kind}={private / place}"]
        _run(["apt-get", *options, "--quiet", "update"], cwd=private)
        return options, _missing_packages(packages, options, private)


def _missing_packages(packages: Sequence[str], options: Sequence[str], folder: Path) -> list[str]:
    simulated = _run(["apt-get", *options, "--simulate", "--no-install-recommends", "install", *packages], cwd=folder)
    return ["=".join(found) for found in NEW_PACKAGE.findall(simulated)]


def _require_running(packages: Iterable[str], root: Path) -> None:
    """Fetched programs that do not even tell their version are of no use. Raises RootlessError."""
    environment = _with_folder(os.environ, root)
    for tool, package in PACKAGES.items():
        if package in packages:
            path = shutil.which(tool, path=environment["PATH"])
            if path is None:
                raise RootlessError(f"the package {package} has no {tool}")
            _run([path, *VERSION[tool]], cwd=root, environment=environment)


def _run(argv: Sequence[str], cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    """Standard output of a command. Raises OSError and SubprocessError."""
    done = subprocess.run(
        argv, cwd=cwd, env=dict(environment or os.environ) | {"LC_ALL": "C"}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, errors="replace", timeout=FETCH_SECONDS, check=True,
    )  # fmt: skip
    return done.stdout


def _reason(error: Exception) -> str:
    """What went wrong, short: of a command that failed its last complaint."""
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line for line in (error.stderr or error.stdout or "").splitlines() if line.strip()]
        return f"{error.cmd[0]}: {lines[-1].strip() if lines else f'exit status {error.returncode}'}"
    if isinstance(error, FileNotFoundError):
        return f"there is no {error.filename}"
    return str(error)
