"""Records of finished 30-second runs, as many as are wanted, made of captured ones of one second.

The text of the tools is what they printed in the captures (tests/captures/records) with as many intervals, streams and
messages as a run of 30 seconds has; bytes, rates, latencies and counts of system calls differ from run to run and agree
with each other, so that the gate finds the runs valid and that compressing them is no easier than with real ones.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks import BENCHMARKS
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import Plan, Run
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.record import Record, new_record

CAPTURES = Path(__file__).parent.parent / "tests" / "captures" / "records"
BEGIN = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)
SPREAD_OF_RUNS, SPREAD_OF_INTERVALS = 0.05, 0.03
Document = dict[str, Any]


class RecordMaker:
    """Makes the record of any run of a plan whose cases are iperf3 over TCP and sockperf's ping-pong over UDP."""

    def __init__(self, plan: Plan, ports: Mapping[str, int]) -> None:
        self._plan, self._ports = plan, ports
        self._captured = {
            "iperf3": json.loads((CAPTURES / "iperf3_tcp.json").read_text(encoding="utf-8")),
            "sockperf": json.loads((CAPTURES / "sockperf_udp.json").read_text(encoding="utf-8")),
        }
        self._iperf3 = {side: _Iperf3Output(self._captured["iperf3"][side]["stdout"]) for side in ("server", "client")}

    def record(self, run: Run, number: int) -> Record:
        """The record of a run, the ``number``-th of its sweep."""
        chance = random.Random(run.run_id)
        document = copy.deepcopy(self._captured[run.benchmark])
        started = BEGIN + timedelta(seconds=40 * number)
        ends = {side: self._end(run, side, document[side], started, chance) for side in ("server", "client")}
        execution = f"{chance.getrandbits(128):032x}"
        for end in ends.values():
            end["execution"] = execution
        {"iperf3": self._transfer, "sockperf": self._messages}[run.benchmark](run, ends, started, chance)
        return new_record(self._plan.sweep, self._plan.configuration, asdict(run), ends)

    def _end(self, run: Run, side: str, end: Document, started: datetime, chance: random.Random) -> Document:
        host = run.server if side == "server" else run.client
        server, client = self._plan.hosts[run.server], self._plan.hosts[run.client]
        port = self._ports[run.benchmark]
        commands = BENCHMARKS[run.benchmark].commands(run.parameters, server, client, port)
        seconds = run.parameters["seconds"] + chance.uniform(0.5, 0.6) + (0.1 if side == "server" else 0)
        before = [chance.randrange(10_000, 10_000_000) for _ in range(10)]
        spent = [chance.randrange(100), 0, chance.randrange(1500, 3000), chance.randrange(2000, 3000), 0, 0, 150, 0, 0, 0]
        available = end["figures"]["memory_available_bytes"] + 4096 * chance.randrange(10_000)
        return end | {
            "host": host, "address": self._plan.hosts[host], "port": port,
            "argv": list(commands.server if side == "server" else commands.client),
            "started_at": _time(started), "ended_at": _time(started + timedelta(seconds=seconds)), "seconds": seconds,
            "trace": end["trace"] if run.traced else None, "stderr": end["stderr"] if run.traced else "",
            "figures": end["figures"] | {
                "cpu_jiffies_before": before, "memory_available_bytes": available,
                "cpu_jiffies_after": [sum(pair) for pair in zip(before, spent, strict=True)],
            },
            "settings": {"cpus": None, "interface": "eth0", "mtu_bytes": None, "user": "nobody"}, "output_bytes": None,
        }  # fmt: skip

    def _transfer(self, run: Run, ends: Mapping[str, Document], started: datetime, chance: random.Random) -> None:
        streams, seconds = run.parameters["parallel"], run.parameters["seconds"]
        rate = 1.5e9 * chance.lognormvariate(0, SPREAD_OF_RUNS) / streams
        moved = [
            [round(rate * chance.lognormvariate(0, SPREAD_OF_INTERVALS)) for _stream in range(streams)]
            for _interval in range(seconds)
        ]
        there = _Connection(self._plan.hosts[run.server], self._plan.hosts[run.client], self._ports["iperf3"], started)
        for side, end in ends.items():
            end["stdout"] = self._iperf3[side].text(there, moved, chance)
            _count(end, sum(map(sum, moved)) / self._iperf3[side].captured_bytes)

    def _messages(self, run: Run, ends: Mapping[str, Document], _started: datetime, chance: random.Random) -> None:
        slower, seconds = chance.lognormvariate(0, SPREAD_OF_RUNS), run.parameters["seconds"]
        client = _SockperfOutput(ends["client"]["stdout"])
        ends["client"]["stdout"], sent = client.text(ends["client"], slower, seconds, chance)
        ends["server"]["stdout"] = _with_address(
            re.sub(r"Total \d+ messages", f"Total {sent} messages", ends["server"]["stdout"]), ends["server"]
        )
        for end in ends.values():
            _count(end, sent / client.sent)


