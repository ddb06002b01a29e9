import unicodedata

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.plain_text import printable
from hypothesis import given
from hypothesis import strategies as st

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("", ""),
        ("Köln 東京 µs …", "Köln 東京 µs …"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("two\nlines\tand\ra\x00", r"two\x0alines\x09and\x0da\x00"),
        ("\x7f\x85\x9b31m", r"\x7f\x85\x9b31m"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("\u202eevil\u2066\u200f\u061c", r"\u202eevil\u2066\u200f\u061c"),
        ("half \ud800 pair", r"half \ud800 pair"),
    ],
)
def test_controls_are_shown_and_everything_else_stays(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("12345", 5, "12345"),
        ("123456", 5, "1234…"),
        ("12\x1b", 5, "12…"),
        ("1\x1b", 5, r"1\x1b"),
        ("\x1b\x1b\x1b", 9, r"\x1b\x1b…"),
        ("ab", 1, "…"),
        ("ab", 0, ""),
    ],
)
def test_what_is_too_long_is_cut_between_characters(text, limit, shown):
    assert printable(text, limit) == shown


def test_a_huge_text_costs_no_more_than_what_is_shown_of_it():
    assert printable("\x1b" * 50_000_000, 9) == r"\x1b\x1b…"


@given(ANY_TEXT, st.integers(0, 40))
def test_nothing_that_a_terminal_obeys_is_left(text, limit):
    shown = printable(text, limit)
    assert len(shown) <= limit
    shown.encode("utf-8")
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in shown)
    assert not any(unicodedata.bidirectional(character) in ("RLO", "LRO", "RLE", "LRE", "PDF") for character in shown)


@given(ANY_TEXT)
def test_it_is_shown_alike_when_shown_again(text):
    assert printable(printable(text)) == printable(text)
