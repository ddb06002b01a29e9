"""The main job end to end, with the real tools, as a user runs it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from bench import Bench, assert_measured, changed_total, is_measured, running, words
from namespaces import Pair, wait_until
from record_files import files_of_records


@pytest.fixture
def bench(pair: Pair, tmp_path: Path) -> Bench:
    return Bench(pair, tmp_path)


def assert_each_planned_run_once(bench: Bench, planned: int, done: subprocess.CompletedProcess[str]) -> None:
    assert_measured(bench.table("runs"), planned, done.returncode, done.stdout + done.stderr)


def test_the_main_job(bench: Bench) -> None:
    done = bench.run("-e", "pairbench_blocks=2")
    assert_each_planned_run_once(bench, 2 * 2 * 2, done)
    samples = bench.table("samples")
    assert {"throughput_received", "latency_p50", "host_cpu_busy_server", "syscalls_per_message_client"} <= {
        row["metric"] for row in samples
    }
    calls = bench.table("syscalls")
    assert {(row["side"], row["target"]) for row in calls} == {("server", "process"), ("client", "process")}
    assert {row["comm"] for row in calls} == {"iperf3", "sockperf"}
    untraced = {row["run_id"] for row in bench.table("runs") if row["traced"] == "false"}
    assert untraced and not untraced & {row["run_id"] for row in calls}
    servers = {row["benchmark"]: row["server"] for row in bench.table("runs")}
    assert servers == {"iperf3": "one", "sockperf": "two"}  # the defaults of the notes that people keep
    assert bench.table("summary") and bench.table("hosts")
    assert "namespace one as server, namespace two as client" in done.stdout
    for word in ("throughput", "latency", "sys_enter_sendto", "runs.csv"):
        assert word in done.stdout, word
    assert not running(bench.pair)

    before = {path: path.read_bytes() for path in bench.sweep.glob("*.csv")}
    again = bench.run("-e", "pairbench_blocks=2")
    assert again.returncode == done.returncode, again.stdout + again.stderr
    assert changed_total(again.stdout) == 0
    assert "nothing to do" in again.stdout
    alone = bench.run("--limit", "one")
    assert alone.returncode == 2 and "fewer than two hosts to measure between (one)" in words(alone.stdout)
    assert {path: path.read_bytes() for path in bench.sweep.glob("*.csv")} == before


def sent_and_asked(output: str) -> tuple[int, int]:
    """How often our modules were sent to hosts, and how often the program that stays there was asked instead."""
    return (
        len(re.findall(r"Using module file \S*/plugins/modules/(?:probe|session)\.py", output)),
        len(re.findall(r"python3 -I -S /run/pairbench/code-[0-9a-f]{16}/start\.py", output)),
    )


def test_a_module_is_sent_only_where_nothing_can_be_piped_to_the_program_that_stays_on_the_host(bench: Bench) -> None:
    bench.hosts["two"]["ansible_pipelining"] = False
    done = bench.run("-vvv", "-e", "pairbench_benchmarks=iperf3", "-e", "pairbench_trace=false")
    assert_each_planned_run_once(bench, 1, done)
    # Each host is looked at, measures, and is given back; what gives a host back is not among the modules that are counted.
    assert sent_and_asked(done.stdout) == (2, 3)


MOST_PROGRAMS_OF_A_SESSION = 34
"""What both ends of a session with a traced and an untraced run execute, Ansible's part of it included.

On each host, for its one task: sh three times, sleep (both of Ansible and of the connection), nsenter and python3; once,
for the user of the benchmark: setpriv, which is asked what it can do, and setpriv with test; for each of the two runs:
timeout, setpriv and iperf3; for the traced one: bpftrace, and a sh that it starts.
"""


@pytest.mark.usefixtures("tracer")  # which has proved itself before the first pass, so that both passes have the same to do
def test_one_more_session_costs_each_host_one_task_and_few_processes(bench: Bench) -> None:
    def measured(blocks: int) -> tuple[str, Counter[str]]:
        done, programs = bench.run_counted("-vvv", "-e", "pairbench_benchmarks=iperf3", "-e", f"pairbench_blocks={blocks}")
        assert_each_planned_run_once(bench, 2 * blocks, done)
        return done.stdout, programs

    (first, before), (second, after) = measured(1), measured(3)  # a session, and two
    # Each host is looked at, measures, and is given back; no module is sent for that.
    assert (sent_and_asked(first), sent_and_asked(second)) == ((0, 6), (0, 8))
    for what in ("TASK ", "<one> EXEC ", "<two> EXEC "):
        assert len(re.findall(f"^{what}", second, re.M)) == len(re.findall(f"^{what}", first, re.M)) + 1, what
    assert after["iperf3"] == before["iperf3"] + 4
    assert after.total() - before.total() <= MOST_PROGRAMS_OF_A_SESSION, f"{after}, and before {before}"


ONE_AFTER_THE_OTHER = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: pairbench.lab.iperf3, tasks_from: run}
      vars: {pairbench_sweep: throughput, pairbench_trace: false}
    - ansible.builtin.import_role: {name: pairbench.lab.sockperf, tasks_from: run}
      vars: {pairbench_sweep: latency, sockperf_direction: both}
"""


