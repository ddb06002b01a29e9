"""A document of ``-J`` read at once says the same as its lines do, or is left to them."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import clone
import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.iperf3 import json_output
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.iperf3.json_output import parse_document, whole_output
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.scan import scan
from ansible_collections.pairbench.lab.plugins.plugin_utils.parsing.bounds import bounded
from ansible_collections.pairbench.lab.plugins.plugin_utils.parsing.finding import Finding
from hypothesis import given, settings
from hypothesis import strategies as st

CAPTURES = clone.CAPTURES / "iperf3"
TEXTS = {
    str(path.relative_to(CAPTURES)): path.read_text(encoding="utf-8")
    for path in sorted(CAPTURES.rglob("*"))
    if path.suffix in (".json", ".txt") and path.name != "golden.txt"
}
PLAIN = sorted(name for name, text in TEXTS.items() if whole_output(text) is not None)
SUMMED = '[SUM]   0.00-10.00  sec  1.09 GBytes  941 Mbits/sec                  receiver'
STRINGS = (
    "a:  b", f"title:  {SUMMED}", "title:  iperf3: error - unable to connect", "\x1b[0m", "[0m", "\u2028", "\x85", "\x7f",
    "é", "{", "}", '"', "\\", "```", "{\"event\":\"start\"}", "iperf Done.", SUMMED, "-nan", "", "\ud800",
    "interrupt - the server has", "start", "event", "msg", "\n", "\t", "\r",
)  # fmt: skip
LINES = (
    "\n", "\r\n", "\r", "  \n", "{\n", "}\n", "],\n", "[12.5]\n", '"x"\n', '\t"abc",\n', '\t"msg": "abc",\n',
    "12345\n", "-----\n", '\t"sum":\t{\n', '\t"start":\t{\n', '{"event":"start","data":{}}\n', "iperf Done.\n",
    SUMMED + "\n", "warning: x\n", "```\n", "iperf3: error - unable to connect\n",
    '\t"error":\t"interrupt - the server has terminated",\n', '{"start":{}}\n', "# x\n",
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(STRINGS),
    # Copies: a list that is put into a document and then drawn again would be put into itself.
    st.sampled_from((0, -1, 10**30, 1e300, float("nan"), True, None, [], {}, [[1, 2]], [1.5], ["abc"])).map(deepcopy),
    st.sampled_from(STRINGS).map(lambda text: [text]),
    st.sampled_from(STRINGS).map(lambda text: {text: text}),
)


def by_lines(text: str) -> list[Finding]:
    return [finding for finding in scan(text.splitlines(keepends=True)) if finding.tool == "iperf3"]


def same_as_its_lines(text: str) -> bool:
    """Whether the text was read at once; that its lines then say the same is required."""
    found = whole_output(text)
    if found is not None:
        # A NaN is not equal to itself, and the order of parameters counts too.
        assert repr(list(map(bounded, found))) == repr(by_lines(text))
    return found is not None


def printed(value: Any, level: int = 1, gap: str = "\t", stacked: bool = False) -> str:
    """A value as cJSON prints it: tabs, lists of objects on the lines of their brackets unless ``stacked``."""
    tabs, closing = "\t" * level, "\t" * (level - 1)
    if isinstance(value, dict):
        rows = (f"{tabs}{json.dumps(key)}:{gap}{printed(item, level + 1, gap, stacked)}" for key, item in value.items())
        return "{\n" + ",\n".join(rows) + f"\n{closing}}}"
    if isinstance(value, list):
        items = [printed(item, level + 1, gap, stacked) for item in value]
        return f"[\n{tabs}" + f",\n{tabs}".join(items) + f"\n{closing}]" if stacked else "[" + ", ".join(items) + "]"
    return json.dumps(value, ensure_ascii=level % 2 == 0)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every item of a document: what holds it, and under which key or number."""
    found: list[tuple[Any, Any]] = []
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        found.append((value, key))
        if isinstance(item, (dict, list)):
            found += places(item)
    return found


def test_what_iperf3_prints_with_json_is_read_at_once() -> None:
    expected = {
        name
        for name, text in TEXTS.items()
        if name.endswith(".json") and text.startswith('{\n\t"') and text.count("\n{") == 0 and "synthetic" not in name
    }
    assert expected == {name for name in PLAIN if "synthetic" not in name}
    assert len(expected) > 100


