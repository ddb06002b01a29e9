"""The guests of a lab of virtual machines: which there are, where they run, and what their addresses are.

Everything follows from a handful of settings, so that the inventory and the hypervisors never disagree.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import shlex
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..storage.files import UnreadableFile, read_object

_NAMESPACE = uuid.UUID("5a0a3f9c-4a2e-5ddc-8f5a-1d6b0a2f9c11")
NOTE_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
USUAL = {"queues": 1, "vcpus": 1, "memory_mib": 1024}
"""What guests have by default, which the name of a configuration leaves out."""
PLACEMENTS = ("together", "spread")


class LabError(ValueError):
    """The settings describe no lab; the message says what to fix."""


@dataclass(frozen=True)
class LabSettings:
    """What a lab is made of."""

    name: str
    """Tells labs on one hypervisor apart."""
    pairs: int
    hypervisors: tuple[str, ...]
    """Names of the hypervisors in the inventory."""
    placement: str = "together"
    """``together`` keeps the guests of a pair on one hypervisor, ``spread`` puts them on different ones."""
    subnet: str = "10.10.1.0/24"
    """The data network; guest N has its N-th address, the hypervisor its last."""
    ssh_port: int = 22000
    """Guest N is reached on this port plus N, on the loopback of its hypervisor."""


@dataclass(frozen=True)
class GuestPlan:
    """One guest."""

    name: str
    number: int
    hypervisor: str
    domain: str
    """Its name among all guests of the hypervisor."""
    uuid: str
    address: str
    """Data address, with prefix length."""
    port: int
    management_mac: str
    mac: str
    tap: str


def lab_guests(settings: LabSettings) -> tuple[GuestPlan, ...]:
    """The guests ``vm1``, ``vm2`` … of a lab, two a pair; raises LabError when the settings cannot be met."""
    network = _network(settings)
    if not _NAME.fullmatch(settings.name):
        raise LabError(
            f"vm_lab_name is {settings.name!r}: use letters, digits, '_', '.' and '-', and begin with a letter or a digit"
        )
    if settings.pairs < 1:
        raise LabError(f"vm_lab_pairs is {settings.pairs}: a lab has at least one pair")
    if not settings.hypervisors:
        raise LabError(
            "the lab has no hypervisor: put at least one host into the group hypervisors, in a file that comes before this "
            "one in the alphabet"
        )
    for name in settings.hypervisors:
        if "/" in name or name.startswith(".") or not name.isprintable():
            raise LabError(f"the hypervisor {name!r} has a name that no file can have: give it another one in the inventory")
    if settings.placement not in PLACEMENTS:
        raise LabError(f"vm_lab_placement is {settings.placement!r}: choose one of {', '.join(PLACEMENTS)}")
    count = 2 * settings.pairs
    if count > network.num_addresses - 3:
        raise LabError(f"{count} guests and the hypervisor do not fit into {network}: choose a larger vm_lab_subnet")
    if not 1 <= settings.ssh_port <= 65535 - count:
        raise LabError(f"vm_lab_ssh_port is {settings.ssh_port}: {count} ports follow it, which must be below 65536")
    return tuple(_guest(settings, network, number) for number in range(1, count + 1))


def hypervisor_address(settings: LabSettings) -> str:
    """The hypervisor's own address on the data network, with prefix length: the last one of the subnet."""
    network = _network(settings)
    return f"{network.broadcast_address - 1}/{network.prefixlen}"


def lab_pairs(guests: Sequence[GuestPlan]) -> list[list[str]]:
    """The pairs of a lab: the first with the second guest, the third with the fourth, and so on."""
    return [[guests[at].name, guests[at + 1].name] for at in range(0, len(guests), 2)]


def guest_variables(
    guest: GuestPlan, settings: LabSettings, access: str, record: Mapping[str, Any], proxy_command: str
) -> dict[str, Any]:
    """The host variables of a guest.

    ``access`` is the controller's folder with keys, ``record`` what provisioning noted about the hypervisor (empty
    before), ``proxy_command`` how ssh reaches a port on the hypervisor's loopback (empty when that is this machine).
    """
    options = {
        "StrictHostKeyChecking": "yes",
        "HostKeyAlias": guest.domain,
        "UserKnownHostsFile": f'"{access}/known_hosts"',
        "GlobalKnownHostsFile": "/dev/null",
        "IdentitiesOnly": "yes",
    }
    if proxy_command:
        options["ProxyCommand"] = proxy_command
    words = [f"-o {shlex.quote(f'{name}={value}')}" for name, value in options.items()]
    found: dict[str, Any] = {
        "ansible_connection": "ssh",
        "ansible_host": "127.0.0.1",
        "ansible_port": guest.port,
        "ansible_user": "root",
        "ansible_become": False,
        "ansible_ssh_private_key_file": f"{access}/id_ed25519",
        "ansible_ssh_common_args": " ".join(words),
        "ansible_python_interpreter": "/usr/bin/python3",
        "pairbench_address": guest.address.partition("/")[0],
        "pairbench_hypervisor": guest.hypervisor,
        "vm_lab_guest": {**asdict(guest), "gateway": hypervisor_address(settings)},
    }
    if record.get("backend") == "libvirt":
        found["pairbench_vmm_libvirt"] = guest.domain
    elif record.get("backend") == "qemu":
        found["pairbench_vmm_pid_file"] = f"{record.get('folder', '')}/{guest.name}/qemu.pid"
    return found


