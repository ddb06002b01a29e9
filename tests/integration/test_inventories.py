"""The example inventories plan what they say; none of their hosts is reached.

The clouds are not here, but what the examples do with what their plugins find is: the same expressions are given to
ansible-core's own plugin ``constructed``, over host variables of the shape that the plugins document.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "inventories/examples"


def plan(directory: Path, *arguments: str) -> str:
    """What ``--check`` prints of the plan."""
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "pairbench.lab.bench", "--check", "--forks", "32"]
    environment = os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACKS_ENABLED": "pairbench.lab.summary"}
    done = subprocess.run([*command, *arguments], cwd=directory, env=environment, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pairs(shown: str) -> set[tuple[str, str]]:
    return set(re.findall(r"Pair: iperf3 (\S+) \(server\) <- (\S+) \(client\)", shown))


def inventory(directory: Path, example: str, hosts: dict[str, dict[str, Any]]) -> list[str]:
    """Hosts as the plugin of an example finds them, and the example's expressions over them."""
    given = yaml.safe_load((EXAMPLES / example).read_text(encoding="utf-8"))
    (directory / "1-hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}, sort_keys=False), encoding="utf-8")
    document = {
        "plugin": "ansible.builtin.constructed", "strict": True, "keyed_groups": given.get("keyed_groups", []),
        "compose": given.get("compose") or given.get("hostvar_expressions"),
    }
    (directory / "2-constructed.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return ["-i", str(directory / "1-hosts.yml"), "-i", str(directory / "2-constructed.yml")]


def test_the_fleet_example_plans_groups_against_groups_within_its_capacities(tmp_path: Path) -> None:
    shown = plan(tmp_path, "-i", str(ROOT / "inventories/fleet"))
    assert "8 rounds a block and direction, at most 2 pairs at once" in shown, shown
    for line in re.findall(r"  block .* round .*", shown):
        clients = re.findall(r"<- (\S+):", line)
        assert len(clients) == 2, line  # two pairs at once fill both uplinks
    assert not list(tmp_path.iterdir())


def test_machines_that_exist_of_any_kind(tmp_path: Path) -> None:
    # The connection plugins of the containers are in collections that are not here.
    shown = plan(tmp_path, "-i", str(EXAMPLES / "existing.yml"), "-e", "ansible_connection=ansible.builtin.local")
    assert pairs(shown) == {("metal1", "guest1"), ("box1", "box2")}


def ec2(number: int, role: str, pair: str) -> dict[str, Any]:
    return {"private_ip_address": f"10.0.0.{number}", "public_ip_address": f"198.51.100.{number}",
            "instance_type": "m7i.large", "placement": {"availability_zone": "eu-central-1a"},
            "tags": {"Role": role, "Pair": pair} if pair else {"Role": role}}


def test_pairs_from_tags_of_ec2(tmp_path: Path) -> None:
    hosts = {"s7": ec2(1, "server", "7"), "c7": ec2(2, "client", "7"), "s8": ec2(3, "server", "8"),
             "c8": ec2(4, "client", "8"), "other": ec2(5, "client", "")}
    sources = inventory(tmp_path, "pairs.aws_ec2.yml", hosts)
    shown = plan(tmp_path, *sources, "-e", "pairbench_pair_by=pairbench_pair")
    assert pairs(shown) == {("s7", "c7"), ("s8", "c8")} and "configuration ec2-m7i.large" in shown
    shown = plan(tmp_path, *sources, "-e", json.dumps({"pairbench_groups": [["role_server", "role_client"]]}))
    assert pairs(shown) == {(server, client) for server in ("s7", "s8") for client in ("c7", "c8", "other")}


def test_pairs_from_tags_of_azure(tmp_path: Path) -> None:
    hosts = {name: {"public_ipv4_address": [], "private_ipv4_addresses": [f"10.0.0.{number}"], "tags": {"pair": "a"},
                    "virtual_machine_size": "Standard_D4s_v5"} for number, name in enumerate(("one", "two"), 1)}
    shown = plan(tmp_path, *inventory(tmp_path, "pairs.azure_rm.yml", hosts), "-e", "pairbench_pair_by=pairbench_pair")
    assert pairs(shown) == {("one", "two")} and "configuration azure-Standard_D4s_v5" in shown


def test_groups_from_labels_of_google(tmp_path: Path) -> None:
    hosts = {name: {"networkInterfaces": [{"networkIP": f"10.0.0.{number}"}], "labels": {"role": role},
                    "machineType": "https://example/zones/a/machineTypes/c3-standard-4"}
             for number, (name, role) in enumerate((("s1", "server"), ("c1", "client"), ("c2", "client")), 1)}
    sources = inventory(tmp_path, "groups.gcp_compute.yml", hosts)
    shown = plan(tmp_path, *sources, "-e", json.dumps({"pairbench_groups": [["role_server", "role_client"]]}))
    assert pairs(shown) == {("s1", "c1"), ("s1", "c2")} and "configuration gce-c3-standard-4" in shown


def test_hypervisors_of_openstack_are_not_loaded_twice(tmp_path: Path) -> None:
    hosts = {f"vm{number}": {"openstack": {"private_v4": f"10.0.0.{number}", "public_v4": "", "flavor": {"name": "m1.large"},
                                           "hypervisor_hostname": f"compute{number % 2}", "metadata": {}}}
             for number in range(1, 5)}
    shown = plan(tmp_path, *inventory(tmp_path, "hypervisors.openstack.yml", hosts))
    assert len(pairs(shown)) == 6 and "at most 2 pairs at once" in shown
    for line in re.findall(r"  block .* round .*", shown):
        found = re.findall(r"vm(\d) <- vm(\d)", line)
        loaded = [name for pair in found for name in {int(number) % 2 for number in pair}]
        assert loaded and len(loaded) == len(set(loaded)), line


def test_guests_of_libvirt_are_traced_on_their_hypervisor(tmp_path: Path) -> None:
    hosts = {name: {"interface_addresses": {"enp1s0": {"addrs": [{"addr": f"192.0.2.{number}"}]},
                                            "enp2s0": {"addrs": [{"addr": f"10.0.0.{number}"}]}}}
             for number, name in enumerate(("one", "two"), 1)}
    sources = inventory(tmp_path, "guests.libvirt.yml", hosts)
    (tmp_path / "3-hypervisors.yml").write_text(yaml.safe_dump({"hypervisors": {"hosts": {"hv1": {}}}}), encoding="utf-8")
    shown = plan(tmp_path, *sources, "-i", str(tmp_path / "3-hypervisors.yml"))
    assert pairs(shown) == {("one", "two")} and "hv1" not in str(pairs(shown))


@pytest.mark.parametrize(("value", "named"), [("nothing", "no two hosts have an equal value"), ("tags", "no two hosts")])
def test_a_variable_that_makes_no_pairs_is_named(tmp_path: Path, value: str, named: str) -> None:
    sources = inventory(tmp_path, "pairs.aws_ec2.yml", {"a": ec2(1, "server", "1"), "b": ec2(2, "client", "2")})
    with pytest.raises(AssertionError, match=named):
        plan(tmp_path, *sources, "-e", f"pairbench_pair_by={value}")
