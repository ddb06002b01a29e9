"""Delete, double and swap each line of every capture, and count what is believed of the damaged texts.

Usage: ``.venv/bin/python tools/mutate_captures.py [PART/PARTS]``; prints each damaged text that gives another figure or
makes a parser raise, then the numbers, and ends with 1 where there is any. The unit tests read a sample of the same.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from mutants import Capture, captures, is_only_evidence, mutants, other_figures


def count(capture: Capture, totals: Counter[str]) -> None:
    """Add one capture's mutants to ``totals`` and print those that are wrong."""
    whole = capture.read("".join(capture.lines))
    for mutant in mutants(capture.lines):
        totals["mutants"] += 1
        place = f"{capture.name}:{mutant.number} {mutant.damage}"
        try:
            damaged = capture.read(mutant.text)
        except Exception as fault:
            totals["crashes"] += 1
            print(f"{place}: {type(fault).__name__}: {fault}")
            continue
        other = other_figures(whole, damaged)
        if other and is_only_evidence(capture.lines, mutant):
            totals["only evidence deleted"] += 1
        elif other:
            totals["another figure"] += 1
            totals[f"another figure, {mutant.damage}"] += 1
            shown = "; ".join(f"{name} {sorted(values)} for {sorted(whole.get(name, ()))}" for name, values in other.items())
            print(f"{place}: {shown[:300]}")


def main() -> int:
    """Read every capture, or each one of so many."""
    part, _, parts = (sys.argv[1] if len(sys.argv) > 1 else "1/1").partition("/")
    totals: Counter[str] = Counter()
    for number, capture in enumerate(captures()):
        if number % int(parts) == int(part) - 1:
            count(capture, totals)
    names = ("mutants", "crashes", "another figure", "only evidence deleted")
    print(", ".join(f"{totals[name]} {name}" for name in names))
    return 1 if totals["crashes"] or totals["another figure"] else 0


if __name__ == "__main__":
    sys.exit(main())
