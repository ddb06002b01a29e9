"""Where everything of a sweep is kept: ``results/<sweep>`` and the names of what is in it (docs/data.md)."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..model import RUN_ID
from .packing import PACKED

LONGEST_FILE_NAME = 200
DOCUMENT = ".json"
"""How the names of files end that hold one JSON document: plan, records, facts of hosts."""


@dataclass(frozen=True)
class SweepFolder:
    """The folder of one sweep. It knows names and looks whether files are there; it reads and writes none."""

    path: Path

    @property
    def plan(self) -> Path:
        """The stored plan."""
        return self.path / f"plan{DOCUMENT}"

    @property
    def has_plan(self) -> bool:
        """Whether a plan is stored."""
        return self.plan.exists()

    @property
    def records(self) -> Path:
        """The folder with one file for every attempt of a run."""
        return self.path / "records"

    @property
    def hosts(self) -> Path:
        """The folder with what each host said of itself."""
        return self.path / "hosts"

    @property
    def host_files(self) -> list[Path]:
        """The files with what hosts said of themselves."""
        return list(self.hosts.glob(f"*{DOCUMENT}"))

    @property
    def derived(self) -> Path:
        """The store of what was said of each record, and of the figures in it."""
        return self.path / "derived.sqlite"

    @property
    def lock(self) -> Path:
        """The file that the controller at work holds locked."""
        return self.path / "lock"

    @property
    def logs(self) -> Path:
        """The folder with the output of each pass of ``pairbench sweep``."""
        return self.path / "logs"

    def log(self, number: int) -> Path:
        """The output of a pass of ``pairbench sweep``; the first has the number 1."""
        return self.logs / f"pass-{number:03d}.log"

    def table(self, name: str) -> Path:
        """A table as CSV."""
        return self.path / f"{name}.csv"

    def tables_of(self, names: Iterable[str]) -> list[Path]:
        """Of these tables, those that have been written."""
        return [path for path in map(self.table, names) if path.exists()]

    def record(self, run_id: str, attempt: int) -> Path:
        """An attempt of a run as it is written. Raises ValueError for what is no run_id: no record leaves its folder."""
        return self.record_forms(run_id, attempt)[0]

    def record_forms(self, run_id: str, attempt: int) -> tuple[Path, Path]:
        """An attempt of a run in its two forms, the one that counts where both are there first: packed, and not packed.

        Raises ValueError for what is no run_id.
        """
        if not RUN_ID.fullmatch(run_id):
            raise ValueError(f"{run_id[:80]!r} is no run_id")
        name = record_name(run_id, attempt)
        return self.records / f"{name}{PACKED}", self.records / name

    def record_there(self, run_id: str, attempt: int) -> Path:
        """An attempt of a run in the form in which it is there; as it is written where it is not. Raises ValueError."""
        forms = self.record_forms(run_id, attempt)
        return next((path for path in forms if os.path.lexists(path)), forms[0])

    def host(self, host: str) -> Path:
        """What a host said of itself."""
        return self.hosts / host_file_name(host)

    def last_attempt(self, run_id: str) -> int:
        """The number of the latest attempt of a run, in whichever form; 0 when there is none."""
        attempt = 0
        while any(map(os.path.lexists, self.record_forms(run_id, attempt + 1))):
            attempt += 1
        return attempt


def record_name(run_id: str, attempt: int) -> str:
    """The name of the document of an attempt of a run; that of its file has `PACKED` behind it where it is packed."""
    suffix = "" if attempt == 1 else f".{attempt}"
    return f"{run_id}{suffix}{DOCUMENT}"


def document_name(path: Path) -> str:
    """The name of the document in a file, whether that is packed or not."""
    return path.name.removesuffix(PACKED)


def host_file_name(host: str) -> str:
    """The name of the file of a host: two hosts never have the same one, it is never hidden and never a path.

    A name of letters, digits, ``_``, ``.`` and ``-`` stays as it is; other characters are written as in a URL.
    """
    escaped = re.sub(r"^\.|[^A-Za-z0-9_.-]", lambda match: _escaped(match[0]), host)
    if escaped and len(escaped) <= LONGEST_FILE_NAME:
        return f"{escaped}{DOCUMENT}"
    digest = hashlib.sha256(host.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{escaped[: LONGEST_FILE_NAME - 70]}%~{digest}{DOCUMENT}"  # no character is written as %~


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
