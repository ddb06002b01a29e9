"""The program that counts a guest's calls: between two calls that only the observer makes, and in its process only."""

from __future__ import annotations

import os

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._session import observer
from ansible_collections.pairbench.lab.plugins.module_utils._tracing.tracer import PROBES


@pytest.mark.parametrize("probe", PROBES)
def test_calls_are_counted_between_the_two_marks_of_the_observer(probe: str) -> None:
    opens, closes = observer.MARKS.get(os.uname().machine, observer.OTHER_MARKS)
    text = observer.script_text("count", probe, 4711, 99)
    assert f"{probe} /pid == 4711 && @on/ {{ @calls[tid, comm, {PROBES[probe]}] = count(); }}" in text
    assert f"/pid == 99 && {PROBES[probe]} == {opens}/ {{ @on = 1;" in text
    assert f"/pid == 99 && {PROBES[probe]} == {closes}/ {{ @on = 0;" in text
    assert "@entered" not in text


def test_time_is_taken_with_the_probe_that_sees_both_ways() -> None:
    text = observer.script_text("time", "rawtracepoint:sys_enter", 4711, 99)
    assert "rawtracepoint" not in text and "@time[tid, comm, @call[tid]] = sum(nsecs - @entered[tid])" in text
    assert text.rstrip().endswith("END { clear(@on); clear(@entered); clear(@call); }")


def test_a_namespace_that_does_not_exist_is_a_sentence() -> None:
    watch = {"namespace": "pbunit-nowhere", "guest": "vm1"}
    told = observer.observe(watch, wakeup=None)
    assert told == "cannot enter the network namespace pbunit-nowhere: No such file or directory"
