"""Names of files in the folder of a sweep."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.sweep_folder import SweepFolder, host_file_name
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("vm1", "vm1"), ("db-1.example.org", "db-1.example.org"), ("a_b", "a_b"), ("..", "%2E."), (".", "%2E"),
        (".hidden", "%2Ehidden"), ("a/b", "a%2Fb"), ("a b", "a%20b"), ("a%2Fb", "a%252Fb"), ("fe80::1", "fe80%3A%3A1"),
        ("k\u00f6ln", "k%C3%B6ln"), ("../../etc/cron.d/x", "%2E.%2F..%2Fetc%2Fcron.d%2Fx"), ("a\0b", "a%00b"),
    ],
)  # fmt: skip
def test_the_file_of_a_host_is_named_after_it_and_is_never_a_path(host: str, name: str) -> None:
    assert host_file_name(host) == f"{name}.json"


@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=300) | st.text("./_%a", max_size=5), unique=True))
def test_two_hosts_never_share_a_file(hosts: list[str]) -> None:
    names = {host_file_name(host) for host in hosts}
    assert len(names) == len(hosts)
    for name in names:
        assert name and "/" not in name and not name.startswith(".") and len(name) <= 255 and name.isascii()


def test_everything_has_the_name_that_the_documentation_gives_it(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path)
    found = [folder.plan, *folder.record_forms("r", 1), folder.record("r", 2), folder.host("h"), folder.derived]
    found += [folder.lock, folder.log(1), folder.table("runs")]
    assert [str(path.relative_to(tmp_path)) for path in found] == [
        "plan.json", "records/r.json.gz", "records/r.json", "records/r.2.json.gz", "hosts/h.json", "derived.sqlite",
        "lock", "logs/pass-001.log",
        "runs.csv",
    ]  # fmt: skip


def test_what_is_there_is_seen(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path)
    assert not folder.has_plan and folder.last_attempt("r") == 0 and folder.tables_of(["runs", "hosts"]) == []
    folder.records.mkdir()
    for path in (folder.plan, folder.table("hosts"), folder.record("r", 1), folder.record("r", 2)):
        path.touch()
    assert folder.has_plan and folder.last_attempt("r") == 2
    folder.record_forms("r", 3)[1].touch()  # as it was written before
    assert folder.last_attempt("r") == 3
    assert folder.tables_of(["runs", "hosts"]) == [folder.table("hosts")]


@pytest.mark.parametrize("run_id", ["", "..", "../x", "a/b", "a\0", ".hidden"])
def test_no_record_leaves_its_folder(run_id: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no run_id"):
        SweepFolder(tmp_path).record(run_id, 1)
