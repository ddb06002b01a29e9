"""What has been measured goes into records, and what is in records need not be kept on the hosts any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import ParamSpec, TypeVar

from ..model import SIDES, JsonObject, Judgement
from ..records.reading import StoredRecord, latest_record
from ..records.record import Record
from ..records.writing import write_record
from ..storage.files import StorageError
from ..storage.sweep_folder import SweepFolder
from ..store.asking import remember
from ..store.judged import JudgedRecord, judged_record
from .assembler import Kept, records_of
from .live_pass import LivePass

Arguments = ParamSpec("Arguments")
Written = TypeVar("Written")


class Keeper:
    """Writes what one pass comes to, and keeps in the pass what is done and what hosts may forget."""

    def __init__(self, live: LivePass, complain: Callable[[str], None]) -> None:
        self._live = live
        self._complain = complain
        self._collected: list[Kept] = []
        self._judged: list[tuple[Path, StoredRecord, JudgedRecord]] = []
        """What is written and not yet in the store."""

    def store(
        self, write: Callable[Arguments, Written], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Written | None:
        """What ``write`` returns; None where nothing can be written: then no further session begins."""
        try:
            return write(*arguments, **named)
        except StorageError as error:
            if not self._live.refusal:
                self._complain(f"{error}. What was measured is kept on the hosts and will be collected.")
            self._live.refusal = str(error)
            return None

    def keep(self, record: Record) -> Judgement | None:
        """Write a record and judge it; None when it could not be written (then the hosts still have it)."""
        live = self._live
        stored = self.store(write_record, live.sweep_dir, record, datetime.now(timezone.utc).isoformat())
        if stored is None:
            return None
        found = judged_record(stored)
        judgement = found.judgement
        path = SweepFolder(live.sweep_dir).record(stored.run_id, stored.attempt)
        self._judged.append((path, replace(stored, document={}, record=None), found))
        if judgement.status != "failed":
            live.done.add(record.run_id)
        hosts = dict(zip(SIDES, record.hosts, strict=True))
        for end in record.ends:
            live.note_recorded(hosts[end.side], [f"{record.run_id}.{end.execution}.{end.side}.json"])
        return judgement

    def note_judged(self) -> None:
        """Put what was judged since the last time into the store. Not while a run is measured: it waits for the disk."""
        judged, self._judged = self._judged, []
        if judged:
            remember(self._live.sweep_dir, judged)

    def forgotten(self, host: str, names: Iterable[str]) -> None:
        """A host has removed these from its spool."""
        self._live.recorded.get(host, set()).difference_update(names)

    def take(self, host: str, spooled: Iterable[JsonObject]) -> None:
        """A host has these in its spool (`replies.claim_reply`)."""
        self._collected += [Kept.from_module(host, entry) for entry in spooled]

    def collect(self) -> int:
        """Make records of what hosts had in their spools; how many."""
        kept, self._collected = self._collected, []
        written = {item.run_id: latest_record(self._live.sweep_dir, item.run_id) for item in kept}
        records = records_of(self._live.plan, kept, self._live.done, written)
        count = sum(self.keep(record) is not None for record in records)
        if not self._live.refusal:
            for item in kept:
                self._live.note_recorded(item.host, [item.name])
        return count
