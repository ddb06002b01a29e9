"""Exactness of the counts, shown against the tools themselves and against another probe."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import packages
import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._tracing import tracer as _tracer
from ansible_collections.pairbench.lab.plugins.plugin_utils.tracing.syscall_names import resolve
from counts import by_thread_name
from namespaces import run, wait_until
from roots import Root

DD_THREAD = "dd"
FIRST_CALLS = Path(__file__).resolve().parents[1] / "support" / "first_calls.c"
PORT = str(10_000 + os.getpid() % 20_000)  # on the machine's own loopback, where others may serve as well
FIRST_NUMBERS = range(1001, 1401)


def traced(
    tracer: dict[str, Any], argv: list[str], directory: Path, mode: str = "count", family: bool = False
) -> dict[tuple[str, str], int]:
    """Calls by (thread name, tracepoint name) of a command, counted as a run's are."""
    output = directory / "ours.json"
    command = _tracer.command(
        tracer["path"], mode, tracer["probe"], argv, str(output), str(directory / "ours.bt"), family
    )
    subprocess.run(command, env=_tracer.environment(), check=True, capture_output=True, timeout=60)
    calls = by_thread_name(output.read_text())
    return {(comm, resolve(number, os.uname().machine) or str(number)): value for (comm, number), value in calls.items()}


def test_two_block_counts_of_dd_differ_by_exactly_the_difference(tracer: dict[str, Any], tmp_path: Path) -> None:
    found = [
        traced(tracer, [shutil.which("dd") or "", "if=/dev/zero", "of=/dev/null", "bs=1", f"count={count}"], tmp_path)
        for count in (10_000, 34_567)
    ]
    for call in ("sys_enter_read", "sys_enter_write"):
        assert found[1][DD_THREAD, call] - found[0][DD_THREAD, call] == 24_567


@pytest.mark.parametrize("mode", ["count", "time"])
@pytest.mark.parametrize("family", [True, False])
def test_the_calls_of_children_are_counted_where_they_are_asked_for(
    tracer: dict[str, Any], tmp_path: Path, mode: str, family: bool
) -> None:
    """Three generations: timeout, a shell, and eight dd at the same time, of which none may lose a call."""
    script = tmp_path / "eight.sh"
    script.write_text("for i in 1 2 3 4 5 6 7 8; do dd if=/dev/zero of=/dev/null bs=1 count=5000 & done; wait\n")
    found = traced(tracer, [shutil.which("timeout") or "", "60", "sh", str(script)], tmp_path, mode, family)
    assert ("timeout", "sys_enter_execve") in found or ("timeout", "sys_enter_openat") in found
    if not family:
        assert not any(comm in (DD_THREAD, "sh") for comm, _call in found)
        return
    # Each dd reads its own libraries too, so the writes are exactly those of its blocks and of its three closing lines.
    alone = traced(tracer, [shutil.which("dd") or "", "if=/dev/zero", "of=/dev/null", "bs=1", "count=5000"], tmp_path)
    for call in ("sys_enter_read", "sys_enter_write"):
        assert found[DD_THREAD, call] == 8 * alone[DD_THREAD, call]


def test_our_counts_equal_those_of_a_probe_on_every_tracepoint(tracer: dict[str, Any], tmp_path: Path) -> None:
    """The probe that people use by hand counts the same process at the same time: every row must be equal."""
    client = tmp_path / f"iperf3_{os.getpid()}"  # a name of its own tells its rows from every other process's
    shutil.copy(shutil.which("iperf3") or "", client)
    script, output = tmp_path / "by_hand.bt", tmp_path / "by_hand.txt"
    script.write_text("tracepoint:syscalls:sys_enter_* { @total[comm, probe] = count(); }\n")
    environment = os.environ | {"BPFTRACE_MAX_PROBES": "1024", "BPFTRACE_MAP_KEYS_MAX": "16384",
                                "BPFTRACE_MAX_MAP_KEYS": "16384"}
    server = subprocess.Popen(["timeout", "100", "iperf3", "-s", "-1", "-p", PORT, "-B", "127.0.0.1"],
                              stdout=subprocess.DEVNULL)
    by_hand = subprocess.Popen(["timeout", "-s", "INT", "90", tracer["path"], "-o", str(output), str(script)],
                               env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: probes_attached(by_hand), 40, "the attachment of every tracepoint")
        ours = traced(tracer, [str(client), "-c", "127.0.0.1", "-p", PORT, "-t", "2", "-P", "4", "-J"], tmp_path)
    finally:
        by_hand.send_signal(2)
        by_hand.wait(300)
        server.wait(300)
    theirs = {
        (comm, call): int(count)
        for comm, call, count in re.findall(
            r"@total\[(.+), tracepoint:syscalls:(sys_enter_\w+)\]: (\d+)", output.read_text()
        )
        if comm == client.name
    }
    ours = {key: value for key, value in ours.items() if key[0] == client.name}
    assert sum(ours.values()) > 1000
    assert ours == theirs


