"""One typed record: whatever a document holds stays in it, and everybody who makes an END means the same fields."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._session.session import empty_end
from ansible_collections.pairbench.lab.plugins.plugin_utils.records.record import (
    END_FIELDS,
    ONLY_OF_HOSTS,
    end_of_notes,
    new_record,
    record_of,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.shapes import WrongShape
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.files import json_text, parse_json
from captured import RECORDS, Document, all_captured, captured
from hypothesis import given
from hypothesis import strategies as st

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PLACES = ((), ("run",), ("server",), ("client",), ("server", "figures"), ("client", "trace"))


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDS.glob("*.json")))
def test_what_was_read_is_written_again_to_the_byte(name: str) -> None:
    content = (RECORDS / f"{name}.json").read_bytes()
    assert json_text(record_of(parse_json(content)).document) == json_text(json.loads(content))


@given(st.sampled_from(all_captured()), st.sampled_from(PLACES), st.text(min_size=12, max_size=20), VALUES)
def test_what_this_version_does_not_know_is_written_again(
    document: Document, place: tuple[str, ...], name: str, value: Any
) -> None:
    document = json.loads(json.dumps(document))
    inner = document
    for key in place:
        inner[key] = inner.get(key) or {}
        inner = inner[key]
    inner[f"future_{name}"] = value
    text = json_text(document)
    assert json_text(record_of(parse_json(text.encode("utf-8"))).document) == text


def test_the_fields_are_those_of_the_document() -> None:
    document = captured("iperf3_tcp")
    record = record_of(document)
    run, client = document["run"], document["client"]
    assert (record.run_id, record.hosts) == (run["run_id"], (run["server"], run["client"]))
    assert (record.benchmark, record.case, record.traced) == ("iperf3", run["case"], True)
    assert record.client is not None and record.client.trace is not None
    assert (record.client.stdout, record.client.started_at) == (client["stdout"], client["started_at"])
    assert record.client.trace.output == client["trace"]["output"]
    assert [end.side for end in record.ends] == ["server", "client"]


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("schema",), 2, "schema is 2 and not 1"),
        (("run", "benchmark"), "", "run.benchmark must be a text that is not empty"),
        (("run", "parameters"), [], "run.parameters must be an object, it is a list of 0"),
        (("run", "traced"), "yes", "run.traced must be true or false, it is 'yes'"),
        (("client",), "x", "client must be an object, it is 'x'"),
        (("client", "port"), "80", "client.port must be a whole number, it is '80'"),
        (("server", "seconds"), -1, "server.seconds must be a number from 0 to 1e+12, it is -1"),
        (("server", "argv"), ["iperf3", 3], "server.argv[1] must be a text, it is 3"),
        (("server", "problem"), {}, "server.problem.reason must be a text that is not empty"),
    ],
)
def test_a_field_that_is_not_what_it_should_be_is_named(place: tuple[str, ...], value: Any, told: str) -> None:
    document = captured("iperf3_tcp")
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(WrongShape, match=re.escape(told)):
        record_of(document)


def test_hosts_and_notes_make_ends_of_the_same_fields() -> None:
    spec = {"host": "h", "token": "t", "address": "10.0.0.1", "tool_version": "v"}
    assert tuple(empty_end(spec, {"port": 1, "argv": []})) == END_FIELDS
    assert set(end_of_notes({})) == set(END_FIELDS) - ONLY_OF_HOSTS


def test_a_record_of_what_notes_tell_knows_nothing_else() -> None:
    run = {"run_id": "r", "server": "s", "client": "c", "benchmark": "iperf3", "parameters": {}}
    record = new_record("s", "c", run, {"client": end_of_notes({"stdout": "x"})}, attempt=1)
    assert record.server is None and record.client is not None
    assert (record.client.stdout, record.client.argv, record.client.timed_out) == ("x", (), False)
    assert (record.client.host, record.client.seconds, record.client.wall_seconds) == (None, None, None)
