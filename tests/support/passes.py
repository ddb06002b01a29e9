"""Orders of a pass with values that suit small plans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.orders import Orders


def orders(**changes: Any) -> Orders:
    """The orders of a pass over nothing, with these changes."""
    usual: dict[str, Any] = {
        "sweep_dir": Path("unused"), "fresh": False, "plan_only": False, "runs": 1, "hosts": {}, "only": None,
        "benchmarks": ("iperf3",), "claim": "c0ffee", "owner": "sweep s of ", "user": "nobody", "spool": "/run/spool",
        "control_port": 5199, "tool_ports": {"iperf3": 5201, "sockperf": 11111}, "ports": (), "trace": True,
        "trace_mode": "count", "trace_required": False, "guests": {}, "hypervisors": (), "ready_seconds": 30.0,
        "rendezvous_seconds": 60.0, "wait_seconds": 0, "answer_seconds": 300, "prepare_seconds": 3600,
        "longest_run_seconds": 90.0, "longest_session_seconds": 100.0, "lease_seconds": 600.0,
    }  # fmt: skip
    return Orders(**usual | changes)
