"""Whatever stands where the store should be: it is used, made anew or done without, and the answers are the same."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.record import record_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.writing import write_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.sweep_folder import SweepFolder
from ansible_collections.pairbench.lab.plugins.plugin_utils.store import database
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.asking import asked, remember
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.database import SCHEMA, opened
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.judged import judged_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.looking import RECENT_NS, Synced
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.statuses import completed
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.store import Store
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge
from captured import captured
from damages import Damage, instead
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sweep = tmp_path_factory.mktemp("whole")
    for number in (1, 2):
        document = captured("iperf3_tcp")
        document["run"]["run_id"] = f"run{number}"
        write_record(sweep, record_of(document))
    assert completed(sweep) == {"run1", "run2"}
    return sweep


@pytest.fixture
def sweep(whole: Path, tmp_path: Path) -> Path:
    copied = Path(shutil.copytree(whole, tmp_path / "s"))
    time.sleep(2 * RECENT_NS / 1e9)
    return copied


def changed(*statements: str) -> Damage:
    """Our own store, changed by somebody who knows SQL."""

    def damage(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    return damage


DAMAGES: dict[str, Damage] = {
    "nothing": os.unlink,
    "empty": lambda path: os.truncate(path, 0),
    "text": lambda path: path.write_text("no database" * 1000, encoding="utf-8") and None,
    "half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "a header alone": lambda path: os.truncate(path, 100),
    "another version": changed("PRAGMA user_version = 99"),
    "another program's": changed("PRAGMA application_id = 7"),
    "another table": changed("CREATE TABLE more (x)"),
    "a trigger": changed("CREATE TRIGGER t AFTER UPDATE ON files BEGIN DELETE FROM files; END"),
    "a table less": changed("DROP TABLE figures"),
    "no figures": changed("DELETE FROM figures"),
    "no texts": changed("DELETE FROM texts"),
    "texts that are none": changed("UPDATE texts SET text = CAST('x' || id AS BLOB)"),
    "texts of another kind": changed("UPDATE texts SET text = '[' || text"),
    "names that are none": changed("UPDATE files SET name = 7 WHERE id = 1"),
    "no stamps": changed("UPDATE files SET stamp = x''"),
    "identities that are none": changed("UPDATE files SET own = '7', shared = 'x'"),
    "runs that are none": changed("UPDATE files SET run_id = x'00ff'"),
    "changes that are none": changed("UPDATE blocks SET changed = 'x'", "UPDATE made SET changed = 'x'"),
    "what was made of nothing": changed("INSERT INTO made VALUES ('x', 0, x'00', x'00', x'00')"),
    "files of nobody": changed("UPDATE files SET name = x'2e2e2f706c616e'  WHERE id = 1"),
    "a folder": instead(lambda path: path.mkdir()),
    "a FIFO": instead(os.mkfifo),
    "a link to a device": instead(lambda path: path.symlink_to("/dev/zero")),
    "a link to nothing": instead(lambda path: path.symlink_to("nothing")),
    "a FIFO as journal": lambda path: os.mkfifo(f"{path}-journal"),
    "a journal of nothing": lambda path: Path(f"{path}-journal").write_bytes(os.urandom(3000)) and None,
    "a log of nothing": lambda path: Path(f"{path}-wal").write_bytes(b"x" * 100) and None,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_store_in_any_state_changes_no_answer(damage: str, sweep: Path) -> None:
    path = SweepFolder(sweep).derived
    DAMAGES[damage](path)
    kept = path.is_file() and not path.is_symlink()

    def read(store: Store, _synced: Synced) -> int:
        return sum(len(found.judgement.samples) for found in store.judged(["run1", "run2"]).values())

    for _look in range(2):
        asked(sweep, lambda store, _synced: (store.changes(), store.made("x")))
        assert completed(sweep) == {"run1", "run2"}
        assert asked(sweep, read) == 2 * len(judge(captured("iperf3_tcp")).samples)
    synced = asked(sweep, lambda _store, synced: synced)
    if kept or damage == "nothing":
        assert (synced.read, synced.judged) == (0, 0), "it is a store again"
    elif "journal" not in damage:
        assert synced.judged == 2, "there is none but in memory"


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_store_that_is_damaged_at_any_byte_breaks_nothing(
    data: st.DataObject, whole: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sweep = tmp_path_factory.mktemp("bytes") / "s"
    shutil.copytree(whole, sweep)
    path = SweepFolder(sweep).derived
    content = bytearray(path.read_bytes())
    for _number in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    asked(sweep, lambda store, _synced: (store.judged(["run1", "run2"]), store.done(), store.changes(), store.made("x")))


def test_what_cannot_be_written_is_gone_on_with_in_memory(sweep: Path) -> None:
    path = SweepFolder(sweep).derived
    before = path.read_bytes()
    with Store(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as store:
        [file, _other] = store.files()
        with store.changing():
            store.remove(file)
        assert store.done() == {"run2"}, "what was stored is known there too"
    assert path.read_bytes() == before


def test_a_store_that_somebody_else_writes_to_is_read_and_not_waited_for_without_end(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.05)
    with Held(SweepFolder(sweep).derived, "BEGIN IMMEDIATE"):
        assert completed(sweep) == {"run1", "run2"}
        (sweep / "records" / "odd.json").write_text("{}")
        assert completed(sweep) == {"run1", "run2"}
    with Held(SweepFolder(sweep).derived, "BEGIN EXCLUSIVE"):
        assert completed(sweep) == {"run1", "run2"}
        stored = write_record(sweep, record_of(captured("iperf3_tcp")))
        remember(sweep, [(SweepFolder(sweep).record(stored.run_id, 1), stored, judged_record(stored))])
    assert asked(sweep, lambda _store, synced: synced.judged) == 1, "nobody has taken it for damaged"


class Held:
    """Another process that holds the store."""

    def __init__(self, path: Path, how: str) -> None:
        script = (
            f"import sqlite3, sys; c = sqlite3.connect({str(path)!r}, isolation_level=None); c.execute({how!r}); "
            "print('held', flush=True); sys.stdin.read()"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> None:
        assert self.process.stdout is not None and self.process.stdout.readline() == "held\n"

    def __exit__(self, *_error: object) -> None:
        self.process.communicate(timeout=60)


def test_the_store_is_a_file_of_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "x\udcff y?#%.sqlite"
    with closing(opened(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE sql IS NOT NULL").fetchone() == (len(SCHEMA),)
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0
    assert list(tmp_path.iterdir()) == [path]