@pytest.fixture(scope="module")
def first_calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static program: two threads make each of 400 calls for the first time together."""
    if not shutil.which("cc") and not shutil.which("tcc"):
        packages.install("tcc", "libc6-dev")
    program = tmp_path_factory.mktemp("first_calls") / "first_calls"
    run(shutil.which("cc") or "tcc", "-static", "-o", str(program), str(FIRST_CALLS), "-lpthread")
    return program


def test_threads_that_make_a_call_for_the_first_time_together_are_both_counted(
    tracer: dict[str, Any], first_calls: Path, tmp_path: Path
) -> None:
    output = tmp_path / "ours.json"
    argv = _tracer.command(tracer["path"], "count", tracer["probe"], [str(first_calls)], str(output),
                           str(tmp_path / "ours.bt"))
    run(*argv, env=_tracer.environment())
    assert_each_counted_twice(output.read_text())


@pytest.mark.slow
def test_no_first_call_is_lost_by_the_tracer_of_debian_13(first_calls: Path, tmp_path: Path) -> None:
    """bpftrace 0.23 drops the second of two calls that add the same key at once, and says so."""
    root = Root("13", tmp_path)
    root.up()
    try:
        told = ""
        for step in ("update", "install --yes --no-install-recommends bpftrace"):
            done = root.run("apt-get", *step.split())
            told += done.stdout + done.stderr
            assert done.returncode == 0, told
        shutil.copy(first_calls, root.folder / "root")
        root.run("mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing")
        for probe in _tracer.PROBES:
            (root.folder / "root/ours.bt").write_text(_tracer.script_text("count", probe))
            done = root.run("bpftrace", "-f", "json", "-o", "/root/ours.json", "/root/ours.bt",
                            "-c", "/root/first_calls")
            assert done.returncode == 0, done.stderr
            assert_each_counted_twice((root.folder / "root/ours.json").read_text())
    finally:
        root.down()


def assert_each_counted_twice(output: str) -> None:
    assert "helper_error" not in output
    calls = by_thread_name(output)
    assert {number: calls.get(("first_calls", number)) for number in FIRST_NUMBERS} == dict.fromkeys(FIRST_NUMBERS, 2)


def probes_attached(process: subprocess.Popen[bytes]) -> bool:
    """Whether bpftrace holds one perf event per system-call tracepoint."""
    events = Path("/sys/kernel/tracing/events/syscalls")
    wanted = sum(1 for entry in events.iterdir() if entry.name.startswith("sys_enter_"))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    count = 0
    for pid in children:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                count += "perf_event" in str(descriptor.readlink())
            except OSError:
                continue
    return count >= wanted


def self_test_under(*launcher: str) -> dict[str, Any]:
    """The self-test in a process that lacks something."""
    code = (
        "import json; from ansible_collections.pairbench.lab.plugins.module_utils._tracing.tracer import self_test; "
        "print(json.dumps(self_test()))"
    )
    done = subprocess.run([*launcher, sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
                          check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_a_host_without_tracefs_is_told_how_to_mount_it() -> None:
    hidden = self_test_under(
        "unshare", "-m", "sh", "-c",
        'umount -q -R /sys/kernel/tracing /sys/kernel/debug; mount -t tmpfs none /sys/kernel/tracing; exec "$0" "$@"',
    )
    assert not hidden["available"]
    assert "mount -t tracefs tracefs /sys/kernel/tracing" in hidden["reason"]


def test_a_host_that_may_not_use_bpf_says_what_the_tracer_said() -> None:
    refused = self_test_under("setpriv", "--bounding-set=-bpf,-perfmon,-sys_admin", "--inh-caps=-all")
    assert not refused["available"]
    assert "counted nothing" in refused["reason"]


def test_a_user_who_is_not_root_is_told_so() -> None:
    user = self_test_under("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    assert not user["available"] and "needs root" in user["reason"]
