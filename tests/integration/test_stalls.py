"""A link that goes down for a while inside a run: the run is valid, and says that data stood still."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import Judgement
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge
from bench import SQUEEZED
from namespaces import Pair, run

pytestmark = pytest.mark.slow

DOWN_SECONDS = 1.5
"""Long enough to be told whenever it begins. A sender that is held to a rate makes up for a second within the next one,
so that one from 2.7 s to 3.7 s of the run leaves intervals with .7 and 1.3 of the usual, as an uneven network does."""
RUNS = {"cut": 7, "whole": 3}
"""The runs of a session, and how many seconds each measures."""


def session_of(pair: Pair, benchmark: str, protocol: str) -> dict[str, list[Any]]:
    """A steady stream, so that a busy machine makes it no stall, whichever protocol carries it."""
    address = pair.server.address
    common = {"traced": False, "limit_seconds": 40, "ready_seconds": 15}
    if benchmark == "iperf3":
        common |= {"protocol": "tcp", "port": 5201, "stop": "exits"}
        server = ["iperf3", "-s", "-1", "-J", "-B", address]
        client = ["iperf3", "-c", address, "-J", "-b", "40M", "-l", "1400", *(["-u"] if protocol == "udp" else []), "-t"]
    else:
        common |= {"protocol": protocol, "port": 11111, "stop": "interrupt"}
        server = ["sockperf", "server", "-i", address, "--tcp"]
        client = ["sockperf", "ping-pong", "-i", address, "--tcp", "--mps", "500", "-t"]
    return {
        "server": [{"run_id": name, "argv": server, **common} for name in RUNS],
        "client": [{"run_id": name, "argv": [*client, str(seconds)], **common} for name, seconds in RUNS.items()],
    }


def cut_once(pair: Pair, packets: int) -> None:
    """Take the link down and up again when the run has moved that many packets, which is in its third second."""
    pair.await_traffic(packets)
    run("ip", "-n", pair.server.name, "link", "set", "d0", "down")
    time.sleep(DOWN_SECONDS)
    run("ip", "-n", pair.server.name, "link", "set", "d0", "up")


def judgement(result: dict[str, Any], name: str, benchmark: str, protocol: str) -> Judgement:
    parameters = {"seconds": RUNS[name], "protocol": protocol}
    parameters |= {"mode": "ping-pong"} if benchmark == "sockperf" else {}
    planned = {"benchmark": benchmark, "case": "c", "parameters": parameters, "traced": False}
    return judge({"schema": 1, "run": planned, **{side: result[side]["ends"][name] for side in ("server", "client")}})


def cut_and_whole(pair: Pair, benchmark: str, protocol: str, packets: int) -> tuple[Judgement, Judgement]:
    """A session of two runs, the first of which is cut; from the beginning again where a busy machine squeezed one."""
    for _try in range(3):
        cutting = threading.Thread(target=cut_once, args=(pair, packets))
        cutting.start()
        result = pair.session(session_of(pair, benchmark, protocol))
        cutting.join()
        cut, whole = (judgement(result, name, benchmark, protocol) for name in RUNS)
        if not {(cut.status, cut.reason), (whole.status, whole.reason)} & SQUEEZED:
            break
    return cut, whole


@pytest.mark.parametrize(
    ("benchmark", "protocol", "packets"),
    [("iperf3", "tcp", 7000), ("iperf3", "udp", 9000), ("sockperf", "tcp", 1200)],
)
def test_a_link_that_is_down_for_a_while_is_told(pair: Pair, benchmark: str, protocol: str, packets: int) -> None:
    cut, whole = cut_and_whole(pair, benchmark, protocol, packets)
    assert (cut.status, whole.status) == ("valid", "valid"), (cut, whole)
    assert "stalled" in cut.checks and " s " in cut.checks["stalled"], cut
    assert "stalled" not in whole.checks, whole.checks
