# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""What a host does in a step, as a module and as a program that stays on the host: arguments in, report out."""

from __future__ import annotations

from ansible_collections.pairbench.lab.plugins.module_utils._host.children import Wakeup
from ansible_collections.pairbench.lab.plugins.module_utils._session.observer import observe_all
from ansible_collections.pairbench.lab.plugins.module_utils._session.session import run_session

PORT_OPTIONS = {
    "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
    "port": {"type": "int", "required": True},
}
RUN_OPTIONS = {
    "run_id": {"type": "str", "required": True},
    "argv": {"type": "list", "elements": "str", "required": True},
    "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
    "port": {"type": "int", "required": True},
    "other_ports": {"type": "list", "elements": "dict", "default": [], "options": PORT_OPTIONS},
    "stop": {"type": "str", "choices": ["exits", "interrupt"], "default": "interrupt"},
    "traced": {"type": "bool", "default": False},
    "family": {"type": "bool", "default": False},
    "limit_seconds": {"type": "float", "required": True},
    "ready_seconds": {"type": "float", "default": 30},
    "mtu": {"type": "int", "default": 0},
    "cpus": {"type": "str", "default": ""},
    "user": {"type": "str", "default": ""},
    "congestion": {"type": "str", "default": ""},
    "capabilities": {"type": "list", "elements": "str", "choices": ["net_admin", "net_raw"], "default": []},
}
SESSION_OPTIONS = {
    "role": {"type": "str", "choices": ["server", "client"], "required": True},
    "host": {"type": "str", "required": True},
    "address": {"type": "str", "required": True},
    "peer_address": {"type": "str", "required": True},
    "control_port": {"type": "int", "default": 5200},
    "token": {"type": "str", "required": True, "no_log": True},
    "owner": {"type": "str", "default": "pairbench"},
    "rendezvous_seconds": {"type": "float", "default": 60},
    "patience_seconds": {"type": "float", "default": 15},
    "tool_version": {"type": "str", "default": ""},
    "tracer": {"type": "dict", "default": {}},
    "trace_mode": {"type": "str", "choices": ["count", "time"], "default": "count"},
    "sweep": {"type": "str", "default": ""},
    "claim": {"type": "str", "default": ""},
    "lease_seconds": {"type": "float", "default": 600},
    "boot_id": {"type": "str", "default": ""},
    "spool": {"type": "str", "default": ""},
    "observers": {"type": "dict", "default": {}},
    "forget": {"type": "list", "elements": "str", "default": []},
    "runs": {"type": "list", "elements": "dict", "required": True, "options": RUN_OPTIONS},
}
WATCH_OPTIONS = {
    "guest": {"type": "str", "required": True},
    "side": {"type": "str", "choices": ["server", "client"], "required": True},
    "hypervisor": {"type": "str", "required": True},
    "selector": {"type": "dict", "required": True},
    "address": {"type": "str", "required": True},
    "control_port": {"type": "int", "default": 5200},
    "namespace": {"type": "str", "default": ""},
    "token": {"type": "str", "required": True, "no_log": True},
    "rendezvous_seconds": {"type": "float", "default": 60},
    "limit_seconds": {"type": "float", "required": True},
    "tracer": {"type": "dict", "default": {}},
    "trace_mode": {"type": "str", "choices": ["count", "time"], "default": "count"},
}
OBSERVE_OPTIONS = {"watches": {"type": "list", "elements": "dict", "required": True, "options": WATCH_OPTIONS}}


def session_report(arguments):
    """Execute one end of a session; what the module session returns."""
    outcome = run_session(arguments, Wakeup())
    return {
        "changed": True,
        "role": arguments["role"],
        "ends": outcome.ends,
        "met": outcome.met,
        "kept": outcome.kept,
        "forgotten": outcome.forgotten,
        "spool_problem": outcome.spool_problem,
        "problem": outcome.problem,
    }


def observe_report(arguments):
    """Observe the processes under guests; what the module observe returns."""
    return {"changed": False, "problems": observe_all(arguments["watches"], Wakeup)}
