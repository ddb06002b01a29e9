"""All benchmarks that say what the harness itself costs, one after the other, with the facts of this machine.

Usage, as root, with nothing else running: ``.venv/bin/python benchmarks/everything.py [--quick]``. Takes some hours, with
``--quick`` a quarter of one, which shows that everything works and tells little. What each one measures, and beside what, is
said at the top of its file; all figures that are compared come from turns taken in one run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from machine import machine

HERE = Path(__file__).resolve().parent
PROGRAMS = (
    ("Figures beside those of the same commands by hand", "by_hand.py", ["--playbook"], ["--pairs", "6", "--playbook"]),
    ("The same with the hosts apart from the controller", "by_hand.py", ["--apart"], ["--pairs", "6", "--apart"]),
    ("Counting system calls", "tracer_cost.py", [], ["--repeats", "1"]),
    ("A round of a fleet", "controller_cost.py", ["--hosts", "8", "16", "32", "64"], ["--hosts", "4", "8"]),
    ("Between two rounds", "between_rounds.py", ["--hosts", "8"], ["--hosts", "4"]),
    ("A round of ten seconds", "controller_cost.py", ["--hosts", "8", "--seconds", "10"], ["--hosts", "4"]),
    ("Judging records", "parse_speed.py", [], ["--megabytes", "10", "--rounds", "10"]),
    ("Planning", "plan_speed.py", [], ["--hosts", "100"]),
    ("A long history", "history.py", ["--runs", "2000", "20000"], ["--quick"]),
)  # fmt: skip


def main() -> int:
    """Run them all; the exit status is that of the last one that failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes: whether everything works")
    quick = parser.parse_args().quick
    print(machine(), flush=True)
    status = 0
    for title, program, usual, small in PROGRAMS:
        began = time.monotonic()
        print(f"\n== {title} ({program})", flush=True)
        ended = subprocess.run([sys.executable, str(HERE / program), *(small if quick else usual)], check=False).returncode
        print(f"-- {time.monotonic() - began:.0f} s, exit status {ended}", flush=True)
        status = ended or status
    return status


if __name__ == "__main__":
    sys.exit(main())
