"""A file that is written piece by piece is there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.files import StorageError
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.streamed import Rewritten


def test_pieces_and_what_was_there_become_one_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "table.csv"
    with Rewritten(path) as file:
        file.write(b"head\nold\n")
        file.commit()
    with path.open("rb") as before, Rewritten(path) as file:
        file.write(b"head\n")
        file.copy(before, 5, 9)
        file.write(b"new\n")
        assert file.length == 13 and path.read_bytes() == b"head\nold\n", "nothing has happened yet"
        status = file.commit()
    assert path.read_bytes() == b"head\nold\nnew\n" and os.path.samestat(status, path.stat())
    assert [entry.name for entry in path.parent.iterdir()] == ["table.csv"]


def test_what_is_not_finished_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), Rewritten(path) as file:
        file.write(b"new")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_what_was_there_and_has_become_shorter_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"old")
    with path.open("rb") as before, Rewritten(path) as file, pytest.raises(StorageError, match=r"table\.csv could not"):
        file.copy(before, 0, 9)
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("place", ["/dev/full/table.csv", "/proc/table.csv"])
def test_where_nothing_can_be_written_the_path_is_named(place: str) -> None:
    with pytest.raises(StorageError, match=r"could not be written"):
        Rewritten(Path(place))
