"""Guests whose process is counted: how the inventory says where it is, and what of that does not go together."""

from __future__ import annotations

import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.lab.guests import Guest, guests_of, identity_of_guests
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import PlanError

HOSTS = ("vm1", "vm2")
INVENTORY = (*HOSTS, "hv")


@pytest.mark.parametrize("selector", ["libvirt", "pid_file", "match"])
def test_one_variable_says_which_process_a_guest_is(selector: str) -> None:
    variables = {"vm1": {f"pairbench_vmm_{selector}": "lab-vm1", "pairbench_hypervisor": "hv"}, "vm2": {}}
    guests = guests_of(variables, HOSTS, INVENTORY)
    assert guests == {"vm1": Guest("hv", {selector: "lab-vm1"})}
    assert identity_of_guests(guests) == {"pairbench_vmm": {"vm1": "hv"}}


def test_without_such_variables_nobody_is_counted() -> None:
    assert guests_of({"vm1": {"pairbench_hypervisor": "hv", "pairbench_vmm_match": ""}}, HOSTS, INVENTORY) == {}
    assert identity_of_guests({}) == {}


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"pairbench_vmm_libvirt": "a", "pairbench_vmm_match": "b", "pairbench_hypervisor": "hv"}, "one of them says which"),
        ({"pairbench_vmm_libvirt": "a"}, "pairbench_hypervisor is not"),
        ({"pairbench_vmm_libvirt": "a", "pairbench_hypervisor": "vm2"}, "vm2 is measured itself"),
        ({"pairbench_vmm_libvirt": "a", "pairbench_hypervisor": "hv9"}, "the inventory has no host hv9"),
    ],
)
def test_variables_that_do_not_go_together_are_named_with_their_guest(variables: dict[str, str], sentence: str) -> None:
    with pytest.raises(PlanError, match=f"vm1: pairbench_vmm_libvirt is set, but .*{sentence}"):
        guests_of({"vm1": variables}, HOSTS, INVENTORY)


def test_every_guest_is_named_at_once() -> None:
    variables = {host: {"pairbench_vmm_match": "x"} for host in HOSTS}
    with pytest.raises(PlanError, match=r"vm1: .*\. vm2: "):
        guests_of(variables, HOSTS, INVENTORY)