def test_the_roles_of_the_benchmarks_measure_alone_and_one_after_the_other(bench: Bench) -> None:
    playbook = bench.directory / "play.yml"
    playbook.write_text(ONE_AFTER_THE_OTHER)
    bench.playbook = str(playbook)
    done = bench.measure()
    assert done.returncode == 0, done.stdout + done.stderr
    tables = {name: bench.table("runs", name) for name in ("throughput", "latency")}
    assert [(row["benchmark"], row["server"], row["status"]) for row in tables["throughput"]] == [
        ("iperf3", "one", "valid")
    ]
    assert sorted((row["benchmark"], row["server"], row["traced"]) for row in tables["latency"]) == [
        ("sockperf", host, traced) for host in ("one", "two") for traced in ("false", "true")
    ]
    assert bench.table("summary", "throughput") and bench.table("syscalls", "latency")


def test_hosts_stay_in_step_whatever_strategy_is_configured(bench: Bench) -> None:
    done = bench.run("-e", '{"pairbench_benchmarks": ["iperf3"], "pairbench_trace": false}', ANSIBLE_STRATEGY="free",
                     ANSIBLE_CALLBACKS_ENABLED="pairbench.lab.summary")
    assert_each_planned_run_once(bench, 1, done)


def test_time_mode_gives_time_per_call(bench: Bench) -> None:
    done = bench.measure("-e", '{"bpftrace_mode": "time", "pairbench_benchmarks": ["sockperf"]}')
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [row for row in bench.table("syscalls") if row["syscall"] == "sys_enter_recvfrom"]
    assert {row["side"] for row in rows} == {"server", "client"}
    for row in rows:
        assert 100 < int(row["time_ns"]) / int(row["calls"]) < 1e9


