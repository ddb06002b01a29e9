"""The fault matrix of the hosts: what goes wrong on one end or between the two, at every moment, with real processes.

Of each fault: what was measured is kept, the reason is the true one, nothing is left, and the same run executed once more
on the same pair is valid.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import packages
import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge
from namespaces import Host, Pair, finish, run, wait_until

pytestmark = pytest.mark.slow

SECONDS = 2
SLACK_SECONDS, READY_SECONDS, PATIENCE = 5, 6, 3
AT_ONCE = 4
TOOLS = ("iperf3", "sockperf", "bpftrace", "timeout", "setpriv", "taskset")
ROLES = ("server", "client")
PORTS = {"iperf3": 5201, "sockperf": 11111}
CONTROL_PORT = 5200
Ends = dict[str, subprocess.Popen[str]]
Results = dict[str, dict[str, Any] | None]


def runs_of(pair: Pair, tool: str, traced: bool = False, count: int = 1, seconds: int = SECONDS) -> dict[str, Any]:
    """What both ends have to do; limits as short as a busy machine lets them be."""
    if tool == "iperf3":
        commands = {"server": ["iperf3", "-s", "-1", "-J", "-B", pair.server.address],
                    "client": ["iperf3", "-c", pair.server.address, "-J", "-t", str(seconds)]}
    else:
        commands = {"server": ["sockperf", "server", "-i", pair.server.address],
                    "client": ["sockperf", "ping-pong", "-i", pair.server.address, "-t", str(seconds)]}
    common = {"protocol": "tcp" if tool == "iperf3" else "udp", "port": PORTS[tool], "traced": traced,
              "stop": "exits" if tool == "iperf3" else "interrupt", "ready_seconds": READY_SECONDS}
    limits = {"server": seconds + SLACK_SECONDS + READY_SECONDS, "client": seconds + SLACK_SECONDS}
    return {
        role: [common | {"run_id": f"run{number}", "argv": commands[role], "limit_seconds": limits[role]}
               for number in range(count)]
        for role in ROLES
    }  # fmt: skip


def judged(results: Results, spec: dict[str, Any], run_id: str = "run0") -> tuple[str, str]:
    """Status and reason of the record that a controller makes of what the two ends returned."""
    first = spec["client"][0]
    tool, seconds = first["argv"][0], int(first["argv"][first["argv"].index("-t") + 1])
    parameters = {"seconds": seconds, "protocol": first["protocol"]} | ({} if tool == "iperf3" else {"mode": "ping-pong"})
    ends = {role: result["ends"][run_id] if result else None for role, result in results.items()}
    error = None if all(ends.values()) else {"reason": "module_failed", "detail": "it was killed"}
    judgement = judge({
        "schema": 1, "sweep": "sweep1", "configuration": "faults", "attempt": 1, **ends, "error": error,
        "run": {"run_id": run_id, "block": 1, "round": 1, "server": "one", "client": "two", "benchmark": tool, "case": "c",
                "parameters": parameters, "repeat": 1, "traced": first["traced"], "seconds": seconds},
    })  # fmt: skip
    return judgement.status, judgement.reason


@dataclass
class Lab:
    """A pair of hosts with folders of their own for temporary files and for what is kept."""

    pair: Pair
    temporary: Path
    spool: Path

    def start(self, runs: dict[str, Any], only: Mapping[str, dict[str, Any]] = MappingProxyType({}), **changes: Any) -> Ends:
        """Start both ends; ``only`` has what holds for one of them."""
        given = {"spool": str(self.spool), "sweep": "sweep1", "lease_seconds": 60, "patience_seconds": PATIENCE} | changes
        return {role: self.start_end(role, runs[role], **given | only.get(role, {})) for role in ROLES}

    def start_end(self, role: str, runs: list[dict[str, Any]], under: tuple[str, ...] = (), **changes: Any) -> Any:
        return self.pair.start_end(role, runs, ("env", f"TMPDIR={self.temporary}", *under), **changes)

    def kept(self, role: str, run_id: str = "run0") -> dict[str, Any] | None:
        """The END of a run in the spool of one end."""
        host = self.pair.server if role == "server" else self.pair.client
        for path in (self.spool / "sweep1" / host.name).glob(f"{run_id}.*.json"):
            entry = json.loads(path.read_text(encoding="utf-8"))
            if entry["role"] == role:
                end: dict[str, Any] = entry["end"]
                return end
        return None

    def host(self, role: str) -> Host:
        return self.pair.server if role == "server" else self.pair.client

    def pids(self, role: str, name: str) -> list[int]:
        return [int(line.split()[0]) for line in self.host(role).processes() if line.split()[1] == name]

    def signal(self, role: str, name: str, number: int) -> None:
        """Send a signal to the processes of that name on one end."""
        pids = self.pids(role, name)
        assert pids, f"no {name} on the {role}"
        for pid in pids:
            os.kill(pid, number)

    def link(self, state: str) -> None:
        run("ip", "-n", self.pair.server.name, "link", "set", "d0", state)

    def drop(self, role: str, port: int, direction: str = "input") -> None:
        """From now on, packets from or to a port do not reach (or leave) one end any more."""
        rules = f"table inet fault {{ chain c {{ type filter hook {direction} priority 0; "
        rules += f"tcp dport {port} drop; tcp sport {port} drop; }}; }}"
        run(*self.host(role).enter, "nft", rules)

    def mend(self) -> None:
        """Take back what was done to the network."""
        for host in self.pair.hosts:
            subprocess.run([*host.enter, "nft", "delete", "table", "inet", "fault"], check=False, capture_output=True)
        self.link("up")

    def assert_nothing_left(self) -> None:
        for host in self.pair.hosts:
            wait_until(lambda host=host: not tools_of(host), 20, f"the end of {tools_of(host)}")
            wait_until(lambda host=host: host.listening() == "", 10, "sockets that listen no more")

    def assert_measures_again(self, tool: str = "iperf3") -> None:
        """The same run once more; it also removes the temporary files of whoever was killed."""
        self.assert_nothing_left()
        runs = runs_of(self.pair, tool, seconds=1)
        again = {role: finish(child) for role, child in self.start(runs, token="another").items()}
        # The last replies of a sockperf that a busy machine does not let run are late: its run is short, and measured.
        accepted = [("valid", "")] + [("invalid", "short_run")] * (tool == "sockperf")
        assert judged(dict(again), runs) in accepted, told(dict(again))
        self.assert_nothing_left()
        assert not list(self.temporary.iterdir())


def tools_of(host: Host) -> list[str]:
    return [line for line in host.processes() if line.split()[1] in TOOLS]


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """What makes faults: a packet filter, a clock that can be set."""
    missing = [package for program, package in (("nft", "nftables"), ("faketime", "faketime")) if not which(program)]
    if missing:
        packages.install(*missing)


def which(program: str) -> bool:
    return any((Path(folder) / program).exists() for folder in [*os.get_exec_path(), "/usr/sbin"])


def make_lab(pair: Pair, folder: Path) -> Lab:
    made = Lab(pair, folder / "tmp", folder / "spool")
    made.temporary.mkdir(parents=True)
    return made


@pytest.fixture
def lab(pair: Pair, tmp_path: Path) -> Lab:
    return make_lab(pair, tmp_path)


# One process is killed or stopped.


@dataclass(frozen=True)
class Fault:
    """A signal to a process of one end at a moment, and what has to come of it."""

    signal: int
    role: str
    victim: str
    """Name of the process; ``tracer`` and ``guard`` for those, ``module`` for the end itself."""
    moment: str
    """``arming``: the tracer is there and the benchmark is not; ``run``: data flows."""
    reason: str
    tool: str = "iperf3"
    traced: bool = False
    kept: tuple[str, ...] = field(default=ROLES)
    """The ends that return, or have kept, an END of a process that was started."""

    def __str__(self) -> str:
        name = self.tool if self.victim == "benchmark" else self.victim
        traced = "traced" if self.traced else "untraced"
        return f"{signal.Signals(self.signal).name} {self.role} {name} {self.moment} {self.tool} {traced}".replace(" ", "-")


KILL, STOP, INT = signal.SIGKILL, signal.SIGSTOP, signal.SIGINT
FAULTS = (
    Fault(KILL, "client", "benchmark", "run", "process_killed"),
    Fault(KILL, "server", "benchmark", "run", "process_killed"),
    Fault(KILL, "client", "benchmark", "run", "process_killed", traced=True),
    Fault(KILL, "server", "benchmark", "run", "process_killed", traced=True),
    Fault(KILL, "client", "benchmark", "run", "process_killed", tool="sockperf"),
    Fault(KILL, "server", "benchmark", "run", "process_killed", tool="sockperf", traced=True),
    Fault(KILL, "client", "guard", "run", "process_killed"),
    Fault(KILL, "client", "tracer", "run", "tracer_killed", traced=True),
    Fault(KILL, "server", "tracer", "run", "tracer_killed", traced=True),
    Fault(KILL, "server", "tracer", "run", "tracer_killed", tool="sockperf", traced=True),
    Fault(KILL, "client", "tracer", "arming", "tracer_killed", traced=True),
    Fault(KILL, "server", "tracer", "arming", "tracer_killed", traced=True, kept=("server",)),
    Fault(STOP, "client", "benchmark", "run", "process_stopped"),
    Fault(STOP, "server", "benchmark", "run", "process_stopped"),
    Fault(STOP, "server", "benchmark", "run", "process_stopped", tool="sockperf"),
    Fault(STOP, "client", "guard", "run", "process_stopped"),
    Fault(STOP, "server", "guard", "run", "process_stopped"),
    Fault(STOP, "client", "tracer", "run", "process_stopped", traced=True),
    Fault(STOP, "server", "tracer", "run", "process_stopped", traced=True),
    Fault(STOP, "client", "tracer", "arming", "process_stopped", traced=True),
    Fault(STOP, "server", "tracer", "arming", "process_stopped", traced=True, kept=("server",)),
    Fault(KILL, "client", "module", "run", "module_failed", kept=("server",)),
    Fault(KILL, "server", "module", "run", "module_failed", kept=("client",)),
    Fault(KILL, "server", "module", "arming", "module_failed", traced=True, kept=()),
    Fault(INT, "client", "module", "run", "interrupted"),
    Fault(INT, "server", "module", "run", "interrupted"),
)


@pytest.fixture(scope="module")
def matrix(
    request: pytest.FixtureRequest, tracer: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Fault, Future[None]]]:
    """The faults that are asked for, a few at once: most of the time one of them waits for something."""
    items = [item for item in request.session.items if "matrix" in getattr(item, "fixturenames", ())]
    asked = [item.callspec.params["fault"] for item in items]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            fault: pool.submit(suffer, fault, Pair(800 + number), tmp_path_factory.mktemp("fault"), tracer)
            for number, fault in enumerate(asked)
        }


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_signal_from_outside_is_named_and_costs_this_run_only(matrix: dict[Fault, Future[None]], fault: Fault) -> None:
    matrix[fault].result(timeout=300)


def suffer(fault: Fault, pair: Pair, folder: Path, tracer: dict[str, Any]) -> None:
    """Execute a run on a pair of its own, have the fault, and look at what it costs."""
    try:
        pair.up()
        suffer_in(make_lab(pair, folder), fault, tracer)
    finally:
        pair.down()


def suffer_in(lab: Lab, fault: Fault, tracer: dict[str, Any]) -> None:
    runs = runs_of(lab.pair, fault.tool, fault.traced)
    ends = lab.start(runs, tracer=tracer)
    strike(lab, ends, fault)
    results: Results = {
        role: None if fault.victim == "module" and fault.signal == KILL and role == fault.role else finish(child)
        for role, child in ends.items()
    }
    for child in ends.values():
        child.wait(300)
    assert judged(results, runs) == ("failed", fault.reason), told(results)
    for role in ROLES:
        result = results[role]
        end = result["ends"]["run0"] if result else lab.kept(role)
        assert bool(end and end["started_at"]) == (role in fault.kept), end
        if result and end["started_at"]:
            assert lab.kept(role) == end, "what is kept on the host is what was returned"
    lab.assert_measures_again(fault.tool)


def told(results: Results) -> str:
    """What the two ends said, without what the tools printed in order."""
    short = {}
    for role, result in results.items():
        end = dict(result["ends"]["run0"]) if result else {}
        end |= {name: str(end.get(name))[-300:] for name in ("stdout", "stderr")}
        trace = (end.get("trace") or {}).get("output")
        short[role] = {"problem": result and result["problem"]} | end | {"trace": trace and trace[-300:]}
    return json.dumps(short, indent=1)


def strike(lab: Lab, ends: Ends, fault: Fault) -> None:
    name = {"tracer": "bpftrace", "guard": "timeout", "benchmark": fault.tool}.get(fault.victim, "")
    if fault.moment == "arming":
        wait_until(lambda: lab.pids(fault.role, "bpftrace"), 30, "a tracer")
    else:
        lab.pair.await_traffic()
    if name:
        lab.signal(fault.role, name, fault.signal)
        return
    ends[fault.role].send_signal(fault.signal)
    if fault.signal == INT:  # and once more, by somebody who has no patience
        ends[fault.role].send_signal(INT)


# Who knows nothing of the other end any more: all at once, because each waits for its deadlines.


@dataclass(frozen=True)
class Silence:
    """Something between the two ends that neither is told of."""

    begin: Callable[[Lab, Ends], None]
    end: Callable[[Lab, Ends], None]
    expected: tuple[str, str]
    """Status and reason of the run during which it began."""
    waits_for: tuple[str, ...] = ROLES
    """The ends that have to give up by themselves before it ends."""


def stop(role: str) -> Silence:
    other = "client" if role == "server" else "server"
    return Silence(
        lambda _lab, ends: ends[role].send_signal(STOP), lambda _lab, ends: ends[role].send_signal(signal.SIGCONT),
        ("valid", ""), (other,),
    )


def nothing(_lab: Lab, _ends: Ends) -> None:
    """It ends when the network is mended."""


SILENCES = {
    "client module stopped": stop("client"),
    "server module stopped": stop("server"),
    "control port dropped": Silence(lambda lab, _ends: lab.drop("server", CONTROL_PORT), nothing, ("valid", "")),
    "nothing reaches the client's control port": Silence(
        lambda lab, _ends: lab.drop("client", CONTROL_PORT), nothing, ("valid", "")
    ),
    "nothing leaves the client's control port": Silence(
        lambda lab, _ends: lab.drop("client", CONTROL_PORT, "output"), nothing, ("valid", "")
    ),
    "link down": Silence(lambda lab, _ends: lab.link("down"), nothing, ("failed", "peer_lost")),
    "data port dropped": Silence(
        lambda lab, _ends: lab.drop("client", PORTS["iperf3"]), nothing, ("invalid", "timed_out"), ()
    ),
}


@pytest.fixture
def labs(tmp_path: Path) -> Iterator[dict[str, Lab]]:
    """A lab for each silence."""
    made = {}
    try:
        for number, name in enumerate(SILENCES):
            pair = Pair(900 + number)
            made[name] = make_lab(pair, tmp_path / str(number))
            pair.up()
        yield made
    finally:
        for lab in made.values():
            lab.pair.down()


def test_a_run_that_was_whole_stands_when_only_the_closing_word_is_lost(labs: dict[str, Lab]) -> None:
    """The second run of each session does not take place, and says why."""
    runs, ends = {}, {}
    for name, lab in labs.items():
        runs[name] = runs_of(lab.pair, "iperf3", count=2, seconds=3)
        ends[name] = lab.start(runs[name])
        lab.pair.await_traffic()
        SILENCES[name].begin(lab, ends[name])
    found = {}
    for name, silence in SILENCES.items():
        results = {role: finish(ends[name][role]) for role in silence.waits_for}
        silence.end(labs[name], ends[name])
        results |= {role: finish(ends[name][role]) for role in ROLES if role not in results}
        found[name] = judged(dict(results), runs[name])
        for role in ROLES:
            assert results[role]["ends"]["run0"] == labs[name].kept(role), name
        if name != "data port dropped":
            assert judged(dict(results), runs[name], "run1") == ("failed", "peer_lost"), name
    assert found == {name: silence.expected for name, silence in SILENCES.items()}
    for lab in labs.values():
        lab.mend()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert [*pool.map(Lab.assert_measures_again, labs.values())]


def test_a_link_that_goes_down_and_comes_back_ends_no_session(lab: Lab) -> None:
    runs = runs_of(lab.pair, "iperf3", seconds=4)
    ends = lab.start(runs)
    lab.pair.await_traffic()
    lab.link("down")
    wait_until(lambda: "state DOWN" in run("ip", "-n", lab.pair.server.name, "link", "show", "d0").stdout)
    lab.link("up")
    results = {role: finish(child) for role, child in ends.items()}
    assert [results[role]["problem"] for role in ROLES] == [None, None]
    assert judged(dict(results), runs) == ("valid", "")
    lab.assert_measures_again()


@pytest.mark.parametrize("cut", ["link", "blackhole", "port"])
def test_ends_that_cannot_meet_say_so(lab: Lab, cut: str) -> None:
    if cut == "link":
        lab.link("down")
    elif cut == "blackhole":
        run("ip", "-n", lab.pair.client.name, "route", "add", "blackhole", f"{lab.pair.server.address}/32")
    else:
        lab.drop("server", CONTROL_PORT)
    runs = runs_of(lab.pair, "iperf3")
    results = {role: finish(child) for role, child in lab.start(runs, rendezvous_seconds=1).items()}
    assert judged(dict(results), runs) == ("failed", "peer_lost")
    lab.mend()
    if cut == "blackhole":
        run("ip", "-n", lab.pair.client.name, "route", "del", "blackhole", f"{lab.pair.server.address}/32")
    lab.assert_measures_again()


# A module that is killed loses the run under way at most.


@pytest.mark.parametrize("role", ROLES)
def test_a_killed_module_has_kept_the_runs_before(lab: Lab, role: str) -> None:
    runs = runs_of(lab.pair, "iperf3", count=2, seconds=1)
    ends = lab.start(runs)
    wait_until(lambda: lab.kept(role), 60, "a run that is kept")  # and before the next one, or in it
    ends[role].kill()
    other = "client" if role == "server" else "server"
    result = finish(ends[other])
    ends[role].wait(300)
    results = {other: result, role: {"ends": {"run0": lab.kept(role)}}}
    assert judged({name: results[name] for name in ROLES}, runs) == ("valid", "")
    assert result["ends"]["run1"]["problem"]["reason"] == "peer_lost"
    lab.assert_measures_again()


@pytest.mark.parametrize("number", [KILL, STOP], ids=["killed", "stopped"])
def test_a_module_that_does_not_come_is_missed(lab: Lab, number: int) -> None:
    runs = runs_of(lab.pair, "iperf3")
    ends = lab.start(runs, rendezvous_seconds=3)
    ends["server"].send_signal(number)
    result = finish(ends["client"])
    ends["server"].send_signal(signal.SIGCONT)
    ends["server"].wait(300)
    assert result["ends"]["run0"]["problem"]["reason"] == "peer_lost"
    lab.assert_measures_again()


# A host that has too little of something.


@pytest.mark.parametrize("role", ROLES)
def test_a_tracer_without_memory_is_named(lab: Lab, tracer: dict[str, Any], role: str, tmp_path: Path) -> None:
    starved = tmp_path / "bpftrace"
    starved.write_text(f'#!/bin/sh\nulimit -v 60000\nexec {tracer["path"]} "$@"\n', encoding="utf-8")
    starved.chmod(0o755)
    runs = runs_of(lab.pair, "iperf3", traced=True)
    ends = lab.start(runs, {role: {"tracer": tracer | {"path": str(starved)}}}, tracer=tracer)
    results = {name: finish(child) for name, child in ends.items()}
    assert judged(dict(results), runs) == ("failed", "tracer_error"), told(dict(results))
    lab.assert_measures_again()


@pytest.mark.parametrize(("moment", "descriptors"), [("meeting", 9), ("meeting", 10), ("run", 6)])
def test_a_host_out_of_file_descriptors_says_so(lab: Lab, moment: str, descriptors: int) -> None:
    """Whatever it is that finds none left: a look at the port, a process, the outputs."""
    runs = runs_of(lab.pair, "iperf3")
    # The client comes when the server's descriptors are counted.
    server = lab.start_end("server", runs["server"], patience_seconds=PATIENCE)
    wait_until(lambda: f":{CONTROL_PORT}" in lab.pair.server.listening(), 30, "the server end")
    if moment == "meeting":
        limit_descriptors(server, descriptors)
    client = lab.start_end("client", runs["client"], patience_seconds=PATIENCE, rendezvous_seconds=3)
    if moment == "run":
        lab.pair.await_traffic()
        limit_descriptors(server, descriptors)
    results: Results = {"server": finish(server), "client": finish(client)}
    problem = (results["server"] or {})["ends"]["run0"]["problem"]
    assert problem["reason"] == "host_error" and "Too many open files" in problem["detail"], problem
    assert judged(results, runs) == ("failed", "host_error"), told(results)
    lab.assert_measures_again()


def limit_descriptors(process: subprocess.Popen[str], count: int) -> None:
    run("prlimit", f"--pid={process.pid}", f"--nofile={count}")


def test_a_host_where_nothing_can_be_written_says_so(lab: Lab) -> None:
    runs = runs_of(lab.pair, "iperf3")
    folders = " ".join(["/tmp", "/var/tmp", "/usr/tmp", str(Path.cwd())])
    script = f'mount -t tmpfs none /usr/tmp 2>/dev/null; for folder in {folders}; do '
    script += 'mount --bind "$folder" "$folder" && mount -o remount,ro,bind "$folder"; done; exec "$@"'
    under = ("unshare", "--mount", "--propagation=private", "/bin/sh", "-c", script, "sh")
    ends = lab.start(runs, {"server": {"under": under, "spool": ""}}, rendezvous_seconds=5)
    results: Results = {name: finish(child) for name, child in ends.items()}
    problem = (results["server"] or {})["ends"]["run0"]["problem"]
    assert problem["reason"] == "host_error" and "temporary" in problem["detail"], problem
    assert judged(results, runs) == ("failed", "host_error")
    lab.assert_measures_again()


@pytest.mark.parametrize("role", ROLES)
def test_a_disk_that_somebody_fills_during_the_run_is_named(lab: Lab, role: str) -> None:
    run("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(lab.temporary))
    try:
        runs = runs_of(lab.pair, "iperf3")
        ends = lab.start(runs)
        lab.pair.await_traffic()
        fill(lab.temporary / "filler")
        results = {name: finish(child) for name, child in ends.items()}
        assert judged(dict(results), runs) == ("failed", "disk_full"), told(dict(results))
        assert "free some space there" in results[role]["ends"]["run0"]["problem"]["detail"]
        (lab.temporary / "filler").unlink()
        lab.assert_measures_again()
    finally:
        run("umount", str(lab.temporary))


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            return


# A clock that is set, and a fault of our own.


@pytest.mark.parametrize(("role", "jump"), [("server", -3600), ("client", 3600)])
def test_a_clock_that_is_set_during_the_run_shows_and_falsifies_nothing(
    lab: Lab, tmp_path: Path, role: str, jump: int
) -> None:
    offset = tmp_path / "offset"
    offset.write_text("+0", encoding="ascii")
    [library] = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    clock = ("env", f"LD_PRELOAD={library}", f"FAKETIME_TIMESTAMP_FILE={offset}", "FAKETIME_NO_CACHE=1",
             "FAKETIME_DONT_FAKE_MONOTONIC=1")
    runs = runs_of(lab.pair, "iperf3")
    ends = lab.start(runs, {role: {"under": clock}})
    lab.pair.await_traffic()
    offset.write_text(f"{jump:+}", encoding="ascii")
    results = {name: finish(child) for name, child in ends.items()}
    assert judged(dict(results), runs) == ("valid", ""), told(dict(results))
    end = results[role]["ends"]["run0"]
    between = (datetime.fromisoformat(end["ended_at"]) - datetime.fromisoformat(end["started_at"])).total_seconds()
    assert 0 < end["seconds"] < 60 and abs(between - jump) < 60, end
    lab.assert_measures_again()


def test_a_fault_of_ours_loses_no_run_that_was_measured(lab: Lab) -> None:
    runs = runs_of(lab.pair, "iperf3", count=2, seconds=1)
    del runs["server"][1]["ready_seconds"]
    results = {name: finish(child) for name, child in lab.start(runs).items()}
    assert judged(dict(results), runs) == ("valid", "")
    assert judged(dict(results), runs, "run1") == ("failed", "host_error")
    assert results["server"]["ends"]["run1"]["problem"]["detail"] == "KeyError: 'ready_seconds'"
    lab.assert_measures_again()
