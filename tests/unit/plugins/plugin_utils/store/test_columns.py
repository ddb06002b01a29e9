"""What is stored of a record is what was judged of it, to the last bit."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.transfer import Interval, Transfer
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import Judgement, Run, Sample, SyscallCount
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.reading import IDENTITY, identity_of, stored_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.columns import (
    Columns,
    ForeignRow,
    Matching,
    Names,
    columns_of,
    counts_from,
    judged_from,
    packed_values,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.judged import JudgedRecord, judged_record
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.cells import cell
from captured import all_captured, run_of
from hypothesis import given
from hypothesis import strategies as st

TEXT = st.text(st.characters(), max_size=12) | st.just("\ud800\x1b[2J")
FINITE = st.floats(allow_nan=False, allow_infinity=False)
EDGES = st.sampled_from([sign * (2**53 + off) for sign in (-1, 1) for off in (-1, 0, 1)])
"""Whole numbers at the end of those that floating point holds exactly."""
VALUE = FINITE | st.integers(-(2**70), 2**70) | EDGES
COUNT = st.none() | st.integers(0, 2**63 - 1) | st.integers(-(2**70), 2**70)
ANY_JSON = st.none() | st.booleans() | VALUE | TEXT | st.just({"a": [1.0]})
PLAIN = st.text("abc_%.", min_size=1, max_size=8)
SAMPLE = st.builds(Sample, PLAIN, PLAIN, VALUE)
CALL = st.builds(
    SyscallCount, st.sampled_from(["server", "client"]), st.sampled_from(["process", "vmm"]), TEXT, TEXT, COUNT, COUNT
)
JUDGEMENT = st.one_of(
    st.builds(
        Judgement, st.just("valid"), checks=st.dictionaries(TEXT, TEXT, max_size=3),
        samples=st.lists(SAMPLE, max_size=5).map(tuple), syscalls=st.lists(CALL, max_size=5).map(tuple),
    ),
    st.builds(Judgement, st.sampled_from(["invalid", "failed"]), st.sampled_from(["no_end", "malformed"]), TEXT),
)  # fmt: skip
INTERVAL = st.tuples(FINITE, FINITE, FINITE).filter(lambda numbers: numbers[0] < numbers[1]).map(lambda n: Interval(*n))
TRANSFER = st.none() | st.builds(Transfer, FINITE, FINITE, st.lists(INTERVAL, min_size=1, max_size=4).map(tuple))
JUDGED = st.builds(
    JudgedRecord,
    run_id=st.just("run1"),
    attempt=st.integers(1, 99),
    identity=st.fixed_dictionaries(dict.fromkeys(IDENTITY, ANY_JSON)),
    judgement=JUDGEMENT,
    readable=st.booleans(),
    started_at=st.none() | TEXT,
    seconds=st.none() | VALUE,
    began=st.none() | VALUE,
    traced=st.booleans(),
    untraceable=st.booleans(),
    transfer=TRANSFER,
)


class Texts:
    """Shared texts in a list."""

    def __init__(self) -> None:
        self.known: list[str] = []

    def intern(self, text: str) -> int:
        assert text.isascii(), "no encoding is asked for more"
        if text not in self.known:
            self.known.append(text)
        return self.known.index(text)

    def text(self, number: int) -> str:
        try:
            return self.known[number]
        except (IndexError, TypeError):
            raise ForeignRow("there is none") from None


def cells_of(found: JudgedRecord) -> list[str]:
    """Every figure as the tables show it."""
    values: list[Any] = [found.seconds, *(sample.value for sample in found.judgement.samples)]
    return [cell(value) for value in values] + [cell(row.calls) + cell(row.time_ns) for row in found.judgement.syscalls]


@given(found=JUDGED)
def test_what_was_judged_comes_back_as_it_was(found: JudgedRecord) -> None:
    texts = Texts()
    row = columns_of(found, texts.intern)
    back = judged_from(row, Names.of(texts.text))
    assert back == found and cells_of(back) == cells_of(found)
    assert list(back.judgement.checks) == list(found.judgement.checks), "the first of equals is shown first"


@pytest.mark.parametrize("document", all_captured(), ids=lambda document: str(document["run"]["run_id"]))
def test_real_records_share_what_they_have_alike(document: dict[str, Any]) -> None:
    texts = Texts()
    found = judged_record(stored_record(document, ""))
    row = columns_of(found, texts.intern)
    size = len(texts.known)
    assert judged_from(row, Names.of(texts.text)) == found
    assert columns_of(found, texts.intern) == row and len(texts.known) == size
    assert row.exact is None and len(row.samples) == 8 * len(found.judgement.samples)


ANYTHING = st.none() | st.integers(-(2**70), 2**70) | FINITE | st.binary(max_size=60) | TEXT | st.sampled_from(
    ["[]", "[[]]", "{}", "[1,2,3]", '["",null,{}]', "[null,null,null]", '{"samples":[true]}', '{"calls":[[0,"x",1]]}',
     "[" * 5000]
)  # fmt: skip


@given(found=JUDGED, position=st.integers(0, len(Columns._fields) - 1), value=ANYTHING)
def test_what_somebody_else_has_written_is_refused_or_borne(found: JudgedRecord, position: int, value: Any) -> None:
    texts = Texts()
    row = columns_of(found, texts.intern)
    names = Names.of(texts.text)
    changed = row._replace(**{Columns._fields[position]: value})
    for read in (
        lambda: judged_from(changed, names),
        lambda: counts_from(changed.calls, changed.exact, names),
        lambda: packed_values(changed.samples, changed.exact),
    ):
        try:
            read()
        except ForeignRow:
            continue


@given(level=st.none() | st.integers(1, 9), traced=st.booleans(), host=PLAIN, other=TEXT, changes=st.booleans())
def test_matching_says_what_comparing_says(level: int | None, traced: bool, host: str, other: str, changes: bool) -> None:
    texts = Texts()
    run = Run("run1", 1, 1, host, other, "iperf3", "case", {"seconds": 1}, 1, traced, 1.0, level)
    mine = identity_of(vars(run))
    found = mine | {"parameters": {"seconds": 1.0 if changes else 2}} if traced else mine | {"server": other}
    matches = Matching(Names.of(texts.text))
    for identity in (mine, found, mine):
        row = columns_of(plainly_judged(identity), texts.intern)
        assert matches(run, row.shared, row.own) == (identity == mine)


def plainly_judged(identity: dict[str, Any]) -> JudgedRecord:
    return JudgedRecord("run1", 1, identity, Judgement("valid"), True, None, None, None, False, False, None)


def test_the_run_of_a_real_record_matches_it() -> None:
    document = all_captured()[0]
    texts = Texts()
    row = columns_of(judged_record(stored_record(document, "")), texts.intern)
    assert Matching(Names.of(texts.text))(run_of(document), row.shared, row.own)