def test_check_mode_prints_the_plan_and_changes_nothing(bench: Bench) -> None:
    done = bench.run("--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert changed_total(done.stdout) == 0 or not bench.sweep.exists()
    assert not (bench.directory / "results").exists()
    text = words(done.stdout)
    assert "iperf3" in text and "sockperf" in text and "one" in text and "two" in text
    assert not running(bench.pair)

    [seed] = re.findall(r"with -e (pairbench_seed=\d+) the sweep is the one shown here", text)
    order = re.compile(r"^  block .*", re.MULTILINE)
    assert order.findall(bench.run("--check", "-e", seed).stdout) == order.findall(done.stdout) != []


def test_a_missing_record_is_measured_again_and_nothing_else(bench: Bench) -> None:
    bench.run("-e", "pairbench_trace=false")
    records = files_of_records(bench.sweep)
    assert len(records) == 2
    kept = records[1].read_bytes()
    records[0].unlink()
    again = bench.run("-e", "pairbench_trace=false")
    assert changed_total(again.stdout) == 2  # both ends of one session
    assert records[1].read_bytes() == kept and records[0].exists()
    assert_each_planned_run_once(bench, 2, again)


def controllers(bench: Bench) -> list[str]:
    """Processes of ansible-playbook that work on this inventory."""
    inventory = str(bench.directory / "lab.yml").encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if inventory in words and any(word.endswith(b"ansible-playbook") for word in words):
                found.append(path.parent.name)
    return found


def interrupted(bench: Bench, number: int, group: bool) -> str:
    """Start the main job, end its controller in the middle of the second session, then continue; what the first said."""
    process = bench.start("-e", "iperf3_seconds=4", "-e", "sockperf_seconds=4")
    wait_until(lambda: len(files_of_records(bench.sweep)) >= 2, 90, "the first session's records")
    bench.pair.await_traffic()  # of the second session
    if group:
        os.killpg(process.pid, number)
    else:
        os.kill(process.pid, number)
    output, _errors = process.communicate(timeout=600)
    assert process.returncode != 0
    wait_until(lambda: not running(bench.pair), 60, "the end of every tool")
    assert all(host.listening() == "" for host in bench.pair.hosts)
    wait_until(lambda: not controllers(bench), 60, "the end of every process of the controller")
    kept = {path: path.read_bytes() for path in files_of_records(bench.sweep)}
    assert len(kept) >= 2
    again = bench.run("-e", "iperf3_seconds=4", "-e", "sockperf_seconds=4")
    assert_each_planned_run_once(bench, 4, again)
    assert all(path.read_bytes() == content for path, content in kept.items())
    return str(output)


def test_a_killed_controller_loses_nothing_and_leaves_nothing(bench: Bench) -> None:
    interrupted(bench, signal.SIGKILL, group=False)


def test_a_killed_controller_leaves_no_process_that_waits_to_be_heard(bench: Bench) -> None:
    # Results of this size do not fit into the pipe to a controller that reads no more.
    bench.variables |= {"pairbench_benchmarks": ["iperf3"], "iperf3_parallel": 48, "iperf3_seconds": 5}
    process = bench.start()
    wait_until(bench.kept_on_hosts, 90, "a run that is kept")
    process.kill()
    process.communicate(timeout=600)
    wait_until(lambda: not running(bench.pair), 60, "the end of every tool")
    wait_until(lambda: not controllers(bench), 30, "the end of every process of the controller")


def test_what_is_collected_is_not_counted_as_still_to_be_done(bench: Bench) -> None:
    process = bench.start("-e", "pairbench_trace=false", "-e", "iperf3_seconds=4", "-e", "sockperf_seconds=4")
    titles = r"TASK .*bench : (iperf3|sockperf), block"
    assert process.stdout is not None
    assert any(re.search(titles, line) for line in process.stdout)
    bench.pair.await_traffic()
    process.kill()
    process.communicate(timeout=600)
    wait_until(lambda: not running(bench.pair), 60, "the end of every tool")
    again = bench.run("-e", "pairbench_trace=false", "-e", "iperf3_seconds=4", "-e", "sockperf_seconds=4")
    assert_each_planned_run_once(bench, 2, again)
    assert "Collected 1 run that" in again.stdout and "[1/1 runs, 100 %, done]" in again.stdout


def test_ctrl_c_loses_nothing_and_leaves_nothing(bench: Bench) -> None:
    output = interrupted(bench, signal.SIGINT, group=True)
    assert "Traceback" not in output and "runs.csv" in output
    assert re.search("[0-2] of 4 planned runs are valid", words(output)), output  # some may have been squeezed


def test_an_invalid_run_is_a_record_and_fails_the_play(bench: Bench) -> None:
    """A server that something else kills in the middle of a run."""
    process = bench.start("-e", '{"pairbench_benchmarks": ["iperf3"], "pairbench_trace": false, "iperf3_seconds": 5}')
    bench.pair.await_traffic(seconds=120)
    assert bench.pair.server.kill("iperf3")
    output, _errors = process.communicate(timeout=600)
    assert process.returncode == 2, output
    [row] = bench.table("runs")
    assert row["status"] in ("invalid", "failed") and row["reason"]
    assert not [sample for sample in bench.table("samples") if sample["value"] in ("0", "0.0")
                and sample["metric"].startswith("throughput")]
    assert "0 of 1 planned runs are valid" in words(output)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-e", "pairbench_blocks=0"], "pairbench_blocks is 0; it must be at least 1"),
        (["-e", "iperf3_parallel=500"], "iperf3_parallel is 500; it must be from 1 to 128"),
        (["-e", "iperf3_seconds=soon"], "iperf3_seconds"),
        (["-e", "iperf3_protocol=sctp"], "value of iperf3_protocol must be one of"),
        (["-e", "iperf3_port=5200"], "iperf3_port and pairbench_control_port are both 5200"),
        (["-e", "pairbench_sweep=../x"], "pairbench_sweep is '../x'"),
        (["--limit", "one"], "fewer than two hosts"),
        (["--forks", "1"], "a round has 1 pair whose 2 ends must run at the same time: use --forks 2"),
    ],
)
def test_bad_values_fail_before_anything_is_touched(bench: Bench, arguments: list[str], sentence: str) -> None:
    done = bench.run(*arguments)
    assert done.returncode == 2 or done.returncode == 1, done.stdout
    assert sentence in words(done.stdout + done.stderr)
    assert not (bench.directory / "results").exists()