class _Connection:
    """Between whom the streams of one run are, and when they began."""

    def __init__(self, server: str, client: str, port: int, started: datetime) -> None:
        self.server, self.client, self.port, self.started = server, client, port, started


class _Iperf3Output:
    """What one end printed with ``-J``, with other streams, intervals and figures."""

    def __init__(self, captured: str) -> None:
        self._document = json.loads(captured)
        self._tail = captured[captured.rstrip().rindex("}") + 1 :]
        self._sends = "connecting_to" in self._document["start"]
        self._templates: dict[int, str] = {}
        self.captured_bytes = self._document["end"]["sum_received"]["bytes"]

    def text(self, there: _Connection, moved: Sequence[Sequence[int]], chance: random.Random) -> str:
        """The output; ``moved`` are bytes by interval and stream."""
        streams = len(moved[0])
        template = self._templates.setdefault(streams, self._interval_template(streams))
        intervals = [template % self._interval(number, sent, chance) for number, sent in enumerate(moved)]
        start, end = self._start(there, streams, len(moved), chance), self._end(moved, chance)
        return (
            '{\n\t"start":\t' + cjson(start, 1) + ',\n\t"intervals":\t[' + ", ".join(intervals)
            + '],\n\t"end":\t' + cjson(end, 1) + "\n}" + self._tail
        )  # fmt: skip

    def _interval_template(self, streams: int) -> str:
        """The text of an interval with the names of what differs in the places of the figures."""
        captured = self._document["intervals"][0]
        places = [_placed(captured["streams"][0], f"_{number}") for number in range(streams)]
        text = cjson({"streams": places, "sum": _placed(captured["sum"], "")}, 2)
        return re.sub(r'"(%\(\w+\)\w+)"', r"\1", text)

    def _interval(self, number: int, sent: Sequence[int], chance: random.Random) -> dict[str, Any]:
        begin, seconds = number * 1.000004, 1 + chance.uniform(-2e-5, 3e-5)
        found: dict[str, Any] = {}
        again = [chance.randrange(20) for _ in sent]
        streams = ((f"_{stream}", sent[stream], again[stream]) for stream in range(len(sent)))
        for suffix, moved, lost in [("", sum(sent), sum(again)), *streams]:
            found |= {
                f"start{suffix}": f"{begin:.7g}", f"end{suffix}": f"{begin + seconds:.7g}",
                f"seconds{suffix}": repr(seconds),
                f"bytes{suffix}": moved, f"bits_per_second{suffix}": repr(8 * moved / seconds), f"retransmits{suffix}": lost,
                f"snd_cwnd{suffix}": 1448 * chance.randrange(100, 900), f"rtt{suffix}": chance.randrange(20, 300),
                f"rttvar{suffix}": chance.randrange(5, 90), f"socket{suffix}": 6 + 2 * int(suffix[1:] or 0),
                f"snd_wnd{suffix}": 4096 * chance.randrange(1000, 5000),
            }  # fmt: skip
        return found

    def _start(self, there: _Connection, streams: int, seconds: int, chance: random.Random) -> Document:
        start = copy.deepcopy(self._document["start"])
        mine, other = (there.client, there.server) if self._sends else (there.server, there.client)
        ports = [chance.randrange(32768, 60999) for _ in range(streams)]
        start["connected"] = [
            {"socket": 6 + 2 * number, "local_host": mine, "local_port": port if self._sends else there.port,
             "remote_host": other, "remote_port": there.port if self._sends else port}
            for number, port in enumerate(ports)
        ]  # fmt: skip
        peer = start["connecting_to" if self._sends else "accepted_connection"]
        peer |= {"host": other, "port": there.port if self._sends else ports[0] - 1}
        start["timestamp"] = {
            "time": there.started.strftime("%a, %d %b %Y %H:%M:%S GMT"), "timesecs": int(there.started.timestamp())
        }
        start["cookie"] = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz234567", k=36))
        start["test_start"] |= {"num_streams": streams, "duration": seconds}
        return start

    def _end(self, moved: Sequence[Sequence[int]], chance: random.Random) -> Document:
        end, seconds = copy.deepcopy(self._document["end"]), len(moved) + chance.uniform(1e-4, 9e-4)
        totals = [sum(interval[number] for interval in moved) for number in range(len(moved[0]))]
        pattern = end["streams"][0]
        end["streams"] = [
            {role: _whole(pattern[role], 6 + 2 * number, total, seconds) for role in ("sender", "receiver")}
            for number, total in enumerate(totals)
        ]
        for name in ("sum_sent", "sum_received"):
            end[name] = _whole(end[name], None, sum(totals), seconds)
        if self._sends:
            _vary_sender(end, chance)
        end["cpu_utilization_percent"] = {
            name: share and share * chance.lognormvariate(0, SPREAD_OF_INTERVALS)
            for name, share in end["cpu_utilization_percent"].items()
        }
        return end


