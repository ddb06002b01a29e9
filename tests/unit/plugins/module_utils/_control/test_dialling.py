"""Whoever dials among false server ends: none is believed, and none costs more than the deadline."""

from __future__ import annotations

import socket

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._control import dialling
from ansible_collections.pairbench.lab.plugins.module_utils._control.channel import Stream
from ansible_collections.pairbench.lab.plugins.module_utils._control.handshake import hello
from ansible_collections.pairbench.lab.plugins.module_utils._control.peer import PeerLost
from control import HERE, TOKEN, Patience, dialled, soon
from hypothesis import example, given, settings
from hypothesis import strategies as st
from meetings import ISSUE, PROOF


@given(st.one_of(
    st.binary(max_size=400),
    st.builds(lambda role, tail: hello(role, "0" * 64) + tail,
              st.sampled_from(["client", "server"]), st.binary(max_size=200)),
    st.just(hello("server", "0" * 64) + PROOF),
))
@example(ISSUE[0])
@example(ISSUE[1])
@example(ISSUE[2][:400])
@settings(max_examples=100)
def test_no_bytes_of_a_false_server_end_make_a_dialler_believe_it(said: bytes) -> None:
    with socket.create_server((HERE, 0)) as listener:
        dialler = socket.create_connection(listener.getsockname())
        false, _address = listener.accept()
        with dialler, false:
            false.sendall(said)
            false.shutdown(socket.SHUT_WR)
            stream = Stream(dialler, Patience())
            with pytest.raises(PeerLost):
                dialling.introduce(stream, TOKEN, "client", dialler.getpeername(), soon())


def test_a_server_end_that_accepts_and_is_silent_costs_the_dialler_its_deadline() -> None:
    with socket.create_server((HERE, 0)) as listener:
        thread, found = dialled(listener.getsockname()[1], seconds=0.5)
        thread.join(20)
        assert str(found[0]).endswith("the other end said nothing in the time it was given")
