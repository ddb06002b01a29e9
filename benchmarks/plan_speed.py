"""How long putting the pairs of a full mesh into rounds takes, how much memory, and how close to the best it comes.

Usage: ``.venv/bin/python benchmarks/plan_speed.py [--hosts 100 300 1000] [--trace-memory]``. Each line is measured in a
process of its own: seconds for choosing the pairs and for the rounds, the memory by which the process grew at its peak
(resident, pairs and rounds included), the rounds, and how many there must be at least. ``--trace-memory`` gives the peak
of Python's own allocations (tracemalloc) instead, and seconds that are several times too high.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
import tracemalloc
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.pairs import select_pairs
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.rounds import (
    check_rounds,
    lower_bound,
    resources_of,
    rounds_for,
)


@dataclass(frozen=True)
class Capacities:
    """How hosts hang together: hosts a hypervisor and an uplink carry, pairs they bear at once; 0 for none."""

    name: str
    machine_hosts: int = 0
    machine_bears: int = 0
    uplink_hosts: int = 0
    uplink_bears: int = 0


LABS = (
    Capacities("none"),
    Capacities("20 hosts a hypervisor, bears 10", 20, 10),
    Capacities("the same, 100 hosts an uplink, bears 40", 20, 10, 100, 40),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--trace-memory", action="store_true", help="tracemalloc's peak instead of resident memory")
    parser.add_argument("--check", action="store_true", help="check every round as the tests do")
    arguments = parser.parse_args()
    print("hosts   pairs  choose  rounds    memory  rounds  at least  capacities")
    for count in arguments.hosts:
        for lab in LABS:
            # A fresh process: the peak of resident memory never falls again.
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.apply(measure, (count, lab, arguments.trace_memory, arguments.check)), flush=True)


def measure(count: int, lab: Capacities, trace_memory: bool, check: bool) -> str:
    """One line of the table."""
    hosts = [f"host{number:04d}" for number in range(count)]
    hypervisors: Mapping[str, str] = _carried(hosts, "hypervisor", lab.machine_hosts)
    bottlenecks = {host: [name] for host, name in _carried(hosts, "uplink", lab.uplink_hosts).items()}
    uses = partial(resources_of, hypervisors=hypervisors, bottlenecks=bottlenecks)
    capacities = dict.fromkeys(hypervisors.values(), lab.machine_bears)
    capacities |= {name: lab.uplink_bears for names in bottlenecks.values() for name in names}
    if trace_memory:
        tracemalloc.start()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    pairs = select_pairs(hosts)
    chosen = time.perf_counter()
    rounds = rounds_for(pairs, uses, capacities)
    done = time.perf_counter()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if trace_memory:
        grown = tracemalloc.get_traced_memory()[1] / 2**20
    if check:
        faults = check_rounds(rounds, pairs, uses, capacities)
        assert not faults, faults[:5]
    least = lower_bound(pairs, uses, capacities)
    return (
        f"{count:5d} {len(pairs):7d} {chosen - begin:5.2f} s {done - chosen:5.2f} s {grown:5.0f} MiB {len(rounds):7d}"
        f" {least:9d}  {lab.name}"
    )


def _carried(hosts: list[str], what: str, hosts_each: int) -> dict[str, str]:
    return {host: f"{what}{number // hosts_each}" for number, host in enumerate(hosts)} if hosts_each else {}


if __name__ == "__main__":
    main()
