"""Locks and claims of a host: who has it, for how long, and that nothing poisoned holds it or breaks us."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._host import lock
from ansible_collections.pairbench.lab.plugins.module_utils._host.lock import (
    LONGEST_LEASE_SECONDS,
    MOST_BYTES,
    Claim,
    HostBusy,
    HostLock,
    await_idle,
    believed_claim,
    network_namespace,
    tidy,
)
from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import NotOurs, own_folder
from hypothesis import given
from hypothesis import strategies as st

NOW = 5000.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(own_folder(str(tmp_path / "state")))


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(lock, "LOOK_SECONDS", 0.0)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def claim_file(folder: Path) -> Path:
    return folder / f"{network_namespace()}.claim"


def content(**changes: Any) -> dict[str, Any]:
    return {"sweep": "one", "owner": "sweep one of me", "since": "2026-01-01T00:00:00Z", "expires": NOW + 60} | changes


def test_a_host_has_one_session_at_a_time_and_the_second_is_told_whose(folder: Path) -> None:
    with HostLock("sweep \x1b[31mred of me", str(folder)):
        with (
            pytest.raises(HostBusy, match=rf"held by sweep \?\[31mred of me \(pid {os.getpid()} since 20"),
            HostLock("another", str(folder)),
        ):
            pass
        with pytest.raises(HostBusy):
            await_idle(time.monotonic(), str(folder))
    await_idle(time.monotonic(), str(folder))
    assert names(folder) == []


def test_a_claim_is_of_one_sweep_until_it_is_given_back(folder: Path) -> None:
    first = Claim("one", "sweep one of me", str(folder))
    other = Claim("two", "sweep two of you", str(folder))
    first.take(60, time.monotonic())
    with pytest.raises(HostBusy, match=r"held by sweep one of me since 20.*expires in 5[0-9] s"):
        other.take(60, time.monotonic())
    other.release()
    assert claim_file(folder).exists(), "it is not the other's to give back"
    first.release()
    assert names(folder) == []
    other.take(60, time.monotonic())
    other.release()
    assert names(folder) == []


def test_the_next_controller_of_a_sweep_takes_its_claim_over(folder: Path) -> None:
    Claim("one", "a first", str(folder)).take(60, time.monotonic())
    since = json.loads(claim_file(folder).read_text())["since"]
    Claim("one", "a second", str(folder)).take(60, time.monotonic())
    held = json.loads(claim_file(folder).read_text())
    assert (held["owner"], held["since"]) == ("a second", since)
    Claim("one", "a first", str(folder)).release()
    assert claim_file(folder).exists()


def test_a_long_lease_is_held_to_the_longest(folder: Path) -> None:
    Claim("one", "me", str(folder)).take(1e12, time.monotonic())
    with pytest.raises(HostBusy):
        Claim("two", "you", str(folder)).take(60, time.monotonic())


def test_a_long_owner_is_still_believed(folder: Path) -> None:
    claim = Claim("one", "x" * 5000, str(folder))
    claim.take(60, time.monotonic())
    with pytest.raises(HostBusy, match=r"held by x+\.\.\. since"):
        Claim("two", "you", str(folder)).take(60, time.monotonic())
    claim.release()
    assert names(folder) == []


POISON = {
    "a number for an owner": json.dumps(content(owner=7)),
    "a list for a sweep": json.dumps(content(sweep=["one"])),
    "no expiry": json.dumps({"sweep": "one", "owner": "x", "since": "then"}),
    "a text for an expiry": json.dumps(content(expires="for ever")),
    "true for an expiry": json.dumps(content(expires=True)),
    "an infinite expiry": '{"sweep": "one", "owner": "x", "since": "then", "expires": Infinity}',
    "no number for an expiry": '{"sweep": "one", "owner": "x", "since": "then", "expires": NaN}',
    "an expiry beyond floats": '{"sweep": "one", "owner": "x", "since": "then", "expires": 1' + "0" * 400 + "}",
    "an expiry that is not before the end of the world": json.dumps(content(expires=NOW + LONGEST_LEASE_SECONDS + 1)),
    "control characters": json.dumps(content(owner="\x1b]0;title\x07")),
    "an endless owner": json.dumps(content(owner="x" * 1000)),
    "a list": "[1, 2]",
    "deep": "[" * 3000,
    "no text": "\udcff\udcfe",
    "too much": json.dumps(content()) + " " * MOST_BYTES,
    "cut off": json.dumps(content())[:-9],
    "nothing": "",
}


@pytest.mark.parametrize("what", POISON)
def test_a_poisoned_claim_neither_breaks_us_nor_holds_the_host(
    folder: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_boot_seconds", lambda: NOW)
    path = claim_file(folder)
    path.write_bytes(POISON[what].encode("utf-8", "surrogateescape"))
    Claim("two", "sweep two of you", str(folder)).take(60, time.monotonic())
    assert json.loads(path.read_text())["sweep"] == "two"
    Claim("two", "sweep two of you", str(folder)).release()
    assert names(folder) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("sweep", "owner", "since", "expires"), JSON)) | JSON)
def test_any_document_is_a_claim_that_can_be_ours_or_none(document: Any) -> None:
    found = believed_claim(json.dumps(document).encode(), NOW)
    if found is not None:
        assert found["sweep"].isprintable() and found["owner"].isprintable() and found["since"].isprintable()
        assert max(len(found[name]) for name in ("sweep", "owner", "since")) < 400
        assert 0 < found["expires"] - NOW <= LONGEST_LEASE_SECONDS


@given(st.binary(max_size=300))
def test_any_bytes_are_no_claim(noise: bytes) -> None:
    assert believed_claim(noise, NOW) is None


@given(st.floats(min_value=0.001, max_value=LONGEST_LEASE_SECONDS), st.text(max_size=20).filter(str.isprintable))
def test_what_we_write_is_believed_as_long_as_it_holds(left: float, owner: str) -> None:
    document = json.dumps(content(expires=NOW + left, owner=owner)).encode()
    assert believed_claim(document, NOW) == content(expires=NOW + left, owner=owner)
    assert believed_claim(document, NOW + left) is None


@pytest.mark.parametrize("suffix", ["lock", "claim"])
def test_a_link_in_place_of_a_lock_or_claim_is_not_followed(folder: Path, suffix: str) -> None:
    precious = folder / "precious"
    precious.write_text("of somebody else")
    (folder / f"{network_namespace()}.{suffix}").symlink_to(precious)
    with pytest.raises(NotOurs, match=rf"\.{suffix} is a symbolic link"):
        if suffix == "lock":
            HostLock("me", str(folder)).__enter__()
        else:
            Claim("one", "me", str(folder)).take(60, time.monotonic())
    assert precious.read_text() == "of somebody else"


def test_a_process_that_does_not_let_go_of_a_claim_is_not_waited_for(folder: Path) -> None:
    held = lock.LockedFile(str(claim_file(folder)))
    with pytest.raises(HostBusy, match="does not go on"):
        Claim("one", "me", str(folder)).take(60, time.monotonic())
    Claim("one", "me", str(folder)).release()  # it expires by itself
    held.close()


def test_what_nobody_holds_is_tidied_away_and_what_is_held_stays(folder: Path, tmp_path: Path) -> None:
    former = tmp_path / "run-lock"
    former.mkdir(mode=0o1777)
    (former / "pairbench-7.lock").touch()
    (former / "pairbench-7.claim").write_text("{}")
    (former / "other.lock").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch()
    (former / "pairbench-8.lock").symlink_to(elsewhere)
    (former / "pairbench-9.lock").hardlink_to(elsewhere)
    os.mkfifo(former / "pairbench-10.claim")
    Claim("one", "me", str(folder)).take(60, time.monotonic())  # of a namespace that is there
    boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    (folder / "11.claim").write_text(json.dumps(content(expires=boot + 60)))
    (folder / "12.claim").write_text(json.dumps(content(expires=boot - 1)))
    (folder / "13.lock").write_text("killed")
    (folder / "mtu-4.json").write_text("{}")
    with HostLock("a session", str(folder)):
        tidy(str(folder), str(former))
        assert names(folder) == sorted(
            [f"{network_namespace()}.lock", claim_file(folder).name, "11.claim", "mtu-4.json"]
        )
    assert names(former) == ["other.lock", "pairbench-10.claim", "pairbench-8.lock", "pairbench-9.lock"]
    assert elsewhere.exists()
