"""Make real records for the tests: short runs of the real tools between two network namespaces.

Needs root, iperf3, sockperf and bpftrace. The namespaces are made and removed here. The host figures and tool
output are those of this machine; nothing is edited afterwards.

Usage: ``.venv/bin/python tools/capture_records.py tests/captures/records``
"""

from __future__ import annotations

import argparse
import json
import secrets
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.pairbench.lab.plugins.module_utils._tracing import tracer as _tracer
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks import BENCHMARKS

SPACES = ("pbcapture-s", "pbcapture-c")
ADDRESSES = ("10.77.77.1", "10.77.77.2")
END = """
import json, sys
from ansible_collections.pairbench.lab.plugins.module_utils._host.children import Wakeup
from ansible_collections.pairbench.lab.plugins.module_utils._session.session import run_session
print(json.dumps(run_session(json.load(sys.stdin), Wakeup())))
"""
IPERF3: dict[str, Any] = {
    "seconds": 1, "parallel": 1, "protocol": "tcp", "bitrate": "", "length": "", "window": "",
    "omit_seconds": 0, "reverse": False, "congestion": "", "zerocopy": False, "extra_args": [],
}  # fmt: skip
SOCKPERF: dict[str, Any] = {
    "seconds": 1, "message_bytes": 64, "protocol": "udp", "mode": "ping-pong", "mps": "", "full_rtt": False,
    "extra_args": [],
}  # fmt: skip
CASES: dict[str, tuple[str, dict[str, Any], bool]] = {
    "iperf3_tcp": ("iperf3", IPERF3 | {"parallel": 2}, True),
    "iperf3_tcp_untraced": ("iperf3", IPERF3, False),
    "iperf3_reverse": ("iperf3", IPERF3 | {"reverse": True}, True),
    "iperf3_udp": ("iperf3", IPERF3 | {"protocol": "udp", "bitrate": "100M"}, True),
    "iperf3_zerocopy": ("iperf3", IPERF3 | {"zerocopy": True, "length": "64K"}, True),
    "sockperf_udp": ("sockperf", SOCKPERF, True),
    "sockperf_tcp": ("sockperf", SOCKPERF | {"protocol": "tcp", "full_rtt": True}, True),
    "sockperf_under_load": ("sockperf", SOCKPERF | {"mode": "under-load", "mps": 1000}, True),
    "sockperf_throughput": ("sockperf", SOCKPERF | {"mode": "throughput", "message_bytes": 1400}, True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--case", action="append", choices=sorted(CASES), help="default: all")
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    _remove_namespaces()
    try:
        _make_namespaces()
        tracer = _tracer.self_test()
        for name in arguments.case or CASES:
            record = _record(name, tracer)
            text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
            (arguments.directory / f"{name}.json").write_text(text, encoding="utf-8")
            print(name, {side: record[side]["problem"] for side in ("server", "client")})
    finally:
        _remove_namespaces()


def _record(name: str, tracer: dict[str, Any]) -> dict[str, Any]:
    benchmark, parameters, traced = CASES[name]
    # A port of its own: sockperf cannot listen where a connection of the run before is still in TIME_WAIT.
    commands = BENCHMARKS[benchmark].commands(parameters, *ADDRESSES, 5301 + list(CASES).index(name))
    token = secrets.token_hex(16)
    version = subprocess.run([benchmark, "--version"], capture_output=True, text=True, check=False).stdout
    processes = []
    for role, space, address, peer, argv in (
        ("server", SPACES[0], *ADDRESSES, commands.server),
        ("client", SPACES[1], *reversed(ADDRESSES), commands.client),
    ):
        spec = {
            "role": role, "host": space, "address": address, "peer_address": peer, "control_port": 5300,
            "token": token, "rendezvous_seconds": 20, "owner": "capture", "trace_mode": "count",
            "tool_version": (version.splitlines() or [""])[0], "tracer": tracer,
            "runs": [{
                "run_id": name, "argv": list(argv), "protocol": commands.ports[0].protocol,
                "port": commands.ports[0].number,
                "stop": commands.stop, "traced": traced, "limit_seconds": 30.0, "ready_seconds": 20.0,
            }],
        }  # fmt: skip
        process = subprocess.Popen(
            # `ip netns exec` would hide tracefs behind a fresh /sys.
            ["nsenter", f"--net=/run/netns/{space}", sys.executable, "-c", END],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(json.dumps(spec))
        process.stdin.close()
        processes.append(process)
    ends = []
    for process in processes:
        assert process.stdout is not None
        ends.append(json.loads(process.stdout.read())[0][name])
        process.wait()
    return {
        "schema": 1, "sweep": "captures", "configuration": "namespaces", "attempt": 1,
        "written_at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "run": {
            "run_id": name, "block": 1, "round": 1, "server": SPACES[0], "client": SPACES[1],
            "benchmark": benchmark, "case": name, "parameters": parameters, "repeat": 1, "traced": traced,
            "seconds": 5.0,
        },
        "server": ends[0], "client": ends[1], "error": None,
    }  # fmt: skip


def _make_namespaces() -> None:
    for space in SPACES:
        _ip("netns", "add", space)
        _ip("-n", space, "link", "set", "lo", "up")
    _ip("link", "add", "veth", "netns", SPACES[0], "type", "veth", "peer", "name", "veth", "netns", SPACES[1])
    for space, address in zip(SPACES, ADDRESSES, strict=True):
        _ip("-n", space, "addr", "add", f"{address}/24", "dev", "veth")
        _ip("-n", space, "link", "set", "veth", "up")


def _remove_namespaces() -> None:
    for space in SPACES:
        subprocess.run(["ip", "netns", "delete", space], capture_output=True, check=False)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


if __name__ == "__main__":
    main()