def test_an_inventory_without_hosts_is_refused(bench: Bench) -> None:
    bench.hosts.clear()
    done = bench.run()
    assert done.returncode == 2, done.stdout
    assert "fewer than two hosts to measure between (none)" in words(done.stdout + done.stderr)
    assert not (bench.directory / "results").exists()


def test_the_callback_must_be_on(bench: Bench) -> None:
    done = bench.run(ANSIBLE_FORCE_COLOR="0")
    assert done.returncode == 2
    assert "callbacks_enabled = pairbench.lab.summary" in words(done.stdout + done.stderr)


@pytest.mark.parametrize("addresses", [("10.10.77.1", "10.10.77.1"), ("fd00:77::1", "fd00:0077:0:0::1")])
def test_a_duplicate_address_names_both_hosts(bench: Bench, addresses: tuple[str, str]) -> None:
    for host, address in zip(bench.hosts.values(), addresses, strict=True):
        host["pairbench_address"] = address
    done = bench.run()
    assert done.returncode == 2
    assert f"one and two have the same pairbench_address {addresses[0]}" in words(done.stdout + done.stderr)


def test_an_address_that_is_not_on_the_host_is_named(bench: Bench) -> None:
    bench.hosts["two"]["pairbench_address"] = "10.10.77.99"
    done = bench.run()
    assert done.returncode == 2
    assert "two: the address 10.10.77.99 is not on this host" in words(done.stdout + done.stderr)
    bench.hosts["two"]["pairbench_address"] = bench.pair.client.address
    mended = bench.run("--check")
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert f"two ({bench.pair.client.address})" in mended.stdout


def test_a_taken_port_is_named(bench: Bench) -> None:
    squatter = subprocess.Popen([*bench.pair.server.enter, "iperf3", "-s"], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: "5201" in bench.pair.server.listening())
        done = bench.run()
    finally:
        squatter.kill()
        squatter.wait()
    assert done.returncode == 2
    text = words(done.stdout + done.stderr)
    assert f"one: tcp port 5201 is taken by iperf3 (pid {squatter.pid})" in text
    assert "choose another port with iperf3_port" in text


def test_no_root_is_named(bench: Bench) -> None:
    bench.hosts["two"] |= {"ansible_become": True, "ansible_become_method": "ansible.builtin.su",
                           "ansible_become_user": "nobody", "ansible_become_flags": "-s /bin/sh"}
    done = bench.run()
    assert done.returncode != 0
    assert "two: no root" in words(done.stdout + done.stderr)


NOT_ROOT = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=+dac_override",
            "--ambient-caps=+dac_override"]
"""Nobody, who reads every file all the same, wherever this clone lies."""


@pytest.mark.parametrize(
    ("group", "sentence"),
    [
        ("", "no root: entering a network namespace needs it, and sudo -n cannot give it"),
        ("netns_lab", "namespaces of your own by putting pairbench rootless before the command"),
    ],
)
def test_a_user_without_root_is_told_so(pair: Pair, group: str, sentence: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)  # Ansible asks for the user's own rights to the inventory
        bench = Bench(pair, Path(directory))
        bench.children = {group: {"hosts": {name: {} for name in bench.hosts}}} if group else {}
        done = subprocess.run([*NOT_ROOT, *bench.command()], cwd=directory, capture_output=True, text=True, check=False,
                              timeout=60, env=bench.environment() | {"HOME": directory})
    assert done.returncode == 2, done.stdout + done.stderr
    text = words(done.stdout + done.stderr)
    assert sentence in text and "let sudo ask this user for no password" in text


def interpreter(bench: Bench, name: str, line: str) -> str:
    """A Python interpreter for a host that does something first."""
    path = bench.directory / name
    path.write_text(f'#!/bin/sh\n{line} /usr/bin/python3 "$@"\n')
    path.chmod(0o755)
    return str(path)


def test_a_host_that_may_not_use_bpf_goes_on_untraced_and_says_so(bench: Bench) -> None:
    without_bpf = interpreter(bench, "python-without-bpf",
                              "exec setpriv --bounding-set=-bpf,-perfmon,-sys_admin --inh-caps=-all")
    for host in bench.hosts.values():
        host["ansible_python_interpreter"] = without_bpf
    # Entering a namespace is done before the interpreter; only what runs on the host lacks the right.
    done = bench.measure("-e", '{"pairbench_benchmarks": ["iperf3"]}')
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Its runs go on untraced" in words(done.stdout + done.stderr)
    runs = bench.table("runs")
    assert [row["traced"] for row in runs] == ["false", "false"]
    assert [row["status"] for row in runs] == ["valid", "valid"]
    assert any("tracing_unavailable" in row["checks"] for row in runs)
    assert bench.table("syscalls") == []

    required = bench.run("-e", '{"pairbench_benchmarks": ["iperf3"], "bpftrace_required": true, "pairbench_sweep": "b"}')
    assert required.returncode == 2
    assert "bpftrace_required is true" in words(required.stdout + required.stderr)