def read_note(path: Path) -> Mapping[str, Any]:
    """What provisioning noted about a hypervisor, empty when it has noted nothing.

    Raises ValueError with a sentence where the file is not what provisioning writes.
    """
    try:
        note = read_object(path, NOTE_BYTES)
    except FileNotFoundError:
        return {}
    try:
        return lab_note(note)
    except ValueError as error:
        raise UnreadableFile(path, str(error)) from None


def lab_note(document: Mapping[str, Any]) -> dict[str, Any]:
    """The note as provisioning makes it, each value of its type. Raises ValueError for anything else.

    Part of it comes from the hypervisor, and it ends up in variables and names.
    """
    found = {}
    for name, read in _NOTE.items():
        try:
            found[name] = read(document[name])
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"{name} is missing, or is not what provisioning notes") from None
    return found


def _one_of(*words: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in words:
            raise ValueError
        return str(value)

    return read


def _text_like(pattern: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not re.fullmatch(pattern, str(value)):
            raise ValueError
        return str(value)

    return read


def _cpu_sets(value: Any) -> list[str]:
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list) or len(value) > 4096:
        raise ValueError
    return [_text_like(r"[0-9][0-9, -]{0,999}")(item) for item in value]


_NOTE: Mapping[str, Callable[[Any], Any]] = {
    "backend": _one_of("libvirt", "qemu"),
    "accel": _one_of("kvm", "tcg"),
    "vhost": lambda value: {"true": True, "false": False}[str(value).lower()],
    "queues": lambda value: int(_text_like("[0-9]{1,6}")(value)),
    "vcpus": lambda value: int(_text_like("[0-9]{1,6}")(value)),
    "memory_mib": lambda value: int(_text_like("[0-9]{1,9}")(value)),
    "pin": _cpu_sets,
    "network": _one_of("isolated", "bridge"),
    # Never with what would begin a template in a variable.
    "folder": _text_like(r"/[^\x00-\x1f\x7f{}]{1,4000}"),
}


def configuration(records: Sequence[Mapping[str, Any]]) -> str:
    """What the lab is an instance of, for reports; empty before it is made.

    ``qemu-tcg``, ``kvm``, ``kvm-vhost-4q-4cpu-2048mib-pin0-1_2-3-bridge`` …: every variant has a name of its own, so that
    figures of two of them are never taken for each other's. What is as by default is not named.
    """
    return "+".join(sorted({_variant(record) for record in records}))


def _variant(record: Mapping[str, Any]) -> str:
    queues, vcpus, memory = (int(record.get(name, usual)) for name, usual in USUAL.items())
    pinned = "_".join(str(cpus).replace(" ", "").replace(",", ".") for cpus in record.get("pin") or ())
    parts = {
        "qemu-tcg" if record.get("accel") == "tcg" else "kvm": True,
        "vhost": record.get("vhost"),
        f"{queues}q": queues != USUAL["queues"],
        f"{vcpus}cpu": vcpus != USUAL["vcpus"],
        f"{memory}mib": memory != USUAL["memory_mib"],
        f"pin{pinned}": pinned,
        "bridge": record.get("network") == "bridge",
    }
    return "-".join(name for name, named in parts.items() if named)


def ssh_proxy_command(variables: Mapping[str, Any], name: str) -> str:
    """How ssh reaches ports on the loopback of a hypervisor, from its variables; empty when it is this machine."""
    if str(variables.get("ansible_connection", "ssh")).rpartition(".")[2] == "local":
        return ""
    words = ["ssh", "-W", "%h:%p"]
    for option, variable in (("-p", "ansible_port"), ("-i", "ansible_ssh_private_key_file"), ("-l", "ansible_user")):
        if variables.get(variable):
            words += [option, str(variables[variable])]
    if variables.get("ansible_ssh_common_args"):
        # What they say of their own host and port is not about the guest's.
        words.append(str(variables["ansible_ssh_common_args"]).replace("%", "%%"))
    return " ".join([*words, str(variables.get("ansible_host", name))])


def _network(settings: LabSettings) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(settings.subnet)
    except ValueError as error:
        raise LabError(f"vm_lab_subnet is {settings.subnet!r}: {error}; give an IPv4 network such as 10.10.1.0/24") from None


def _guest(settings: LabSettings, network: ipaddress.IPv4Network, number: int) -> GuestPlan:
    hypervisors = settings.hypervisors
    turn = number - 1 if settings.placement == "spread" else (number - 1) // 2
    domain = f"{settings.name}-vm{number}"
    digest = hashlib.sha256(domain.encode("utf-8")).hexdigest()
    # 52:54:00 is QEMU's own prefix; the rest tells labs and guests apart on a bridge that they share.
    macs = [f"52:54:00:{digest[at:at + 2]}:{digest[at + 2:at + 4]}:{digest[at + 4:at + 6]}" for at in (0, 6)]
    return GuestPlan(
        name=f"vm{number}",
        number=number,
        hypervisor=hypervisors[turn % len(hypervisors)],
        domain=domain,
        uuid=str(uuid.uuid5(_NAMESPACE, domain)),
        address=f"{network.network_address + number}/{network.prefixlen}",
        port=settings.ssh_port + number,
        management_mac=macs[0],
        mac=macs[1],
        tap=f"pb{digest[12:22]}",
    )
