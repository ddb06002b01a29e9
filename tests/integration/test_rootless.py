"""The rootless mode as an ordinary user has it: namespaces of their own, no root process, nothing left."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import assert_measured, changed_total, words
from namespaces import kill, wait_until
from ordinary_user import CLONE, OrdinaryUser, command_of, descendants
from record_files import document_in, files_of_records
from roots import Root, inside

pytestmark = pytest.mark.slow

SHORT = "-e iperf3_seconds=1 -e sockperf_seconds=1"
# A machine on which an administrator has forbidden it, as a user namespace with all of the machine's users.
FORBIDDEN = """
import ctypes, os, sys
asked, answered = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    assert ctypes.CDLL(None).unshare(0x10000000) == 0
    os.write(asked[1], b"x")
    os.read(answered[0], 1)
    with open("/proc/sys/user/max_user_namespaces", "w") as handle:
        handle.write("0")
    os.execvp(sys.argv[1], sys.argv[1:])
os.read(asked[0], 1)
for name in ("uid_map", "gid_map"):
    with open(f"/proc/{child}/{name}", "w") as handle:
        handle.write("0 0 65536")
os.write(answered[1], b"x")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.fixture
def user() -> Iterator[OrdinaryUser]:
    made = OrdinaryUser()
    try:
        made.make_clone()
        yield made
    finally:
        made.remove()


def rows(user: OrdinaryUser, name: str = "runs") -> list[dict[str, str]]:
    with (user.clone / f"results/rootless/{name}.csv").open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def records(user: OrdinaryUser) -> list[Path]:
    return files_of_records(user.clone / "results/rootless")


