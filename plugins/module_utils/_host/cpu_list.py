# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Lists of CPUs as the kernel writes them, such as ``0-3,6``: read and written.

The controller reads them with the same code as the hosts, so that no list passes on one side and fails on the other.
"""

from __future__ import annotations

import re

MOST_CPUS = 8192
MOST_CHARACTERS = 40
RANGE = re.compile(r"(\d+)(?:\s*-\s*(\d+)(?::(\d+)/(\d+))?)?")


class NotCpus(ValueError):
    """A text that does not name CPUs.

    ``item`` is the part at fault. ``fault`` is ``form`` when it is neither a number nor a range, ``order`` when the range
    ends before it starts, ``stride`` when its stride selects no CPU, and ``number`` when a number is too large.
    """

    def __init__(self, fault: str, item: str) -> None:
        super().__init__("%r does not name CPUs" % item)
        self.fault = fault
        self.item = item


def cpu_numbers(text: str) -> set[int]:
    """The CPUs in a list, as a set. Raises NotCpus.

    An item of the list is a number, a range (``0-3``), or a range with a stride: ``0-7:1/2`` is the first CPU of every two.
    """
    numbers: set[int] = set()
    for item in text.split(","):
        numbers.update(_cpus_of(item))
    return numbers


def _cpus_of(item: str) -> list[int]:
    text = item.strip()
    found = RANGE.fullmatch(text) if text.isascii() and len(text) <= MOST_CHARACTERS else None
    if found is None:
        raise NotCpus("form", item)
    first = int(found.group(1))
    last = int(found.group(2) or first)
    used, group = int(found.group(3) or 1), int(found.group(4) or 1)
    if last < first:
        raise NotCpus("order", item)
    if used < 1 or group < used:
        raise NotCpus("stride", item)
    if last >= MOST_CPUS:
        raise NotCpus("number", item)
    return [number for number in range(first, last + 1) if (number - first) % group < used]


def cpu_list(numbers: set[int]) -> str:
    """The list that names these CPUs, in ascending order and with ranges: ``0-3,6``."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join("%d" % first if first == last else "%d-%d" % (first, last) for first, last in ranges)
