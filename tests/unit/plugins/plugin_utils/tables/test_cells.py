"""Cells of tables: read back exactly, and never a formula."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.cells import cell, guarded, plain_cell
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.rows import TABLES, to_csv
from hypothesis import example, given
from hypothesis import strategies as st

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "=cmd|'x'!A0", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20x"]
FIRST = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
ANY_TEXT = st.one_of(st.text(), st.text(alphabet="'=+-@\t\r\n\uff1da", max_size=6))
PLAIN_TEXT = st.text(st.characters(blacklist_categories=("Cc", "Cs", "Cf", "Zl", "Zp")))


@given(text=ANY_TEXT)
def test_a_guarded_text_is_no_formula_and_comes_back(text: str) -> None:
    shown = guarded(text)
    assert not shown.startswith(FIRST) and plain_cell(shown) == text
    assert shown in (text, f"'{text}")


@pytest.mark.parametrize("text", [*FORMULAS, *(f"'{text}" for text in FORMULAS), *(f"''{text}" for text in FORMULAS)])
def test_what_a_spreadsheet_would_work_out_has_an_apostrophe_more(text: str) -> None:
    assert guarded(text) == f"'{text}" and plain_cell(guarded(text)) == text


@pytest.mark.parametrize("text", ["", "'", "''", "it's", "'quoted'", "a=b", "x -P 4", "vm-1", "1.5", "tcp_P4_30s"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert guarded(text) == text == plain_cell(text) == cell(text)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(-3.5, "-3.5"), (-3, "-3"), (-3.0, "-3"), (1e300, "1e+300"), (None, ""), (True, "true"), (False, "false"),
     ("-3", "'-3"), (["=x"], "['=x']"), ("a\x1b[2Jb", "a\\x1b[2Jb"), ("a\nb\tc", "a\\x0ab\\x09c"), ("=\x9b1m", "'=\\x9b1m"),
     ("\ud800", "\\ud800"), ("\n=1", "\\x0a=1"), ("é…", "é…"), ("\0", "\\x00")],
)  # fmt: skip
def test_figures_are_no_text_and_control_characters_are_seen(value: object, shown: str) -> None:
    assert cell(value) == shown


@given(texts=st.lists(PLAIN_TEXT, min_size=3, max_size=3))
@example(texts=["'=", "=", "a,\"b\"; '"])
def test_csv_and_pandas_give_the_texts_back(texts: list[str]) -> None:
    columns = TABLES["hosts"]
    written = to_csv("hosts", [dict(zip(columns, texts, strict=True))])
    assert written.count("\n") == 2, "a row is a line"
    [_head, row] = csv.reader(io.StringIO(written))
    assert [plain_cell(text) for text in row] == texts
    frame = pd.read_csv(io.StringIO(written), dtype=str, keep_default_na=False)
    assert [plain_cell(text) for text in frame.iloc[0]] == texts


@given(value=st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**63)))
def test_figures_come_back_exactly(value: float) -> None:
    assert type(value)(cell(value)) == value and not cell(value).startswith("'")