def mounted() -> list[str]:
    """What this machine has where the rootless mode mounts something of its own."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if line.split()[4] in ("/", "/run", "/proc")]


def make_bench(blocks: int) -> list[str]:
    return ["make", "bench", f"OPTIONS=-e pairbench_blocks={blocks} {SHORT}"]


def assert_nothing_is_left(user: OrdinaryUser) -> None:
    wait_until(lambda: not user.processes(), 60, what=f"the end of {user.processes()}")
    assert user.left_elsewhere() == []


def test_make_bench_gives_a_first_table_and_no_process_of_it_is_root(user: OrdinaryUser) -> None:
    before = mounted()
    seen: dict[str, set[int]] = {}
    with user.start(*make_bench(2)) as bench:
        while bench.poll() is None:
            for number, argv in descendants(bench.pid).values():
                seen.setdefault(command_of(argv), set()).add(number)
            time.sleep(0.2)
        assert bench.stdout is not None
        told = bench.stdout.read()

    assert_measured(rows(user), 4, bench.returncode, told)
    assert "no system calls are counted, because that needs root" in told and "runs are valid" in told
    assert {"iperf3", "sockperf", "ansible-playbook"} <= set(seen)
    # The processes of the first moment are still those of the test, on their way to the user.
    assert {name for name, numbers in seen.items() if numbers != {user.number}} <= {"setpriv", "", "pytest"}
    assert_nothing_is_left(user)
    assert mounted() == before

    for path in records(user):
        record = document_in(path)
        assert not record["run"]["traced"] and record["client"]["trace"] is None
    assert {row["value"] for row in rows(user, "hosts") if row["fact"] == "fingerprint.user_namespace"} == {"own"}
    assert {path.stat().st_uid for path in (user.clone / "results").rglob("*")} == {user.number}
    assert list((user.home / ".local/state/pairbench/spool").rglob("*.json")) == []

    again = user.run(*make_bench(2))
    assert again.returncode == bench.returncode and "nothing to do" in again.stdout, again.stdout + again.stderr
    assert changed_total(again.stdout) == 0


def test_a_stopped_or_killed_command_continues_and_leaves_nothing(user: OrdinaryUser) -> None:
    """Ctrl-C, then kill -9 of the controller, then of what stands around it: each once a run more is there."""
    ends = (
        lambda bench: os.killpg(bench.pid, signal.SIGINT),
        lambda bench: kill(next(pid for pid, argv in user.processes().items() if command_of(argv) == "ansible-playbook")),
        lambda bench: kill(next(pid for pid, argv in user.processes().items() if command_of(argv) == "pairbench")),
    )
    blocks = 5  # each time one run more, and the one under way, are there afterwards; some must be left to the last
    for number, end in enumerate(ends, start=1):
        before = len(records(user))
        with user.start(*make_bench(blocks)) as bench:
            wait_until(lambda before=before: len(records(user)) > before, 300, "a record more")
            end(bench)
            assert bench.stdout is not None
            told = bench.stdout.read()
        assert bench.returncode != 0, told
        assert_nothing_is_left(user)
        if number == 1:
            assert "planned runs" in told, told  # the tables were written
    last = user.run(*make_bench(blocks))
    assert "runs to do" in last.stdout, last.stdout + last.stderr
    assert_measured(rows(user), 2 * blocks, last.returncode, last.stdout)
    assert_nothing_is_left(user)


def test_where_it_is_forbidden_both_ways_out_are_named(user: OrdinaryUser) -> None:
    command = [str(user.clone / ".venv/bin/pairbench"), "rootless", "ansible-playbook", "bench.yml", "-i", "lab"]
    as_user = user.as_user(*command)
    done = subprocess.run(["/usr/bin/python3", "-c", FORBIDDEN, *as_user], cwd=user.clone, capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "user.max_user_namespaces is 0" in done.stderr and "as root or with sudo" in done.stderr
    assert "sysctl -w user.max_user_namespaces=" in done.stderr

    root = subprocess.run(command, cwd=user.clone, capture_output=True, text=True, timeout=60, check=False)
    assert root.returncode == 2 and "this is root already" in root.stderr


def test_missing_tools_are_fetched_without_root(tmp_path: Path) -> None:
    """On a machine that has neither tools nor package lists; there, and not here, apt would have to install them."""
    number = 61000
    root = Root("12", tmp_path)
    try:
        root.up()
        library = "ansible_collections/pairbench/lab/plugins/plugin_utils"
        shutil.copytree(CLONE / "plugins/plugin_utils", root.folder / "opt" / library)
        home = root.folder / "home/somebody"
        home.mkdir()
        os.chown(home, number, number)
        program = (
            "import json, os, pathlib; from ansible_collections.pairbench.lab.plugins.plugin_utils.rootless import tools;"
            "found = tools.with_tools(os.environ, pathlib.Path('/home/somebody/cache'));"
            "print(json.dumps([found['PATH'], found['LD_LIBRARY_PATH']]))"
        )
        ask = inside(root.pid, number, "env", "PYTHONPATH=/opt", "PATH=/usr/bin:/bin", "python3", "-c", program)
        done = subprocess.run(ask, capture_output=True, text=True, timeout=550, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        path, libraries = json.loads(done.stdout.splitlines()[-1])
        for tool in (["iperf3", "--version"], ["sockperf", "--version"], ["ip", "-V"], ["tc", "-V"]):
            shown = subprocess.run(
                inside(root.pid, number, "env", f"PATH={path}", f"LD_LIBRARY_PATH={libraries}", *tool),
                capture_output=True, text=True, timeout=60, check=False,
            )
            assert shown.returncode == 0 and any(letter.isdigit() for letter in shown.stdout), shown.stderr
        outside = [name for name in root.files() if not name.startswith(("/home/somebody", "/opt/"))]
        assert not [name for name in outside if name.endswith("/iperf3")]
        assert {item.name for item in home.iterdir()} == {"cache"}

        again = subprocess.run(ask, capture_output=True, text=True, timeout=60, check=False)
        assert again.returncode == 0 and "Fetching" not in again.stdout
        assert json.loads(again.stdout) == [path, libraries]

        (root.folder / "etc/apt/sources.list").write_text("")
        shutil.rmtree(home / "cache")
        refused = subprocess.run(ask, capture_output=True, text=True, timeout=60, check=False)
        assert "Ask an administrator to install the packages iperf3 iproute2 sockperf" in words(refused.stderr)
        assert list((home / "cache").rglob("*")) == [path for path in (home / "cache").rglob("*") if path.is_dir()]
    finally:
        root.down()
