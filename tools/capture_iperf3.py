#!/usr/bin/env python3
"""Make the captures in tests/captures/iperf3: real runs of iperf3 of several Debian releases.

    sudo tools/capture_iperf3.py --roots /var/tmp/iperf3-roots [--only bullseye] [--scenario udp]

Each release is put under ``--roots`` with debootstrap (about 200 MB each, kept for the next time) and run
from there with chroot. Everything happens in network, host name and mount namespaces of the script's own,
over its loopback. The host's iperf3 is captured as well. Nothing is edited afterwards: a file is what the
tool printed.

A run leaves ``SCENARIO.client.json`` or ``.txt`` and ``SCENARIO.server...`` in a folder named after the
version. Text is standard output and error together, in the order in which they reach a file; JSON is standard
output, and what was said on standard error lies beside it as ``.stderr``.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

CAPTURES = Path(__file__).resolve().parent.parent / "tests" / "captures" / "iperf3"
RELEASES = ("bullseye", "trixie", "sid")
PORT = 5201
LIMIT_SECONDS = 30


@dataclass(frozen=True)
class Scenario:
    """One run to capture: in which formats, and which version is the first that can."""

    name: str
    client: tuple[str, ...] = ("-t", "2")
    formats: tuple[str, ...] = ("json", "txt")
    address: str = "127.0.0.1"
    minimum: tuple[int, ...] = ()


SCENARIOS = (
    Scenario("tcp"),
    Scenario("parallel", ("-t", "2", "-P", "2")),
    Scenario("udp", ("-u", "-b", "10M", "-l", "1400", "-t", "2")),
    Scenario("udp-parallel", ("-u", "-b", "5M", "-l", "1400", "-t", "2", "-P", "2")),
    Scenario("udp-loss", ("-u", "-b", "2G", "-l", "1200", "-w", "8K", "-t", "2")),
    Scenario("udp-reverse", ("-u", "-b", "10M", "-l", "1400", "-t", "2", "-R")),
    Scenario("udp-bidir", ("-u", "-b", "10M", "-l", "1400", "-t", "2", "--bidir")),
    Scenario("udp-omit", ("-u", "-b", "10M", "-l", "1400", "-t", "2", "-O", "1")),
    Scenario("reverse", ("-t", "2", "-R")),
    Scenario("bidir", ("-t", "2", "--bidir")),
    Scenario("bidir-parallel", ("-t", "2", "-P", "2", "--bidir"), formats=("txt",)),
    Scenario("omit", ("-t", "2", "-O", "1")),
    Scenario("bytes", ("-n", "64M"), formats=("json",)),
    Scenario("ipv6", ("-t", "2", "-6"), formats=("txt",), address="::1"),
    Scenario("verbose", ("-t", "2", "-V"), formats=("txt",)),
    Scenario("megabytes", ("-t", "2", "-f", "M"), formats=("txt",)),
    Scenario("kilobits", ("-t", "2", "-f", "k", "-b", "1M"), formats=("txt",)),
    Scenario("title", ("-t", "2", "-T", "first"), formats=("txt",)),
    Scenario("timestamps", ("-t", "2", "--timestamps"), formats=("txt",), minimum=(3, 7)),
    Scenario("server-output", ("-t", "2", "--get-server-output")),
    Scenario("udp-server-output", ("-u", "-b", "10M", "-l", "1400", "-t", "2", "--get-server-output")),
    Scenario("stream", ("-t", "2", "--json-stream"), formats=("json",), minimum=(3, 17)),
    Scenario("stream-bidir", ("-t", "2", "--bidir", "--json-stream"), formats=("json",), minimum=(3, 17)),
    Scenario(
        "stream-full", ("-t", "2", "--json-stream", "--json-stream-full-output"), ("json",), minimum=(3, 20)
    ),
)


@dataclass(frozen=True)
class Build:
    """One iperf3 to run: how its command line begins, and its version."""

    command: tuple[str, ...]
    version: str

    @property
    def folder(self) -> Path:
        """Where its captures go."""
        return CAPTURES / self.version

    def can(self, scenario: Scenario) -> bool:
        """Tell whether this version has the scenario's options."""
        return tuple(int(part) for part in re.findall(r"\d+", self.version)) >= scenario.minimum


