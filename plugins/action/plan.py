# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Plan a sweep on the controller: check every variable, store the plan, say what is still to be done."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.pairbench.lab.plugins.plugin_utils.addresses import canonical_address
from ansible_collections.pairbench.lab.plugins.plugin_utils.controller.processes import (
    SPARE_DESCRIPTORS,
    descriptors_problem,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.ends import longest_run_seconds, ports_to_watch
from ansible_collections.pairbench.lab.plugins.plugin_utils.execution.replies import facts_of_ours
from ansible_collections.pairbench.lab.plugins.plugin_utils.formatting import counted
from ansible_collections.pairbench.lab.plugins.plugin_utils.lab.cpus import CPUS, require_cpus
from ansible_collections.pairbench.lab.plugins.plugin_utils.lab.guests import guests_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.lab.variables import checked_variables
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import HELD, REFUSED
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.pairs import SelectionError, pairs_by_value
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import (
    Bottlenecks,
    PlanError,
    Selection,
    longest_step_seconds,
    make_plan,
    widest_step,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.remaining import what_remains
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.stored import (
    load_or_create,
    store_new,
    stored_hosts,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.report.terminal import render_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.files import StorageError
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.lock import SweepHeld, held_by
from ansible_collections.pairbench.lab.plugins.plugin_utils.storage.sweep_folder import SweepFolder
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.statuses import completed

ROLES = Path(__file__).resolve().parents[2] / "roles"
CALLBACK_MARK = "PAIRBENCH_SUMMARY_CALLBACK_PID"
DESCRIPTORS_A_WORKER = 4  # of the main process: the pipes to it and its end
WHEN_HELD = (
    "Let that one end, choose another name with -e pairbench_sweep=NAME, or wait for it with -e "
    "pairbench_wait_seconds=SECONDS"
)


class ActionModule(ActionBase):
    """Reads the role variables of the play; touches no host."""

    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        try:
            result.update(self._plan(task_vars or {}))
        except (PlanError, StorageError) as error:
            result.update(failed=True, msg=f"Nothing was measured. {error}", refusal=REFUSED)
        except SweepHeld as error:
            result.update(failed=True, msg=f"Nothing was measured. {error}. {WHEN_HELD}", refusal=HELD)
        return result

    def _plan(self, task_vars):
        _require_callback()
        bench = self._role_values("bench", task_vars)
        for name in ("pairbench_answer_seconds", "pairbench_prepare_seconds"):
            if bench[name] < 1:
                raise PlanError(f"{name} is {bench[name]}; it must be at least 1")
        tools = {name: self._role_values(name, task_vars) for name in ("iperf3", "sockperf")}
        tracer = self._role_values("bpftrace", task_vars)
        hosts = _addresses(task_vars)
        sweep_dir = Path(bench["pairbench_results"]).absolute() / bench["pairbench_sweep"]
        planned, only = _hosts_of_the_plan(hosts, stored_hosts(sweep_dir))
        bottlenecks = _bottlenecks(bench, planned, task_vars["hostvars"])
        cpus = {host: task_vars["hostvars"][host].get(CPUS) for host in planned if host in task_vars["hostvars"]}
        guests = _guests(bench, planned, task_vars)
        settings = checked_variables(bench, tools, tracer["bpftrace_mode"], bottlenecks, cpus, guests)
        selection = _selection(bench, planned, task_vars)

        def create(seed, blocks):
            return make_plan(
                sweep=bench["pairbench_sweep"],
                configuration=bench["pairbench_configuration"],
                hosts=planned,
                cases=settings.cases,
                directions=settings.directions,
                blocks=blocks,
                seed=seed,
                mode=bench["pairbench_mode"],
                trace=bench["pairbench_trace"],
                selection=selection,
                bottlenecks=bottlenecks,
                levels=bench["pairbench_levels"],
                settings=settings.identity,
            )

        def planned_or_new():
            return load_or_create(sweep_dir, create, blocks=bench["pairbench_blocks"], seed=bench["pairbench_seed"])

        plan, created = planned_or_new()
        require_cpus(plan)
        observing = sorted({guest.hypervisor for guest in guests.values()} & set(task_vars["ansible_play_hosts_all"]))
        _require_forks(widest_step(plan, only), task_vars["ansible_forks"], len(observing))
        fresh = False
        if not self._task.check_mode:
            _wait_until_free(sweep_dir, bench["pairbench_wait_seconds"], self._display)
            fresh = not SweepFolder(sweep_dir).has_plan  # also where the one that was waited for has withdrawn its own
            if created or fresh:
                plan, created = store_new(sweep_dir, plan, planned_or_new)
        left = what_remains(plan, completed(sweep_dir), only)
        if self._task.check_mode:
            drawn = created and not bench["pairbench_seed"] and not SweepFolder(sweep_dir).has_plan
            self._display.display(render_plan(plan, left, everything=self._display.verbosity > 0, drawn=drawn))
        shard = bench["pairbench_shard"]
        longest = longest_run_seconds(settings.cases, bench["pairbench_ready_seconds"])
        return {
            "changed": created,
            "fresh": fresh and created,
            "sweep": plan.sweep,
            "uid": plan.uid,
            "claim": f"{plan.uid}.{shard}" if shard else plan.uid,
            "owner": f"sweep {plan.sweep}{f' (shard {shard})' if shard else ''} of ",
            "sweep_dir": str(sweep_dir),
            "hosts": {host: address for host, address in hosts.items() if host in left.hosts},
            "only": sorted(only) if only is not None else None,
            "benchmarks": sorted(left.benchmarks),
            "guests": {
                name: {"hypervisor": guest.hypervisor, "selector": dict(guest.selector)} for name, guest in guests.items()
            },
            "hypervisors": observing if left.runs else [],
            "trace": bench["pairbench_trace"],
            "trace_mode": settings.trace_mode,
            "trace_required": tracer["bpftrace_required"],
            "control_port": bench["pairbench_control_port"],
            "rendezvous_seconds": bench["pairbench_rendezvous_seconds"],
            "ready_seconds": bench["pairbench_ready_seconds"],
            "wait_seconds": bench["pairbench_wait_seconds"],
            "answer_seconds": bench["pairbench_answer_seconds"],
            "prepare_seconds": bench["pairbench_prepare_seconds"],
            "longest_run_seconds": longest,
            "longest_session_seconds": plan.steps.longest_seconds,
            "lease_seconds": _lease_seconds(plan, longest),
            "spool": bench["pairbench_spool"],
            "user": bench["pairbench_user"],
            "tool_ports": dict(settings.ports),
            "ports": ports_to_watch(settings.cases, settings.ports, bench["pairbench_control_port"]),
            "estimated_seconds": left.seconds,
            "runs": left.runs,
            "plan_only": bench["pairbench_plan_only"],
        }

    def _role_values(self, role, task_vars):
        """The variables of a role as the play has them, checked against the role's own argument spec."""
        path = ROLES / role / "meta" / "argument_specs.yml"
        options = self._loader.load_from_file(str(path))["argument_specs"]["main"]["options"]
        given = {name: self._templar.template(task_vars[name]) for name in options if name in task_vars}
        validation = ArgumentSpecValidator(options).validate(given)
        if validation.error_messages:
            raise PlanError("; ".join(validation.error_messages))
        return validation.validated_parameters


def _require_callback():
    if os.environ.get(CALLBACK_MARK) not in (str(os.getpid()), str(os.getppid())):
        raise PlanError(
            "The callback that writes the records is off. Set callbacks_enabled = pairbench.lab.summary in "
            "ansible.cfg, or ANSIBLE_CALLBACKS_ENABLED=pairbench.lab.summary in the environment"
        )


def _addresses(task_vars):
    hosts, missing = {}, []
    hypervisors = set(task_vars["groups"].get("hypervisors", ()))
    for host in task_vars["ansible_play_hosts_all"]:
        if host in hypervisors:
            continue  # they carry what is measured, and are not measured themselves
        if host not in task_vars["groups"]["all"]:
            continue  # localhost stands in for an inventory that has no hosts
        variables = task_vars["hostvars"][host]
        _require_facts_of_no_variables(host, variables)
        address = variables.get("pairbench_address") or variables.get("ansible_host")
        if address:
            hosts[host] = canonical_address(str(address))
        else:
            missing.append(host)
    if missing:
        raise PlanError(
            f"{', '.join(missing)}: no pairbench_address. Give each host its data-plane address in the inventory"
        )
    return hosts


def _require_facts_of_no_variables(host, variables):
    """What a host says of itself in an earlier task counts more than the inventory: nothing is planned by it."""
    facts = facts_of_ours(variables.get("ansible_facts"))
    if facts:
        raise PlanError(
            f"{host} returned the facts {', '.join(facts)}, which would set variables of this collection: no module that "
            "can be trusted returns such facts. Look after that host; ansible-playbook --flush-cache forgets them"
        )


def _hosts_of_the_plan(hosts, stored):
    """The hosts to plan over, and the hosts to which this pass is limited (None: to no less than the plan).

    With fewer hosts than the stored plan has (``--limit``), the plan stays and only their pairs are measured.
    """
    if 2 <= len(hosts) < len(stored) and all(stored.get(host) == address for host, address in hosts.items()):
        return stored, frozenset(hosts)
    return hosts, None


def _guests(bench, hosts, task_vars):
    """Guests whose process on the hypervisor is counted."""
    if not (bench["pairbench_trace"] and bench["pairbench_trace_vmm"]):
        return {}
    hostvars = task_vars["hostvars"]
    return guests_of({host: hostvars[host] for host in hosts if host in hostvars}, hosts, task_vars["groups"]["all"])


def _bottlenecks(bench, hosts, hostvars):
    hypervisors, uplinks = {}, {}
    for host in hosts:
        variables = hostvars[host] if host in hostvars else {}  # noqa: SIM401 - get() knows no default here
        if variables.get("pairbench_hypervisor"):
            hypervisors[host] = str(variables["pairbench_hypervisor"])
        named = variables.get("pairbench_bottlenecks") or []
        if isinstance(named, str):
            named = [named]
        if named:
            uplinks[host] = [str(name) for name in named]
    return Bottlenecks(hypervisors, uplinks, bench["pairbench_capacities"])


def _selection(bench, hosts, task_vars):
    """Pairs and groups as the inventory has them, without the hosts that --limit leaves out."""
    groups = task_vars["groups"]
    if bench["pairbench_pair_by"]:
        hostvars, name = task_vars["hostvars"], bench["pairbench_pair_by"]
        try:
            alike = pairs_by_value({host: hostvars[host].get(name) for host in hosts if host in hostvars})
        except SelectionError as error:
            raise PlanError(str(error)) from error
        return Selection(alike, (), bench["pairbench_sample"])
    declared = [tuple(pair) for pair in bench["pairbench_pairs"] if len(pair) == 2]
    strangers = sorted({host for pair in declared for host in pair} - set(groups["all"]))
    if strangers:
        raise PlanError(
            f"pairbench_pairs names {', '.join(strangers)}: a pair is two different hosts of the play, and the "
            "inventory has no such host"
        )
    against = []
    for names in bench["pairbench_groups"]:
        unknown = [name for name in names if name not in groups]
        if unknown:
            raise PlanError(f"pairbench_groups names {', '.join(unknown)}: the inventory has no such group")
        if len(names) == 2:
            against.append(tuple(tuple(host for host in groups[name] if host in hosts) for name in names))
    kept = tuple(pair for pair in declared if set(pair) <= set(hosts))
    if declared and not kept:
        raise PlanError("none of pairbench_pairs has both of its hosts in the play: check --limit")
    return Selection(kept, tuple(against), bench["pairbench_sample"])


def _wait_until_free(sweep_dir, wait_seconds, display):
    """Wait for another controller of this sweep. The callback takes the lock itself, in the main process."""
    deadline = time.monotonic() + wait_seconds
    holder = held_by(sweep_dir)
    if holder and wait_seconds:
        display.display(f"The sweep is held by {holder}; waiting for up to {wait_seconds} s")
    while holder and time.monotonic() < deadline:
        time.sleep(0.5)
        holder = held_by(sweep_dir)
    if holder:
        raise SweepHeld(f"The sweep in {sweep_dir} is held by {holder}")


def _lease_seconds(plan, longest_run_seconds):
    """How long a host stays claimed without a sign of life: longer than some steps, or installing tools, take."""
    return max(600.0, 4 * longest_step_seconds(plan) + 2 * longest_run_seconds)


def _require_forks(pairs, forks, observing):
    needed = 2 * pairs + observing
    if forks < needed:
        others = f", and {counted(observing, 'hypervisor')}," if observing else ""
        raise PlanError(
            f"forks is {forks}, but a round has {counted(pairs, 'pair')} whose {2 * pairs} ends{others} must run at the "
            f"same time: use --forks {needed} (or forks = {needed} in ansible.cfg)"
        )
    problem = descriptors_problem(DESCRIPTORS_A_WORKER * needed + SPARE_DESCRIPTORS)
    if problem:
        raise PlanError(problem)
