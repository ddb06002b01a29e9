"""What goes wrong in the middle of a sweep costs what it must and no more, and the same command continues."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, assert_measured, is_measured, measuring, running, stopped, words
from namespaces import Mesh, Pair, kill, run, wait_until
from record_files import files_of_records

pytestmark = pytest.mark.slow

ALL_PAIRS = 6


@pytest.fixture
def bench(mesh: Mesh, tmp_path: Path) -> Bench:
    """Four hosts, throughput only, as quick as it goes."""
    made = Bench(mesh, tmp_path)
    made.variables |= {"pairbench_benchmarks": ["iperf3"], "pairbench_trace": False, "pairbench_rendezvous_seconds": 10}
    return made


def pairs_measured(bench: Bench) -> set[frozenset[str]]:
    return {frozenset((row["server"], row["client"])) for row in bench.table("runs") if is_measured(row)}


def assert_complete(bench: Bench, planned: int) -> None:
    """Continue with the same command: everything planned is there once."""
    again = bench.run("--forks", "8")
    assert_measured(bench.table("runs"), planned, again.returncode, again.stdout + again.stderr)


def records(bench: Bench) -> list[Path]:
    return files_of_records(bench.sweep)


def await_records(bench: Bench, count: int) -> None:
    wait_until(lambda: len(records(bench)) >= count, 120, f"{count} records")


def test_a_cut_link_costs_the_pairs_of_that_host_only(mesh: Mesh, bench: Bench) -> None:
    process = bench.start("--forks", "8", "-e", "pairbench_blocks=2")
    await_records(bench, 2)
    mesh.cut(3)
    output, _errors = process.communicate(timeout=600)
    assert process.returncode == 2, output
    assert pairs_measured(bench) >= {frozenset(pair) for pair in (("one", "two"), ("one", "three"), ("two", "three"))}
    failed = [row for row in bench.table("runs") if row["status"] == "failed"]
    assert failed and all("four" in (row["server"], row["client"]) for row in failed)
    assert "four fell away: its sessions with" in words(output)
    mesh.cut(3, "up")
    # Between two tries the kernel's neighbours settle; the same command needs no other help.
    assert_complete_blocks(bench)


def assert_complete_blocks(bench: Bench) -> None:
    bench.variables["pairbench_blocks"] = 2
    assert_complete(bench, 2 * ALL_PAIRS)


def test_a_host_that_vanishes_and_comes_back_costs_its_own_pairs_only(mesh: Mesh, bench: Bench) -> None:
    bench.variables["pairbench_blocks"] = 2
    process = bench.start("--forks", "8")
    await_records(bench, 2)
    gone = mesh.hosts[3]
    gone.remove()
    output, _errors = process.communicate(timeout=600)
    assert process.returncode == 2, output
    assert pairs_measured(bench) >= {frozenset(pair) for pair in (("one", "two"), ("one", "three"), ("two", "three"))}
    gone.add()
    run("ip", "-n", mesh.switch, "link", "add", "p3", "type", "veth", "peer", "name", "d0", "netns", gone.name)
    run("ip", "-n", mesh.switch, "link", "set", "p3", "master", "sw", "up")
    run("ip", "-n", gone.name, "addr", "add", f"{gone.address}/24", "dev", "d0")
    run("ip", "-n", gone.name, "link", "set", "d0", "up")
    assert_complete_blocks(bench)


def test_a_killed_program_on_a_host_costs_its_session(mesh: Mesh, bench: Bench) -> None:
    process = bench.start("--forks", "8", "-e", "iperf3_seconds=4")
    wait_until(lambda: set(measuring(mesh)) & set(mesh.hosts[0].processes()), 90, "the first session")
    for line in mesh.hosts[0].processes():
        if "python" in line:
            kill(int(line.split()[0]))
    output, _errors = process.communicate(timeout=600)
    assert process.returncode == 2, output
    assert len(pairs_measured(bench)) == ALL_PAIRS - 1
    assert not running(mesh)
    bench.variables["iperf3_seconds"] = 4
    assert_complete(bench, ALL_PAIRS)


@pytest.fixture
def small_results(bench: Bench) -> Iterator[Path]:
    """Results on a file system of their own with little room."""
    folder = bench.directory / "results"
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder))
    yield folder
    run("umount", "-l", str(folder))


def test_a_full_disk_on_the_controller_stops_the_sweep_and_loses_nothing(bench: Bench, small_results: Path) -> None:
    process = bench.start("--forks", "8")
    await_records(bench, 2)
    with (small_results / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"x" * 4096)
        except OSError:
            pass
    output, _errors = process.communicate(timeout=600)
    assert process.returncode == 2, output
    assert "free some space there" in words(output) and "No further session begins" in words(output)
    assert bench.kept_on_hosts(), "the hosts keep what the controller could not write"
    (small_results / "filler").unlink()
    before = len(records(bench))
    assert_complete(bench, ALL_PAIRS)
    assert before < ALL_PAIRS
    assert not bench.kept_on_hosts()


def test_a_host_that_rests_for_long_keeps_its_claim(bench: Bench) -> None:
    """With one pair at a time a host has nothing to do for most of the time, and its sessions do not renew its claim."""
    # In one of three orders of six pairs nobody rests for more than two steps, and no claim needs renewing; not in this one.
    bench.variables |= {"pairbench_mode": "isolated", "pairbench_seed": 1}
    assert bench.run("-e", "pairbench_plan_only=true").returncode == 0
    path = bench.sweep / "plan.json"
    planned = json.loads(path.read_text(encoding="utf-8"))
    planned["design"]["cases"]["iperf3"][0]["seconds"] = 400  # as if these short runs were long ones
    path.write_text(json.dumps(planned), encoding="utf-8")
    done = bench.run()
    assert_measured(bench.table("runs"), ALL_PAIRS, done.returncode, done.stdout + done.stderr)
    renewed = re.findall(r"TASK \[.*Renew the claims.*\n((?:ok: .*\n)*)", done.stdout)
    assert len(renewed) == ALL_PAIRS // 2 and all(lines.count("ok: ") == 4 for lines in renewed), done.stdout


def test_a_host_that_is_away_from_the_start_costs_its_own_pairs_only(mesh: Mesh, bench: Bench) -> None:
    bench.hosts["four"]["ansible_netns"] = "no-such-namespace"
    done = bench.run("--forks", "8")
    assert done.returncode != 0
    assert pairs_measured(bench) == {frozenset(pair) for pair in (("one", "two"), ("one", "three"), ("two", "three"))}
    bench.hosts["four"]["ansible_netns"] = mesh.hosts[3].name
    assert_complete(bench, ALL_PAIRS)


def test_a_new_sweep_plans_over_the_hosts_it_is_limited_to(mesh: Mesh, bench: Bench) -> None:
    first = bench.run("--limit", "one,two,three", "-e", "pairbench_sweep=small")
    assert_measured(bench.table("runs", "small"), 3, first.returncode, first.stdout + first.stderr)
    assert "of 3 planned runs are valid" in words(first.stdout)
    more = bench.run("--forks", "8", "-e", "pairbench_sweep=small")
    assert more.returncode == 2
    assert "the hosts were one (10.10.78.1), three (10.10.78.3), two (10.10.78.2) and are now" in words(more.stdout)


def test_a_limit_measures_a_part_of_a_stored_plan(mesh: Mesh, bench: Bench) -> None:
    process = bench.start("--forks", "8")
    await_records(bench, 1)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=600)
    wait_until(lambda: not running(mesh), 30)
    part = bench.run("--forks", "2", "--limit", "two,three,four")  # one pair at once
    rows = [row for row in bench.table("runs") if "one" not in (row["server"], row["client"])]
    assert_measured(rows, 3, part.returncode, part.stdout + part.stderr)
    assert_complete(bench, ALL_PAIRS)


@pytest.fixture
def two(pair: Pair, tmp_path: Path) -> Bench:
    """Two hosts with one run long enough to find somebody at work."""
    made = Bench(pair, tmp_path)
    made.variables |= {"pairbench_benchmarks": ["iperf3"], "pairbench_trace": False, "iperf3_seconds": 8}
    return made


def said_until(process: subprocess.Popen[str], words: str) -> str:
    """What a controller says until it says that."""
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it never said {words}: {said}")


def test_a_second_controller_of_the_sweep_is_told_who_holds_it_and_waits_when_asked_to(two: Bench) -> None:
    first = two.start()
    wait_until(lambda: measuring(two.lab), 60, "the first controller's session")
    with stopped(first):
        second = two.run()
        third = two.start("-e", "pairbench_wait_seconds=600")
        waiting = said_until(third, "waiting for up to 600 s")
    assert second.returncode == 2
    assert f"pid {first.pid}, since 20" in words(second.stdout + second.stderr)
    assert "pairbench_wait_seconds" in words(second.stdout + second.stderr)
    output, _errors = first.communicate(timeout=600)
    told, _errors = third.communicate(timeout=600)
    assert_measured(two.table("runs"), 1, first.returncode, output)
    assert "nothing to do" in told and third.returncode == first.returncode, waiting + told
    assert len(records(two)) == 1


def test_a_second_sweep_on_a_host_is_told_who_holds_it_and_waits_when_asked_to(two: Bench) -> None:
    first = two.start()
    wait_until(lambda: measuring(two.lab), 60, "the first sweep's session")
    with stopped(first):
        second = two.run("-e", "pairbench_sweep=other")
    assert second.returncode == 2
    text = words(second.stdout + second.stderr)
    assert "one: this host is held by sweep default of" in text and f"pid {first.pid} since 20" in text
    third = two.run("-e", "pairbench_sweep=other", "-e", "pairbench_wait_seconds=90")
    output, _errors = first.communicate(timeout=600)
    assert_measured(two.table("runs"), 1, first.returncode, output)
    assert_measured(two.table("runs", "other"), 1, third.returncode, third.stdout + third.stderr)
    spans = []
    for sweep in ("default", "other"):
        [path] = files_of_records(two.directory / "results" / sweep)
        spans.append(subprocess.run(["zgrep", "-o", '"\\(started\\|ended\\)_at": "[^"]*"', str(path)],
                                    capture_output=True, text=True, check=True).stdout)
    ended = max(line.split('"')[3] for line in spans[0].splitlines() if "ended" in line)
    started = min(line.split('"')[3] for line in spans[1].splitlines() if "started" in line)
    assert ended < started


def test_a_long_session_of_a_killed_controller_is_waited_for_and_collected(two: Bench) -> None:
    """Longer than any run of it may take: a killed controller leaves workers that wait for the end of the session."""
    two.variables |= {
        "iperf3_seconds": 1, "iperf3_parallel": 1,
        "iperf3_matrix": {"length": [str(1024 * count) for count in range(64, 124)]},
    }
    first = two.start()
    # A tool that runs may be one that is asked for its version; what is kept is of the session.
    wait_until(two.kept_on_hosts, 60, "a run that is kept")
    first.kill()
    first.communicate(timeout=600)
    again = two.run()
    assert_measured(two.table("runs"), 60, again.returncode, again.stdout + again.stderr)
    assert "Collected 60 runs that ended while no controller was there" in again.stdout
    assert len(records(two)) == 60
