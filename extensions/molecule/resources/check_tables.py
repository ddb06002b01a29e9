"""Do the tables of a short sweep between two hosts hold what a user relies on? Ends non-zero and says what is missing."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path


def table(sweep: Path, name: str) -> list[dict[str, str]]:
    with (sweep / f"{name}.csv").open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


HEADLINES = {"iperf3": "throughput_received", "sockperf": "latency_p50"}


def problems(sweep: Path, benchmarks: list[str], traced: bool, targets: set[str]) -> list[str]:
    runs, samples, calls = (table(sweep, name) for name in ("runs", "samples", "syscalls"))
    found = [f"{row['run_id']} is {row['status']}: {row['reason']}" for row in runs if row["status"] != "valid"]
    planned = {(benchmark, which) for benchmark in benchmarks for which in (("true", "false") if traced else ("false",))}
    if {(row["benchmark"], row["traced"]) for row in runs} != planned:
        found.append("the runs are not those of the benchmarks that were asked for, traced and untraced")
    metrics = {row["metric"] for row in samples}
    found += [f"no {HEADLINES[name]} in samples.csv" for name in benchmarks if HEADLINES[name] not in metrics]
    if not table(sweep, "summary") or not table(sweep, "hosts"):
        found.append("summary.csv or hosts.csv is empty")
    wanted = {(run["run_id"], side, target) for run in runs if run["traced"] == "true"
              for side in ("server", "client") for target in targets}
    missing = wanted - {(row["run_id"], row["side"], row["target"]) for row in calls}
    checks = {run["run_id"]: run["checks"] or "no check" for run in runs}
    found += [f"no system calls of {run_id}, {side}, {target}: {checks[run_id]}"
              for run_id, side, target in sorted(missing)]
    return found + messages(samples, calls, runs)


def messages(samples: list[dict[str, str]], calls: list[dict[str, str]], runs: list[dict[str, str]]) -> list[str]:
    """sockperf's client sends each message with one call, so both counts are the same (a warm-up message may be apart)."""
    sent = {row["run_id"]: float(row["value"]) for row in samples if row["metric"] == "messages_sent"}
    found = []
    for run in runs:
        if run["benchmark"] != "sockperf" or run["traced"] != "true":
            continue
        counted = sum(int(row["calls"]) for row in calls if row["run_id"] == run["run_id"] and row["side"] == "client"
                      and row["target"] == "process" and row["syscall"] == "sys_enter_sendto")
        if abs(counted - sent.get(run["run_id"], 0)) > 3:
            found.append(f"{run['run_id']}: {counted} sendto were counted for {sent.get(run['run_id'])} messages")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sweep", type=Path)
    parser.add_argument("--benchmarks", nargs="+", default=list(HEADLINES))
    parser.add_argument("--untraced", action="store_true", help="tracing was not asked for")
    parser.add_argument("--vmm", action="store_true", help="the processes under the guests are counted too")
    given = parser.parse_args()
    targets = {"process", "vmm"} if given.vmm else {"process"}
    found = problems(given.sweep, given.benchmarks, not given.untraced, targets)
    for sentence in found:
        print(sentence, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