def main() -> int:
    """Enter the namespaces, make the roots, capture."""
    options = _arguments()
    if os.geteuid() != 0:
        sys.exit("capture_iperf3.py needs root for debootstrap, chroot and namespaces: run it with sudo.")
    roots = Path(options.roots).resolve()
    if not options.inside:
        for release in options.only:
            _make_root(roots / release, release)
        inside = [
            "unshare",
            "--net",
            "--uts",
            "--mount",
            sys.executable,
            str(Path(__file__).resolve()),
            *sys.argv[1:],
        ]
        return subprocess.run([*inside, "--inside"], check=False).returncode
    subprocess.run(["hostname", "lab"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    builds = [_build("iperf3")]
    builds += [_build("chroot", str(roots / release), "iperf3") for release in options.only]
    for build in builds:
        _capture(build, options.scenario)
    _capture_mixed(builds, options.scenario)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--roots", required=True, help="folder for the releases, outside of the repository")
    parser.add_argument("--only", action="append", choices=RELEASES, help="these releases instead of all")
    parser.add_argument("--scenario", action="append", help="these scenarios instead of all")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.only = options.only or list(RELEASES)
    return options


def _make_root(root: Path, release: str) -> None:
    if (root / "usr/bin/iperf3").exists():
        return
    # sid's and archived releases' indexes may be past their date; the signature is checked all the same.
    command = ["debootstrap", "--variant=minbase", "--include=iperf3", release, str(root)]
    print(f"making {root}", flush=True)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _build(*command: str) -> Build:
    shown = subprocess.run([*command, "--version"], check=True, capture_output=True, text=True).stdout
    return Build(command, shown.split()[1])


def _capture(build: Build, wanted: list[str] | None) -> None:
    build.folder.mkdir(parents=True, exist_ok=True)
    for scenario in SCENARIOS:
        if (wanted and scenario.name not in wanted) or not build.can(scenario):
            continue
        for kind in scenario.formats:
            print(build.version, scenario.name, kind, flush=True)
            _pair(build, build, scenario, kind, build.folder)
    for name, capture in _FAULTS.items():
        if not wanted or name in wanted:
            for kind in ("json", "txt"):
                print(build.version, name, kind, flush=True)
                capture(build, kind, build.folder)


def _capture_mixed(builds: list[Build], wanted: list[str] | None) -> None:
    """Run the newest client against older servers: losses are lost on the way (issue 2055 of iperf)."""
    if wanted and "mixed" not in wanted:
        return
    newest = max(builds, key=lambda build: [int(part) for part in build.version.split(".")])
    losses = next(scenario for scenario in SCENARIOS if scenario.name == "udp-loss")
    for build in builds:
        if build is not newest:
            folder = CAPTURES / "mixed" / f"{newest.version}-to-{build.version}"
            folder.mkdir(parents=True, exist_ok=True)
            for kind in ("json", "txt"):
                print("mixed", folder.name, kind, flush=True)
                _pair(newest, build, losses, kind, folder)


class _Running:
    """A started iperf3 whose output goes to files."""

    def __init__(self, build: Build, arguments: tuple[str, ...], kind: str, path: Path) -> None:
        self.path = path.with_name(f"{path.name}.{kind}")
        self.errors = path.with_name(f"{self.path.name}.stderr") if kind == "json" else None
        form = ("-J",) if kind == "json" and "--json-stream" not in arguments else ()
        with self.path.open("wb") as output, (self.errors or self.path).open("ab") as errors:
            self.process = subprocess.Popen(
                [*build.command, *arguments, *form],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors if self.errors else subprocess.STDOUT,
            )

    def stop(self, number: signal.Signals | None = None) -> None:
        """Wait for the end, after a signal if one is given; drop an empty file of errors."""
        if number is not None and self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            print(f"  {self.path.name}: had to be killed", flush=True)
        if self.errors is not None and self.errors.stat().st_size == 0:
            self.errors.unlink()


def _server(build: Build, kind: str, path: Path, *more: str) -> _Running:
    if path.with_name(f"{path.name}.{kind}.stderr").exists():
        path.with_name(f"{path.name}.{kind}.stderr").unlink()
    server = _Running(build, ("-s", *more), kind, path)
    deadline = time.monotonic() + 5
    while not _is_listening() and time.monotonic() < deadline:
        time.sleep(0.05)
    return server


def _is_listening() -> bool:
    """Look at the kernel's table: a connection would use up ``-1``."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for row in Path(table).read_text().splitlines()[1:]:
            local, state = row.split()[1], row.split()[3]
            if state == "0A" and int(local.rsplit(":", 1)[1], 16) == PORT:
                return True
    return False


def _client(build: Build, kind: str, path: Path, *more: str, address: str = "127.0.0.1") -> _Running:
    if path.with_name(f"{path.name}.{kind}.stderr").exists():
        path.with_name(f"{path.name}.{kind}.stderr").unlink()
    return _Running(build, ("-c", address, *more), kind, path)


def _pair(client: Build, server: Build, scenario: Scenario, kind: str, folder: Path) -> None:
    far = _server(server, kind, folder / f"{scenario.name}.server", "-1")
    _client(
        client, kind, folder / f"{scenario.name}.client", *scenario.client, address=scenario.address
    ).stop()
    far.stop()


def _refused(build: Build, kind: str, folder: Path) -> None:
    _client(build, kind, folder / "refused.client", "-t", "2").stop()


def _busy(build: Build, kind: str, folder: Path) -> None:
    """A second client while the first one's run lasts; the server's log has both."""
    server = _server(build, kind, folder / "busy.server", "-1")
    first = _client(build, kind, folder / "busy-first.client", "-t", "3", "-b", "10M")
    time.sleep(1)
    _client(build, kind, folder / "busy.client", "-t", "2").stop()
    first.stop()
    server.stop()


def _interrupted(build: Build, kind: str, folder: Path) -> None:
    server = _server(build, kind, folder / "interrupted.server", "-1")
    client = _client(build, kind, folder / "interrupted.client", "-t", "10", "-b", "10M")
    time.sleep(2.5)
    client.stop(signal.SIGINT)
    server.stop()


def _server_stopped(build: Build, kind: str, folder: Path) -> None:
    server = _server(build, kind, folder / "server-stopped.server", "-1")
    client = _client(build, kind, folder / "server-stopped.client", "-t", "5", "-b", "10M")
    time.sleep(2.5)
    server.stop(signal.SIGINT)
    client.stop()


def _probed(build: Build, kind: str, folder: Path) -> None:
    """Something that is no client connects to a server that serves one client only."""
    server = _server(build, kind, folder / "probed.server", "-1")
    socket.create_connection(("127.0.0.1", PORT)).close()
    time.sleep(1)
    server.stop()


def _log(build: Build, kind: str, folder: Path) -> None:
    """One server and three runs: forward, a second one, UDP; then it is stopped."""
    server = _server(build, kind, folder / "log.server")
    for arguments in (("-t", "1"), ("-t", "1", "-P", "2"), ("-u", "-t", "1", "-b", "1M", "-l", "1400")):
        client = _client(build, kind, folder / "unused", *arguments)
        client.stop()
        client.path.unlink()
        time.sleep(0.3)
    server.stop(signal.SIGINT)


def _stream_faults(build: Build, kind: str, folder: Path) -> None:
    """Events of a run that never begins and of one that is broken off."""
    if kind != "json" or not build.can(_STREAM):
        return
    _client(build, kind, folder / "stream-refused.client", *_STREAM.client).stop()
    server = _server(build, kind, folder / "stream-interrupted.server", "-1", "--json-stream")
    client = _client(
        build, kind, folder / "stream-interrupted.client", "-t", "10", "-b", "10M", "--json-stream"
    )
    time.sleep(2.5)
    client.stop(signal.SIGINT)
    server.stop()


_STREAM = next(scenario for scenario in SCENARIOS if scenario.name == "stream")
_FAULTS = {
    "refused": _refused,
    "busy": _busy,
    "interrupted": _interrupted,
    "server-stopped": _server_stopped,
    "probed": _probed,
    "log": _log,
    "stream-faults": _stream_faults,
}


if __name__ == "__main__":
    if any(shutil.which(tool) is None for tool in ("debootstrap", "unshare", "ip", "iperf3")):
        sys.exit("capture_iperf3.py needs debootstrap, unshare, ip and iperf3: install them first.")
    sys.exit(main())
