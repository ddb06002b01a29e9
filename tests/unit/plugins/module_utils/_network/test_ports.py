"""Who listens where, as the kernel's tables have it."""

from __future__ import annotations

import os
import socket

from ansible_collections.pairbench.lab.plugins.module_utils._network.ports import listening_inodes, socket_owners


def test_who_listens_is_found_by_protocol_and_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        found = listening_inodes("tcp", port)
        assert found == {os.fstat(listener.fileno()).st_ino}
        assert socket_owners(found, [os.getpid()]) == [os.getpid()]
        assert os.getpid() in socket_owners(found)
        assert found.isdisjoint(listening_inodes("udp", port))
    assert not found & listening_inodes("tcp", port)


def test_a_bound_datagram_socket_listens_on_either_family() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as bound:
        bound.bind(("::1", 0))
        assert listening_inodes("udp", bound.getsockname()[1]) == {os.fstat(bound.fileno()).st_ino}


def test_a_connection_is_no_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        assert listening_inodes("tcp", client.getsockname()[1]) == set()


def test_nobody_owns_a_socket_that_does_not_exist() -> None:
    assert socket_owners({0}, [os.getpid(), 2**22 + 1]) == []