def test_a_host_that_may_not_mount_tracefs_goes_on_untraced_and_says_so(bench: Bench) -> None:
    hidden = interpreter(
        bench, "python-without-tracefs",
        "exec unshare -m sh -c 'umount -qR /sys/kernel/tracing /sys/kernel/debug; mount -t tmpfs none /sys/kernel/tracing; "
        'exec setpriv --bounding-set=-sys_admin --inh-caps=-all "$@"\' sh',
    )
    for host in bench.hosts.values():
        host["ansible_python_interpreter"] = hidden
    done = bench.measure("-e", '{"pairbench_benchmarks": ["iperf3"]}')
    assert done.returncode == 0, done.stdout + done.stderr
    text = words(done.stdout + done.stderr)
    assert "one: tracefs is not mounted" in text and "Its runs go on untraced" in text
    assert {(row["traced"], row["status"]) for row in bench.table("runs")} == {("false", "valid")}

    required = bench.run("-e", "bpftrace_required=true", "-e", "pairbench_sweep=b")
    assert required.returncode == 2
    text = words(required.stdout + required.stderr)
    assert "one: the kernel's tracing files cannot be mounted" in text and "set bpftrace_required: false" in text


def test_different_iperf3_versions_are_refused_under_udp(bench: Bench) -> None:
    other = bench.directory / "iperf3"
    other.write_text("#!/bin/sh\necho 'iperf 3.99 (cJSON 1.7.15)'\n")
    other.chmod(0o755)
    bench.hosts["two"]["ansible_python_interpreter"] = interpreter(
        bench, "python-with-other-path", f"PATH={bench.directory}:$PATH exec"
    )
    done = bench.run("-e", "iperf3_protocol=udp", "-e", "iperf3_bitrate=10M")
    assert done.returncode == 2
    text = words(done.stdout + done.stderr)
    assert "one and two: iperf3 is" in text and "3.99 on the client" in text
    assert not files_of_records(bench.sweep)


def test_udp_reports_loss_and_jitter(bench: Bench) -> None:
    done = bench.measure("-e", "iperf3_protocol=udp", "-e", "iperf3_bitrate=10M",
                         "-e", '{"pairbench_benchmarks": ["iperf3"], "pairbench_trace": false}')
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"throughput_received", "loss", "jitter"} <= {row["metric"] for row in bench.table("samples")}


def test_another_plan_under_the_same_name_is_refused(bench: Bench) -> None:
    bench.run("-e", '{"pairbench_benchmarks": ["iperf3"], "pairbench_trace": false}')
    assert all(map(is_measured, bench.table("runs")))
    done = bench.run("-e", '{"pairbench_benchmarks": ["iperf3"], "pairbench_trace": false}', "-e", "iperf3_parallel=2")
    assert done.returncode == 2
    text = words(done.stdout + done.stderr)
    assert "iperf3_cases was" in text and "pairbench_sweep=NAME" in text


def test_a_missing_tool_that_may_not_be_installed_is_named(bench: Bench) -> None:
    tools = bench.directory / "tools"
    tools.mkdir()
    for folder in ("/usr/bin", "/usr/sbin", "/bin", "/sbin"):
        for path in Path(folder).iterdir():
            if path.name != "sockperf" and not (tools / path.name).exists():
                (tools / path.name).symlink_to(path)
    bench.hosts["two"]["ansible_python_interpreter"] = interpreter(bench, "python-of-two", f"PATH={tools} exec")
    done = bench.run("-e", "sockperf_install=false")
    assert done.returncode == 2
    text = words(done.stdout + done.stderr)
    assert "two: sockperf is not installed and sockperf_install is false" in text
    assert not files_of_records(bench.sweep)


def test_sockperf_over_tcp_finds_its_port_free_for_every_run(bench: Bench) -> None:
    done = bench.run("-e", '{"pairbench_benchmarks": ["sockperf"], "sockperf_protocol": "tcp"}')
    assert_each_planned_run_once(bench, 2, done)