def _placed(figures: Mapping[str, Any], suffix: str) -> Document:
    kept = ("omitted", "sender", "pmtu")
    return {name: value if name in kept else f"%({name}{suffix})s" for name, value in figures.items()}


def _whole(pattern: Mapping[str, Any], socket: int | None, total: int, seconds: float) -> Document:
    """The figures of a whole run; an end that did not measure them has zeros there, as in the capture."""
    found = dict(pattern) | {"end": round(seconds, 6), "seconds": round(seconds, 6)}
    if socket is not None:
        found["socket"] = socket
    if pattern["bytes"]:
        found |= {"bytes": total, "bits_per_second": 8 * total / seconds}
    return found


def _vary_sender(end: Document, chance: random.Random) -> None:
    """Retransmits and round trips of each stream, and the sum of the retransmits."""
    senders = [stream["sender"] for stream in end["streams"]]
    for sender in senders:
        least, mean, most = sorted(chance.randrange(20, 300) for _ in range(3))
        sender |= {"retransmits": chance.randrange(600), "max_rtt": most, "min_rtt": least, "mean_rtt": mean}
        sender["max_snd_cwnd"] = 1448 * chance.randrange(100, 900)
    end["sum_sent"]["retransmits"] = sum(sender["retransmits"] for sender in senders)


class _SockperfOutput:
    """What a client of a ping-pong printed, with other latencies and another duration."""

    def __init__(self, captured: str) -> None:
        self._captured = captured
        self.sent = int(_found(r"SentMessages=(\d+); ReceivedMessages=\d+\n.*Printing", captured))
        self._observed = int(_found(r"Total (\d+) observations", captured))
        self._observed_seconds = float(_found(r"\[Valid Duration\] RunTime=([\d.]+)", captured))

    def text(self, end: Mapping[str, Any], slower: float, seconds: int, chance: random.Random) -> tuple[str, int]:
        """The output, and how many messages were sent."""
        valid = seconds - 0.45
        observed = round(self._observed * valid / self._observed_seconds / slower)
        sent = round(observed * seconds / valid)
        text = re.sub(r"RunTime=[\d.]+ sec; Warm", f"RunTime={seconds:.3f} sec; Warm", self._captured)
        text = re.sub(r"(?<=msec; )Sent.*", f"SentMessages={sent}; ReceivedMessages={sent - 1}", text)
        text = re.sub(
            r"(?<=Duration\] ).*", f"RunTime={valid:.3f} sec; SentMessages={observed}; ReceivedMessages={observed}", text
        )
        text = re.sub(r"Total \d+ observations", f"Total {observed} observations", text)
        text = re.sub(r"contains [\d.]+ obs", f"contains {observed / 100:.2f} obs", text)
        text = re.sub(r"(?<=avg-latency=)[\d.]+|(?<=std-dev=)[\d.]+|(?<=Latency is )[\d.]+", _times(slower), text)
        # From the largest down: each percentile has a scatter of its own, and none passes the one above it.
        text = re.sub(r"(?<= = )[ \d]+\.\d{3}(?=\n)", _times(slower, chance), text)
        return _with_address(text, end), sent


def _times(factor: float, chance: random.Random | None = None) -> Any:
    above = float("inf")

    def changed(match: re.Match[str]) -> str:
        nonlocal above
        value = float(match[0]) * factor
        if chance is not None:
            above = min(above, value * chance.lognormvariate(0, 0.01))
            return f"{above:9.3f}"
        return f"{value:.3f}"

    return changed


def _with_address(text: str, end: Mapping[str, Any]) -> str:
    server = end["argv"][end["argv"].index("-i") + 1]
    return re.sub(r"IP = \S+( +)PORT = +\d+", rf"IP = {server}\1PORT = {end['port']:5d}", text)


def _count(end: Document, times: float) -> None:
    """The trace of a run in which that many times as much was moved."""
    if end["trace"] is None:
        return
    first, counted, *rest = end["trace"]["output"].splitlines()
    line = json.loads(counted)
    calls = line["data"]["@calls"]
    line["data"]["@calls"] = {key: round(count * times) if count > 100 else count for key, count in calls.items()}
    end["trace"] = end["trace"] | {"output": "\n".join([first, json.dumps(line), *rest, ""])}


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, pattern
    return match[1]


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def cjson(value: Any, depth: int = 0) -> str:
    """JSON as iperf3 prints it (cJSON, formatted)."""
    if isinstance(value, dict):
        inner = "\t" * (depth + 1)
        fields = ",\n".join(f"{inner}{json.dumps(key)}:\t{cjson(item, depth + 1)}" for key, item in value.items())
        return "{\n" + fields + "\n" + "\t" * depth + "}"
    if isinstance(value, list):
        return "[" + ", ".join(cjson(item, depth + 1) for item in value) + "]"
    return json.dumps(value)
