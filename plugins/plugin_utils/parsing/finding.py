"""What a parser says about one run's output, and the interface every recogniser has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..model import Sample, Side, Status


@dataclass(frozen=True)
class CallCount:
    """One row of a system-call table as the tracer printed it.

    Exactly one of ``number`` (needs the target's architecture to be named) and ``syscall`` is set.
    """

    comm: str | None
    number: int | None = None
    syscall: str | None = None
    calls: int | None = None
    time_ns: int | None = None
    pid: int | None = None


@dataclass(frozen=True)
class Finding:
    """One tool's output found in a text, judged on its content alone. ``tool`` is the name of a benchmark or a tracer.

    ``reason`` is empty for ``valid``, otherwise a word of ``gate.REASONS``; ``detail`` is a sentence for people.
    ``parameters`` has the names that cases use (``seconds``, ``parallel``, ``protocol``, ``message_bytes`` ...),
    only what the text shows. ``line`` is the 1-based line at which the output starts.

    ``measured`` holds figures that are no result but that the gate compares ends and traces with:
    ``seconds`` (what the figures cover), ``bytes_received``, ``block_bytes``, ``messages_sent``,
    ``messages_received`` and ``messages_handled`` (by the server), warm-up included; absent where the text has
    none.

    ``stalled`` is a sentence about a time in which no data moved inside the run; empty where there was none.
    """

    tool: str
    mode: str
    status: Status
    reason: str = ""
    detail: str = ""
    side: Side | None = None
    version: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    calls: tuple[CallCount, ...] = ()
    notes: tuple[str, ...] = ()
    line: int = 1
    measured: Mapping[str, float] = field(default_factory=dict)
    stalled: str = ""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What people should know of the run: notes of the tool and of the parser, and a stall."""
        return (*self.notes, f"stalled: {self.stalled}") if self.stalled else self.notes


class Recogniser(Protocol):
    """Reads cleaned lines one after another and gives back findings as they become complete.

    Memory is bounded by one run's output, not by the file. ``number`` is the 1-based line number.
    """

    def feed(self, line: str, number: int) -> Iterable[Finding]:
        """Take the next line (no line ending, wrappers and colour codes already removed)."""
        ...

    def divide(self, line: str) -> Iterable[Finding]:
        """Take a fence or a heading of Markdown, as it stands in the text: no output goes on behind it."""
        return ()

    def close(self, cut_line: int = 0) -> Iterable[Finding]:
        """Say what is left at the end of the text.

        ``cut_line`` is the number of the last line where that has no line ending, as when a text was cut off; else 0.
        """
        ...
