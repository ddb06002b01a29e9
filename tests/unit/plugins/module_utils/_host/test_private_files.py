"""Files of our own: whatever somebody else puts in their place is named and refused, and nothing of theirs is touched."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._host import private_files
from ansible_collections.pairbench.lab.plugins.module_utils._host.private_files import (
    LockedFile,
    NotOurs,
    RunFolder,
    own_folder,
    printable,
    read_own,
    read_small,
    remove_stale_run_folders,
    require_trusted_way,
    state_folder,
    write_own,
)

PRECIOUS = b"of somebody else"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of ours."""
    return Path(own_folder(str(tmp_path / "ours")))


def poisoned(path: Path, how: str) -> Path:
    """Put something in place of a file of ours; a file that must not change."""
    target = path.parent / "precious"
    target.write_bytes(PRECIOUS)
    target.chmod(0o600)
    if how == "symlink":
        path.symlink_to(target)
    elif how == "dangling symlink":
        path.symlink_to(path.parent / "made by following")
    elif how == "hard link":
        path.hardlink_to(target)
    elif how == "fifo":
        os.mkfifo(path)
    elif how == "folder":
        path.mkdir()
    elif how == "writable by others":
        path.touch()
        path.chmod(0o666)
    return target


POISONS = ("symlink", "dangling symlink", "hard link", "fifo", "folder", "writable by others")


@pytest.mark.parametrize("how", POISONS)
def test_a_lock_is_never_what_others_made(folder: Path, how: str) -> None:
    path = folder / "1.lock"
    target = poisoned(path, how)
    with pytest.raises(NotOurs, match=f"{path} is .*remove it and run the same command again"):
        LockedFile(str(path))
    assert target.read_bytes() == PRECIOUS
    assert not (folder / "made by following").exists()


@pytest.mark.parametrize("how", POISONS)
def test_what_is_read_is_never_what_others_made(folder: Path, how: str) -> None:
    path = folder / "entry.json"
    poisoned(path, how)
    with pytest.raises(NotOurs):
        read_own(str(path), 100)


@pytest.mark.parametrize("how", ["symlink", "dangling symlink", "hard link", "fifo", "writable by others"])
def test_what_is_written_replaces_what_others_made_and_follows_nothing(folder: Path, how: str) -> None:
    path = folder / "entry.json"
    target = poisoned(path, how)
    poisoned(folder / ".entry.json", how)  # where it is written first
    write_own(str(path), b"ours")
    assert read_own(str(path), 100) == b"ours"
    assert target.read_bytes() == PRECIOUS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not (folder / "made by following").exists()


def test_a_file_of_another_user_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_own(str(folder / "1.claim"), b"{}")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(NotOurs, match="a file of user"):
        read_own(str(folder / "1.claim"), 100)
    with pytest.raises(NotOurs, match="a file of user"):
        LockedFile(str(folder / "1.claim"))


def test_no_more_is_read_than_is_allowed(folder: Path) -> None:
    write_own(str(folder / "entry"), b"x" * 101)
    assert read_own(str(folder / "entry"), 101) == b"x" * 101
    with pytest.raises(OSError, match="larger than 100 bytes") as caught:
        read_own(str(folder / "entry"), 100)
    assert caught.value.errno == errno.EFBIG
    assert read_small(str(folder / "entry"), 100) == b"x" * 100


def test_a_file_that_is_not_ours_is_read_without_waiting(folder: Path) -> None:
    os.mkfifo(folder / "pid")
    with pytest.raises(OSError, match="no regular file"):
        read_small(str(folder / "pid"), 100)


# Folders


def test_a_folder_is_made_with_those_on_the_way_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "var" / "lib" / "spool"
    for _time in range(2):
        assert own_folder(str(path)) == str(path)
    assert [stat.S_IMODE(item.stat().st_mode) & 0o077 for item in (path, path.parent)] == [0, 0o055]


def test_a_folder_that_others_may_read_is_closed_and_one_they_may_write_to_refused(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    path.mkdir(mode=0o755)
    own_folder(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for mode in (0o777, 0o1777, 0o770, 0o702):
        path.chmod(mode)
        with pytest.raises(NotOurs, match=f"{path} is a folder that others can write to"):
            own_folder(str(path))


def test_a_link_or_a_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "link").symlink_to(elsewhere)
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "made by following")
    with pytest.raises(NotOurs, match="a symbolic link and no folder"):
        own_folder(str(tmp_path / "link"))
    with pytest.raises(NotOurs, match="a symbolic link and no folder"):
        own_folder(str(tmp_path / "dangling"))
    with pytest.raises(NotOurs, match="no folder"):
        own_folder(str(tmp_path / "file"))
    assert not list(elsewhere.iterdir()) and not (tmp_path / "made by following").exists()


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "theirs"
    path.mkdir()
    monkeypatch.setattr(private_files, "_trusted_owners", lambda: {0, os.getuid(), os.getuid() + 1})
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(NotOurs, match="a folder of user"):
        own_folder(str(path))


