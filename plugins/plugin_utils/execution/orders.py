"""What one pass over a sweep is to do, as decided before any host is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..lab.guests import Guest


@dataclass(frozen=True)
class Orders:
    """Everything that a pass needs beside the stored plan.

    It crosses Ansible as the result of the task that plans: `to_json` there, `from_json` in the process that conducts the
    pass. The playbook reads some of the fields by name; everything else goes by this object, which no host can set.
    """

    sweep_dir: Path
    fresh: bool
    """Whether the plan was made for this pass, so that it is withdrawn where no session begins."""
    plan_only: bool
    """Whether the play ends with the plan."""
    runs: int
    """How many runs are left to be measured."""
    hosts: Mapping[str, str]
    """Hosts of which runs are left, with their data-plane addresses."""
    only: frozenset[str] | None
    """The hosts to which this pass is limited; None for all of the plan."""
    benchmarks: tuple[str, ...]
    """Benchmarks of which runs are left, sorted."""
    claim: str
    """The name under which hosts are claimed: that of the sweep and, where several controllers share it, of the share."""
    owner: str
    """How the holder of a claim is named to others, up to who the controller is."""
    user: str
    """The user as whom benchmarks run on the hosts."""
    spool: str
    """The folder on the hosts where results are kept until they have become records."""
    control_port: int
    """The TCP port on which the two ends of a session meet."""
    tool_ports: Mapping[str, int]
    """The port of each benchmark."""
    ports: tuple[Mapping[str, Any], ...]
    """Ports that must be free on every host: ``protocol``, ``port``, and the ``variable`` that chooses it."""
    trace: bool
    trace_mode: str
    trace_required: bool
    """Whether nothing is measured where a host cannot be traced."""
    guests: Mapping[str, Guest]
    """Guests whose process is counted."""
    hypervisors: tuple[str, ...]
    """Hypervisors of the play that count the processes of guests, sorted."""
    ready_seconds: float
    """How long a server may take until it listens."""
    rendezvous_seconds: float
    """How long one end of a session waits for the other one to appear."""
    wait_seconds: float
    """How long another sweep is waited for."""
    answer_seconds: float
    """How long a host may take to answer, beside what it does."""
    prepare_seconds: float
    """How long a task that prepares a host may take."""
    longest_run_seconds: float
    """The longest time for which any process of a run may live."""
    longest_session_seconds: float
    """What the runs of the longest session are expected to take."""
    lease_seconds: float
    """How long a host stays claimed without a sign of life."""

    def to_json(self) -> dict[str, Any]:
        """These orders as a JSON object: equal orders give equal objects."""
        document = {name: _plain(value) for name, value in vars(self).items()}
        return document | {"guests": {name: asdict(guest) for name, guest in self.guests.items()}}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Orders:
        """Orders from what `to_json` made of them; other keys are passed over. Raises KeyError where one is missing."""
        values = {field.name: document[field.name] for field in fields(cls)}
        only = values["only"]
        guests = {name: Guest(guest["hypervisor"], dict(guest["selector"])) for name, guest in values["guests"].items()}
        return cls(
            **values
            | {name: tuple(values[name]) for name in ("benchmarks", "ports", "hypervisors")}
            | {"sweep_dir": Path(values["sweep_dir"]), "only": None if only is None else frozenset(only), "guests": guests}
        )


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(value)
    return value
