"""Lists of CPUs as the kernel writes them."""

from __future__ import annotations

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._host.cpu_list import NotCpus, cpu_list, cpu_numbers
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("0", {0}), ("0-3,6", {0, 1, 2, 3, 6}), (" 4, 1 - 2", {1, 2, 4}), ("0-7:1/2", {0, 2, 4, 6}), ("3-3", {3})],
)
def test_numbers_ranges_and_strides_are_read(text: str, numbers: set[int]) -> None:
    assert cpu_numbers(text) == numbers


@pytest.mark.parametrize(
    ("text", "fault", "item"),
    [
        ("", "form", ""), ("a", "form", "a"), ("1,,2", "form", ""), ("-1", "form", "-1"), ("1-", "form", "1-"),
        ("0x1", "form", "0x1"), ("٣", "form", "٣"), ("0" * 41, "form", "0" * 41), ("1,3-1", "order", "3-1"),
        ("0-3:0/2", "stride", "0-3:0/2"), ("0-3:3/2", "stride", "0-3:3/2"), ("0-8192", "number", "0-8192"),
    ],
)
def test_the_part_that_names_no_cpus_is_told(text: str, fault: str, item: str) -> None:
    with pytest.raises(NotCpus) as refused:
        cpu_numbers(text)
    assert (refused.value.fault, refused.value.item) == (fault, item)


@given(st.sets(st.integers(0, 300), min_size=1))
def test_a_list_is_read_as_it_was_written(numbers: set[int]) -> None:
    assert cpu_numbers(cpu_list(numbers)) == numbers