@pytest.mark.parametrize("mode", [0o777, 0o707])
def test_a_way_that_others_can_turn_aside_is_not_taken(tmp_path: Path, mode: int) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    own_folder(str(open_to_all / "spool"))
    open_to_all.chmod(mode)
    with pytest.raises(NotOurs, match=f"{open_to_all} is on the way to .*can be written to by others"):
        own_folder(str(open_to_all / "spool"))
    open_to_all.chmod(0o1777)  # as /tmp: nobody moves what belongs to another
    own_folder(str(open_to_all / "spool"))


def test_links_on_the_way_are_followed_only_where_they_are_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real" / "in").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real/../real")
    require_trusted_way(str(tmp_path / "link" / "in"))
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="too many symbolic links"):
        require_trusted_way(str(tmp_path / "loop" / "in"))
    real_lstat = os.lstat

    def of_another_user(path: str) -> os.stat_result:
        found = list(real_lstat(path))
        if os.path.basename(path) == "link":  # noqa: PTH119 - what os.lstat is given
            found[stat.ST_UID] = os.getuid() + 12345
        return os.stat_result(found)

    monkeypatch.setattr(os, "lstat", of_another_user)
    with pytest.raises(NotOurs, match=r"link is on the way to .*belongs to user"):
        require_trusted_way(str(tmp_path / "link" / "in"))


def test_somebody_who_is_not_root_has_a_folder_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_files, "STATE_FOLDER", str(tmp_path / "missing" / "pairbench"))
    monkeypatch.setattr(os, "stat", _stat_of_a_user(os.stat, str(tmp_path / "missing")))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert state_folder() == str(tmp_path / "pairbench")
    assert stat.S_IMODE((tmp_path / "pairbench").stat().st_mode) == 0o700


def _stat_of_a_user(real, missing):
    """As in a user namespace: the folder of the system belongs to a root outside."""

    def found(path, **options):
        if path == missing:
            values = list(real("/"))
            values[stat.ST_UID] = 65534
            return os.stat_result(values)
        return real(path, **options)

    return found


# Locks


def test_a_lock_has_one_holder_and_leaves_no_file(folder: Path) -> None:
    path = folder / "1.lock"
    first = LockedFile(str(path))
    with pytest.raises(BlockingIOError):
        LockedFile(str(path))
    first.remove()
    first.close()
    assert not path.exists()


def test_who_opened_a_lock_before_it_was_removed_takes_the_new_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "1.lock"
    first = LockedFile(str(path))
    real, opened = private_files._opened, []

    def opened_before_the_end(name: str, flags: int) -> int:
        descriptor: int = real(name, flags)
        if not opened:  # its holder goes between our opening and our locking
            first.remove()
            first.close()
        opened.append(os.fstat(descriptor).st_ino)
        return descriptor

    monkeypatch.setattr(private_files, "_opened", opened_before_the_end)
    second = LockedFile(str(path))
    monkeypatch.undo()
    assert len(opened) == 2 and path.stat().st_ino == opened[1]
    with pytest.raises(BlockingIOError):
        LockedFile(str(path))
    second.close()


def test_what_is_written_replaces_what_was_there(folder: Path) -> None:
    file = LockedFile(str(folder / "note"))
    file.write(b"a long first content")
    file.write(b"short", durable=True)
    assert file.read(100) == b"short"
    assert len(file.read(3)) == 4
    file.close()


# Folders of runs


def test_a_run_folder_that_is_taken_for_a_leftover_before_it_is_opened_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made: list[str] = []
    really = tempfile.mkdtemp

    def taken_once(**named: str) -> str:
        made.append(really(**named))
        if len(made) == 1:
            remove_stale_run_folders()
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", taken_once)
    with RunFolder() as path:
        assert path == made[1] and not Path(made[0]).exists() and Path(path).is_dir()



def test_run_folders_go_with_their_run_and_leftovers_with_the_next_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private_files.tempfile, "tempdir", str(tmp_path))
    with RunFolder() as path:
        Path(path, "stdout").write_text("x")
        leftover = tmp_path / "pairbench-run-killed"
        leftover.mkdir(mode=0o700)
        (leftover / "stdout").write_text("x")
        others = tmp_path / "somebody-elses"
        others.mkdir()
        elsewhere = tmp_path / "pairbench-run-link"
        elsewhere.symlink_to(others)
        remove_stale_run_folders()
        assert Path(path, "stdout").exists(), "a run is under way"
        assert not leftover.exists() and others.exists() and elsewhere.is_symlink()
    assert not Path(path).exists()


def test_what_is_shown_has_no_control_characters_and_is_short() -> None:
    assert printable("a\x1b[31m\nb", 100) == "a?[31m?b"
    assert printable("x" * 10, 4) == "xxxx..."
