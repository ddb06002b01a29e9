# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""The addresses of this network namespace, asked of the kernel: no program is needed, and /sys is not looked at.

Hosts of a namespace lab have the /sys of the machine, and small installations have no ``ip``.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct

SIOCGIFCONF = 0x8912
IFREQ_BYTES = 16 + struct.calcsize("@PPhbbb0P")  # a name, and the largest member of the union (struct ifmap)


def ipv4_addresses():
    """[(address, interface)] of this network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        room = 64 * IFREQ_BYTES
        while True:
            buffer = array.array("B", bytes(room))
            answer = fcntl.ioctl(channel.fileno(), SIOCGIFCONF, struct.pack("iP", room, buffer.buffer_info()[0]))
            used = struct.unpack_from("i", answer)[0]
            if used < room:  # an answer that fills the buffer may have been cut
                break
            room *= 2
    text = buffer.tobytes()
    found = []
    for start in range(0, used, IFREQ_BYTES):
        label = text[start : start + 16].split(b"\0")[0].decode()
        address = socket.inet_ntoa(text[start + 20 : start + 24])
        found.append((address, label.split(":")[0]))  # eth0:1 is a label of eth0
    return found


def ipv6_addresses():
    """[(address, interface, scope)] of this network namespace."""
    try:
        with open("/proc/self/net/if_inet6") as handle:
            lines = [line.split() for line in handle]
    except FileNotFoundError:  # a kernel without IPv6
        return []
    return [
        (socket.inet_ntop(socket.AF_INET6, bytes.fromhex(fields[0])), fields[5], int(fields[3], 16))
        for fields in lines
    ]
