"""Bodies of messages: what an honest end says arrives, and whatever else comes is refused with a sentence."""

from __future__ import annotations

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._control.messages import DETAIL_CHARS, KINDS, decode, encode
from ansible_collections.pairbench.lab.plugins.module_utils._control.peer import PeerUnfit
from hypothesis import given, settings
from hypothesis import strategies as st
from meetings import liar

OVER = b'kind "over"\nrun_id "r"\n'


@pytest.mark.parametrize("body", [
    b"", b"[" * 60_000, b'{"a":' * 10_000, b'kind "over"', b'kind "over"\n', OVER + b'more "x"\n', OVER + b'run_id "r"\n',
    OVER + b"\n" * 200, b'kind "over"\nrun_id 1\n', b'kind "over"\nrun_id [1]\n', b'kind "over"\nrun_id "\\ud800"\n',
    b'kind "over"\nrun_id "' + b"x" * 1001 + b'"\n', b'kind "over"\nrun_id.a.b.c "r"\n',
    b'kind "over"\nrun_id.a "r"\nrun_id "r"\n', b'kind "over"\nrun_id "r"\nrun_id.a "r"\n',
    b'kind "over"\nrun_id "a" "b"\n', b'kind "no-such-kind"\nrun_id "r"\n', b'kind ["over"]\nrun_id "r"\n', b"\xff" + OVER,
    b'kind "done"\nrun_id "r"\nmeasured 1\n', b'kind "done"\nrun_id "r"\nmeasured "true"\n', b"kind null\nrun_id null\n",
    b'kind "ready"\nrun_id "r"\nproblem.reason "x"\n', b'kind "ready"\nrun_id "r"\nproblem true\n',
    b'kind "ready"\nrun_id "r"\nproblem.reason "x"\nproblem.detail 9e999\n', b'kind "over"\nrun_id ' + b"9" * 5000 + b"\n",
    b'kind "observed"\nrun_id "r"\nobservation null\n',
])  # fmt: skip
def test_what_is_no_message_ends_the_session_with_a_sentence(body: bytes) -> None:
    error = liar(body)
    assert type(error) is PeerUnfit and error.reason == "malformed_reply"
    assert len(str(error)) < 400


@given(st.one_of(
    st.binary(max_size=300),
    st.lists(st.sampled_from([
        b'kind "over"\n', b'kind "done"\n', b'kind "ready"\n', b'run_id "r"\n', b"run_id 1\n", b"measured true\n", b"\n",
        b"kind", b"problem null\n", b'problem.reason "x"\n', b'problem.detail "y"\n', b"problem.detail -1.5e+30\n",
        b'x "\\u0000"\n',
    ]), max_size=8).map(b"".join),
))
@settings(max_examples=500)
def test_a_body_is_a_message_of_a_known_shape_or_refused(body: bytes) -> None:
    try:
        message = decode(body)
    except PeerUnfit:
        return
    assert KINDS[message["kind"]](message)
    assert decode(encode(message)) == message


@given(st.dictionaries(st.sampled_from(["run_id"]), st.text(max_size=50), min_size=1), st.text(max_size=6000))
def test_whatever_text_an_honest_end_says_arrives(fields: dict[str, str], detail: str) -> None:
    message = {"kind": "ready", "run_id": fields["run_id"], "problem": {"reason": "x", "detail": detail}}
    heard = decode(encode(message))
    assert heard["run_id"] == fields["run_id"] and heard["problem"]["detail"] == detail[: DETAIL_CHARS]
