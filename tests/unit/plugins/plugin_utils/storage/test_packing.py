"""Files that are packed: what any tool for gzip packs is read, and nothing else, and never more of it than may be."""

from __future__ import annotations

import gzip
import subprocess
import tracemalloc
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.files import UnreadableFile
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.packing import packed, read_content
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MOST = 10_000
WHOLE = gzip.compress(b"what was printed\n" * 100, mtime=1_700_000_000)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=MOST))
def test_what_is_packed_is_read_as_it_was_by_us_and_by_others(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(packed(content))
    assert gzip.decompress(path.read_bytes()) == read_content(path, MOST) == content
    assert packed(content) == packed(content)


def test_what_gzip_itself_packs_is_read(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(b"{}" * 500)
    subprocess.run(["gzip", "-1", str(path)], check=True)  # with the file's name and time in it
    assert read_content(tmp_path / "record.json.gz", MOST) == b"{}" * 500


def test_a_file_of_another_name_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(WHOLE)
    assert read_content(path, MOST) == WHOLE


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the end is missing"),
        (b'{"schema": 1}', "not what gzip packs"),
        (WHOLE[:-1], "the end is missing"),
        (WHOLE[:30], "the end is missing"),
        (WHOLE + b"\0", "something follows"),
        (WHOLE + WHOLE, "something follows"),
        (WHOLE[:-8] + b"\0\0\0\0" + WHOLE[-4:], "damaged"),  # another sum
        (WHOLE[:-4] + b"\0\0\0\0", "damaged"),  # another length
        (WHOLE[:2] + b"\7" + WHOLE[3:], "not what gzip packs"),  # a method of packing that nobody has
        (gzip.compress(b"0" * (MOST + 1)), "more than the 10000 bytes"),
    ],
)
def test_what_is_not_one_whole_member_is_named_with_the_reason(content: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=why) as caught:
        read_content(path, MOST)
    assert str(path) in str(caught.value)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_file_cut_off_anywhere_is_never_read_as_a_shorter_one(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(WHOLE[: data.draw(st.integers(0, len(WHOLE) - 1))])
    with pytest.raises(UnreadableFile):
        read_content(path, MOST)


def test_a_bomb_is_stopped_while_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(packed(b"0" * (64 << 20)))
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableFile, match="unpacked it has more than"):
            read_content(path, 1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_nothing_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_content(tmp_path / "a.gz", MOST)