@pytest.mark.parametrize("name", TEXTS)
def test_every_capture_says_the_same_both_ways(name: str) -> None:
    for text in (TEXTS[name], TEXTS[name] + "\n\n\n", TEXTS[name].rstrip("\n"), TEXTS[name] + "{\n", TEXTS[name] * 2):
        same_as_its_lines(text)


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"start":\t{}}', '{\n\t"start":\t{}\n}', "{\n" * 100_000])
def test_what_is_no_document_of_iperf3_is_left_to_its_lines(text: str) -> None:
    assert whole_output(text) is None


@pytest.mark.parametrize(
    ("place", "before"),
    [
        ("intervals", '"other":\t\r{\r"start":\t{}},\n\t'),
        ("intervals", '"other":\t\n{\n"start":\t{}},\n\t'),
        ("intervals", f'"other":\t"a:  {SUMMED}",\n\t'),
        ("intervals", '"other":\t[\n5, 6\n],\n\t'),
        ("end", '"error":\t"a[0mb",\n\t'),
        ("connected", "".join(f'"{number}":\t0,\n\t\t' for number in range(120))),
    ],
)
def test_what_lines_may_say_otherwise_is_left_to_them(place: str, before: str) -> None:
    """Each of these is one document for a parser, and has a line that was not read as a part of it."""
    text = TEXTS["3.12/tcp.client.json"]
    changed = text.replace(f'"{place}":\t', f'{before}"{place}":\t', 1)
    assert json.loads(changed) and whole_output(text) is not None
    assert whole_output(changed) is None


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_changed_document_says_the_same_both_ways(data: st.DataObject) -> None:
    document = json.loads(TEXTS[data.draw(st.sampled_from(PLAIN))])
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key = data.draw(st.sampled_from(places(document) or [(document, "start")]))
        change = data.draw(st.sampled_from(("value", "key", "deleted", "first")))
        if change == "value":
            holder[key] = data.draw(VALUES)
        elif change == "deleted":
            holder.pop(key, None) if isinstance(holder, dict) else holder.pop(key)
        elif change == "key" and isinstance(holder, dict):
            holder[data.draw(st.sampled_from(STRINGS))] = holder.get(key)
        else:
            document = {data.draw(st.sampled_from(("title", "extra_data", "error", "event"))): data.draw(VALUES), **document}
    gap, stacked = data.draw(st.sampled_from(("\t", "\t", "\t", " ", "  "))), data.draw(st.sampled_from((False, True)))
    ending = data.draw(st.sampled_from(("", "\n", "\n\n\n", " \n")))
    same_as_its_lines(printed(document, gap=gap, stacked=stacked) + ending)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_changed_lines_say_the_same_both_ways(data: st.DataObject) -> None:
    lines = TEXTS[data.draw(st.sampled_from(PLAIN))].splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 2))):
        number = data.draw(st.integers(0, len(lines) - 1))
        change = data.draw(st.sampled_from(("doubled", "another", "wrapped", "ended")))
        if change == "doubled":
            lines.insert(number, lines[number])
        elif change == "another":
            lines.insert(number, data.draw(st.sampled_from(LINES)))
        elif change == "wrapped":
            lines[number] = data.draw(st.sampled_from(("[STDOUT] ", "2026-03-01T10:00:00Z ", "> ", "  "))) + lines[number]
        else:
            ending = data.draw(st.sampled_from((" \n", "\r\n", "\r", "\x1b[0m\n", '"\n', "")))
            lines[number] = lines[number].rstrip("\n") + ending
    same_as_its_lines("".join(lines))


@settings(deadline=None)
@given(name=st.sampled_from(PLAIN), place=st.floats(0, 1), inserted=st.sampled_from((*STRINGS, *'0123456789.-eN:,[]{}"')))
def test_changed_characters_say_the_same_both_ways(name: str, place: float, inserted: str) -> None:
    text = TEXTS[name]
    at = int(place * len(text))
    same_as_its_lines(text[:at] + inserted + text[at:])
    same_as_its_lines(text[:at] + inserted + text[at + 1 :])
    same_as_its_lines(text[:at])


@pytest.mark.parametrize("name", PLAIN)
def test_the_document_alone_is_the_same_both_ways(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = repr((json_output.load(TEXTS[name]), parse_document(TEXTS[name])))
    monkeypatch.setattr(json_output, "_whole", lambda _text: None)
    assert repr((json_output.load(TEXTS[name]), parse_document(TEXTS[name]))) == at_once
