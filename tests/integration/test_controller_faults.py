"""Whatever stops, ends or starves the controller: what was measured is kept, nothing is left, the same command continues.

A matrix of faults and moments over the real main job. The passes of one test follow each other in one sweep: each is hit
at another moment, and the next one, with the same command, has to go on from what the one before left.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bench import Bench, assert_measured, is_measured, running, words
from namespaces import Mesh, Pair, kill, run, wait_until
from record_files import files_of_records

pytestmark = pytest.mark.slow

JUMPING_CLOCK = Path(__file__).parent.parent / "support" / "jumping_clock.c"
DAY_SECONDS = 86400
DROPPED = re.compile(r"Exception ignored in.*?\n *KeyboardInterrupt: *\n", re.S)
TOLD = "the same command collects it and continues"
# Ansible's handler of SIGINT asks all workers whether they live, one of which it may just be replacing by the next.
ANSIBLES_OWN = "probably a bug: process object is closed"


@pytest.fixture
def bench(pair: Pair, tmp_path: Path) -> Iterator[Bench]:
    """Two hosts, throughput only, runs of two seconds; waits that are not in the way of a test."""
    made = quick(Bench(pair, tmp_path))
    yield made
    end_controllers(made)


@pytest.fixture
def four(mesh: Mesh, tmp_path: Path) -> Iterator[Bench]:
    """The same with four hosts."""
    made = quick(Bench(mesh, tmp_path))
    yield made
    end_controllers(made)


def end_controllers(bench: Bench) -> None:
    """Where a test failed, something may still hang."""
    for pid in controllers(bench):
        kill(int(pid))


def quick(made: Bench) -> Bench:
    made.variables |= {
        "pairbench_benchmarks": ["iperf3"], "pairbench_trace": False, "iperf3_seconds": 2, "pairbench_blocks": 3,
        "pairbench_rendezvous_seconds": 20,
    }
    return made


class Pass:
    """One run of the main job that something happens to."""

    def __init__(self, bench: Bench, *arguments: str, **environment: str) -> None:
        self.bench = bench
        self.earlier = len(records(bench))
        self.log = bench.directory / f"pass-{len(list(bench.directory.glob('pass-*')))}.txt"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                bench.command(*arguments), cwd=bench.directory, env=bench.environment() | environment, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    @property
    def dropped(self) -> int:
        """How many interrupts Python has dropped."""
        return len(DROPPED.findall(self.said))

    def await_moment(self, moment: str) -> None:
        wait_until(lambda: MOMENTS[moment](self) or self.process.poll() is not None, 120, f"the moment {moment}")
        assert self.process.poll() is None, f"it ended before the moment {moment}: {self.said}"

    def workers(self) -> list[int]:
        """Processes forked from the controller, each of which waits for a host."""
        return [pid for pid in children(self.process.pid) if b"ansible-playbook" in command_line(pid)]

    def end(self, seconds: float = 600) -> int:
        """The exit status. What went wrong is said by what it printed until then."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it hangs: {self.said}") from None


def records(bench: Bench) -> list[Path]:
    return files_of_records(bench.sweep)


def children(pid: int) -> list[int]:
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(path.parent.name))
    return found


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def modules(bench: Bench, host: int) -> list[int]:
    """Programs of ours that work on a host."""
    lines = bench.lab.hosts[host].processes()
    return [int(line.split()[0]) for line in lines if line.split()[1].startswith("python")]


def clients(bench: Bench) -> list[int]:
    """Clients that measure; a tool that runs may only be asked for its version."""
    pids = [int(line.split()[0]) for line in running(bench.lab)]
    return [pid for pid in pids if b"-c" in command_line(pid).split(b"\0")]


def kept_runs(bench: Bench) -> set[str]:
    """Runs that the hosts keep, and of which there is no record."""
    in_records = {path.name.removesuffix(".json.gz") for path in records(bench)}
    return {path.name.split(".")[0] for path in bench.kept_on_hosts()} - in_records


MOMENTS: dict[str, Callable[[Pass], Any]] = {
    "planning": lambda it: it.workers(),
    "preparing": lambda it: modules(it.bench, 0) or modules(it.bench, 1),
    "a run": lambda it: clients(it.bench),
    # The next run is not yet under way, or has just begun.
    "between runs": lambda it: it.earlier < len(records(it.bench)) < 3,
    "writing tables": lambda it: list(it.bench.sweep.glob("*.csv")) or list(it.bench.sweep.glob(".*.csv.*")),
}


def controllers(bench: Bench) -> list[str]:
    """Processes of ansible-playbook that work on this inventory."""
    inventory = str(bench.directory / "lab.yml").encode()
    paths = Path("/proc").glob("[0-9]*/cmdline")
    return [path.parent.name for path in paths if inventory in command_line(int(path.parent.name)).split(b"\0")]


def assert_nothing_is_left(bench: Bench) -> None:
    wait_until(lambda: not controllers(bench), 90, "the end of every process of the controller")
    wait_until(lambda: not any(host.processes() for host in bench.lab.hosts), 90, "hosts on which nothing runs")
    assert all(host.listening() == "" for host in bench.lab.hosts)


def assert_the_same_command_completes(bench: Bench, planned: int = 3) -> str:
    """Everything planned is there once, what was kept on hosts has been collected, and records have stayed as they were."""
    kept = {path: path.read_bytes() for path in records(bench)}
    again = bench.run()
    told = again.stdout + again.stderr
    assert_measured(bench.table("runs"), planned, again.returncode, told)
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert not bench.kept_on_hosts(), told
    assert_nothing_is_left(bench)
    return told


def kill_controller(it: Pass) -> None:
    it.process.kill()


def kill_worker(it: Pass) -> None:
    os.kill(it.workers()[0], signal.SIGKILL)


def interrupt(it: Pass) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(it.process.pid, signal.SIGINT)


def press_ctrl_c(it: Pass) -> None:
    """As a person does: again where nothing happens, because Python drops what is raised in the middle of a fork."""
    dropped = it.dropped
    interrupt(it)
    wait_until(lambda: it.process.poll() is not None or TOLD in words(it.said) or it.dropped > dropped, 150, "its effect")
    if it.dropped > dropped:
        press_ctrl_c(it)


def press_ctrl_c_twice(it: Pass) -> None:
    interrupt(it)
    time.sleep(0.5)
    interrupt(it)


Hit = Callable[[Pass], None]
MATRIX: list[tuple[str, Hit, list[str]]] = [
    ("SIGKILL of the controller", kill_controller, ["planning", "preparing", "a run", "writing tables"]),
    ("SIGKILL of a worker", kill_worker, ["preparing", "a run"]),
    ("Ctrl-C", press_ctrl_c, ["preparing", "between runs"]),
    ("Ctrl-C twice", press_ctrl_c_twice, ["a run", "writing tables"]),
]


@pytest.mark.parametrize(("hit", "moments"), [line[1:] for line in MATRIX], ids=[line[0] for line in MATRIX])
def test_the_controller_is_hit_at_moments(bench: Bench, hit: Hit, moments: list[str]) -> None:
    for moment in moments:
        it = Pass(bench)
        it.await_moment(moment)
        hit(it)
        status = it.end()
        assert status != 0 or moment == "writing tables", it.said
        assert_nothing_is_left(bench)
        for path in bench.sweep.glob("*.csv"):
            if moment == "writing tables":
                path.unlink()  # the next pass is to write them again, whole
        if moment == "a run" and hit is kill_controller:
            assert kept_runs(bench), "the run under way was finished, and its outputs are kept"
        if hit is not kill_controller and moment != "planning":
            assert "Traceback" not in DROPPED.sub("", it.said) or ANSIBLES_OWN in words(it.said), it.said
            assert moment == "writing tables" or (TOLD in words(it.said) and (bench.sweep / "runs.csv").exists()), it.said
    assert_the_same_command_completes(bench)


def test_a_stopped_controller_goes_on_where_it_was(bench: Bench) -> None:
    it = Pass(bench)
    it.await_moment("a run")
    os.kill(it.process.pid, signal.SIGSTOP)
    wait_until(lambda: not running(bench.lab), 60, "the end of the run")
    os.kill(it.process.pid, signal.SIGCONT)
    assert_measured(bench.table("runs") if it.end() is not None else [], 3, it.process.returncode, it.said)
    assert_nothing_is_left(bench)


def test_a_controller_that_is_stopped_and_killed_leaves_nobody_who_waits_to_be_heard(bench: Bench) -> None:
    # Results of this size do not fit into the pipe to a controller that reads no more.
    bench.variables |= {"iperf3_parallel": 48, "pairbench_blocks": 1}
    it = Pass(bench)
    it.await_moment("a run")
    os.kill(it.process.pid, signal.SIGSTOP)
    wait_until(lambda: not modules(bench, 0) and not modules(bench, 1), 60, "the end of the session")
    it.process.kill()
    it.end()
    assert_nothing_is_left(bench)
    assert "Collected 1 run that ended" in assert_the_same_command_completes(bench, 1)


def test_a_stopped_worker_ends_the_play_with_a_sentence(bench: Bench) -> None:
    it = Pass(bench, "-e", "pairbench_prepare_seconds=30")
    it.await_moment("preparing")
    os.kill(it.workers()[0], signal.SIGSTOP)
    assert it.end() != 0
    assert "The process of Ansible that waited for" in words(it.said) and TOLD in words(it.said), it.said
    assert (bench.sweep / "runs.csv").exists()
    assert_nothing_is_left(bench)
    assert_the_same_command_completes(bench)


def test_a_stopped_module_costs_its_own_pairs_only(four: Bench) -> None:
    """It never meets the other end of its first session, and is not there for the others of the block."""
    four.variables |= {
        "pairbench_blocks": 1, "pairbench_rendezvous_seconds": 5, "pairbench_ready_seconds": 5,
        "pairbench_answer_seconds": 5,
    }
    it = Pass(four, "--forks", "8")
    wait_until(lambda: "iperf3, block 1 of 1" in it.said, 120, "the first session")
    wait_until(lambda: modules(four, 3), 60, "the module on the fourth host")
    for pid in modules(four, 3):
        os.kill(pid, signal.SIGSTOP)
    assert it.end() == 2, it.said
    rows = four.table("runs")
    ours = [row for row in rows if "four" in (row["server"], row["client"])]
    assert all(is_measured(row) for row in rows if row not in ours) and len(rows) == 6, it.said
    assert "four fell away: it gave no answer within" in words(it.said), it.said
    assert "no_answer" in {row["reason"] for row in ours} and not any(is_measured(row) for row in ours), ours
    assert_nothing_is_left(four)
    again = four.run("--forks", "8")
    assert_measured(four.table("runs"), 6, again.returncode, again.stdout + again.stderr)


@contextlib.contextmanager
def read_only(folder: Path, aside: Path) -> Iterator[None]:
    """A folder in which nothing can be written, also not by those who have had it open.

    It is made read-only at an empty folder aside and then bound over the folder in one step: the kernel refuses to make
    read-only what somebody just writes through, and the controller writes at any moment.
    """
    aside.mkdir()
    run("mount", "--bind", str(folder), str(aside))
    try:
        run("mount", "-o", "remount,bind,ro", str(aside))
        run("mount", "--bind", str(aside), str(folder))
        try:
            yield
        finally:
            run("umount", "-l", str(folder))
    finally:
        run("umount", "-l", str(aside))


@contextlib.contextmanager
def no_descriptors(it: Pass) -> Iterator[None]:
    """The controller can open no further file."""
    most = len(list(Path(f"/proc/{it.process.pid}/fd").iterdir()))
    resource.prlimit(it.process.pid, resource.RLIMIT_NOFILE, (most, most))
    yield


@pytest.mark.parametrize("want", ["results that cannot be written", "file descriptors"])
def test_what_the_controller_cannot_write_is_kept_on_the_hosts(bench: Bench, want: str) -> None:
    it = Pass(bench)
    it.await_moment("between runs")
    with read_only(bench.sweep, bench.directory / "aside") if want.startswith("results") else no_descriptors(it):
        assert it.end() != 0, it.said
        assert_nothing_is_left(bench)
        assert len(records(bench)) < 3
    told = words(it.said)
    # Ansible itself does not survive the want of descriptors, and says so with a traceback.
    assert ("could not be written" in told and "Traceback" not in told) or "raise the limit with ulimit -n" in told, it.said
    if want.startswith("results"):
        assert kept_runs(bench), "the session that could not be written is kept"
    assert_the_same_command_completes(bench)


def test_a_wall_clock_that_jumps_changes_nothing(bench: Bench) -> None:
    """Of the controller, and of the hosts, which are namespaces of the same machine: 40 days on, then a day back."""
    library, clock = bench.directory / "clock.so", bench.directory / "clock"
    run("gcc", "-shared", "-fPIC", "-o", str(library), str(JUMPING_CLOCK))
    bench.variables["pairbench_blocks"] = 4
    it = Pass(bench, LD_PRELOAD=str(library), CLOCK_OFFSET_FILE=str(clock))
    it.await_moment("between runs")
    clock.write_text(str(40 * DAY_SECONDS), encoding="utf-8")
    wait_until(lambda: len(records(bench)) >= 2, 90, "a record of next month")
    clock.write_text(str(-DAY_SECONDS), encoding="utf-8")
    status = it.end()
    rows = bench.table("runs")
    assert_measured(rows, 4, status, it.said)
    assert len({row["started_at"][:10] for row in rows}) >= 2, "the clock did not jump"
    assert all(0 < float(row["seconds"]) < 60 for row in rows), rows
    assert_nothing_is_left(bench)
    assert "nothing to do" in assert_the_same_command_completes(bench, 4)


def test_a_playbook_that_stays_stopped_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``pairbench sweep`` runs it: whoever stops it for good does not stop the blocks that follow."""
    from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps import playbook

    monkeypatch.setattr(playbook, "LOOK_SECONDS", 0.5)
    monkeypatch.setattr(playbook, "STOPPED_SECONDS", 3.0)
    monkeypatch.chdir(bench.directory)
    bench.command()
    said: list[str] = []
    log = bench.directory / "log"
    log.touch()  # as `next_log` leaves it
    the_pass = playbook.Pass("pairbench.lab.bench", ["-i", str(bench.directory / "lab.yml")], log, said.append)

    def stop_it() -> None:
        wait_until(lambda: running(bench.lab), 120, "a run")
        the_pass.stop(signal.SIGSTOP)

    stopping = threading.Thread(target=stop_it)
    stopping.start()
    result = the_pass.run()
    stopping.join()
    assert result.returncode != 0 and any("has been stopped (SIGSTOP) for 3 s" in line for line in said), said
    assert_nothing_is_left(bench)
    assert_the_same_command_completes(bench)
