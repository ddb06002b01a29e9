"""Hosts that lie in what they return: nothing of it leaves the sweep's folder, and it costs their own runs only."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from bench import Bench, is_measured, words
from liars import lying_python
from namespaces import Mesh, Pair
from record_files import document_in, files_of_records

pytestmark = pytest.mark.slow

MALFORMED = ("failed", "malformed_reply")


def quick(lab: Pair | Mesh, directory: Path) -> Bench:
    made = Bench(lab, directory)
    made.variables |= {"pairbench_benchmarks": ["iperf3"], "pairbench_trace": False, "pairbench_rendezvous_seconds": 20}
    return made


def outside(bench: Bench) -> set[str]:
    """Files that are neither the sweep's nor what the hosts keep."""
    names = {str(path.relative_to(bench.directory)) for path in bench.directory.rglob("*") if path.is_file()}
    return {name for name in names if not name.startswith(("results/default/", "spool/"))}


def test_two_lying_hosts_make_no_file_that_the_next_command_obeys(pair: Pair, tmp_path: Path) -> None:
    """One replaces the run by its own, whose run_id is a path, the other adds a variable of the collection as a template."""
    bench, proof = quick(pair, tmp_path), tmp_path / "proof"
    replaces_the_run = """
if kind == "session":
    reply["role"] = "run"
    for end in reply["ends"].values():
        end.update(run_id="../../../group_vars/all", server="one", client="two", block=1)
elif kind == "claim":
    for entry in reply["spooled"]:
        entry["role"] = "run"
        entry["end"].update(run_id="../../../group_vars/all", server="one", client="two", block=1)
return reply
"""
    adds_a_variable = f"""
template = "{{{{ lookup('ansible.builtin.pipe', 'id > {proof}') }}}}"
if kind == "session":
    reply.update(role="pairbench_capacities", ends={{run_id: {{"x": template}} for run_id in reply["ends"]}})
elif kind == "claim":
    for entry in reply["spooled"]:
        entry.update(role="pairbench_capacities", end={{"x": template}})
return reply
"""
    bench.hosts["one"]["ansible_python_interpreter"] = lying_python(tmp_path / "python-one", replaces_the_run)
    bench.hosts["two"]["ansible_python_interpreter"] = lying_python(tmp_path / "python-two", adds_a_variable)
    bench.command()
    before = outside(bench)
    done = bench.run()
    told = done.stdout + done.stderr
    assert done.returncode == 2, told
    assert outside(bench) == before
    [run] = bench.table("runs")
    assert (run["status"], run["reason"]) == MALFORMED, told
    assert "two: ends.b001-iperf3-one-two-tcp_P4_t1-untraced" in words(told)
    [record] = files_of_records(bench.sweep)
    document = document_in(record)
    assert record.name == f"{document['run']['run_id']}.json.gz" and set(document) == {
        "schema", "sweep", "configuration", "run", "server", "client", "error", "attempt", "written_at",
    }  # fmt: skip
    assert document["server"]["host"] == "one" and document["client"] is None
    bench.run("--check")
    assert not proof.exists() and outside(bench) == before


@pytest.mark.parametrize("mesh", [3], indirect=True)
def test_one_lying_host_spoils_its_own_runs_only(mesh: Mesh, tmp_path: Path) -> None:
    """It speaks of the runs and for the names of others, to Ansible, to the terminal, and then in no form at all."""
    bench, proof = quick(mesh, tmp_path), tmp_path / "proof"
    bench.variables["pairbench_blocks"] = 2
    bench.hosts["three"]["ansible_python_interpreter"] = lying_python(tmp_path / "python-three", f"""
template = "{{{{ lookup('ansible.builtin.pipe', 'touch {proof}') }}}}"
""" + """
pairs = ("one-two", "two-one")
others = {"b00%d-iperf3-%s-tcp_P4_t1-untraced" % (block, pair) for block in (1, 2) for pair in pairs}
facts = {"pairbench_results": "/", "_bench_plan": {}, "ansible_connection": "local"}
reply["ansible_facts"] = reply.get("ansible_facts", {}) | facts
reply["add_host"] = {"host_name": "four", "host_vars": {"ansible_connection": "local"}}
if kind == "session":
    if any(run_id.startswith("b002") for run_id in reply["ends"]):
        return '{"ends": ' + "[" * 100000
    end = next(iter(reply["ends"].values()))
    end.update(host="one", stderr="\\x1b[2Jnothing to see")
    reply["ends"].update({run_id: end for run_id in others})
    reply["ends"]["\\x1b[2J"] = end
    reply.update(unreachable=True, skipped=True, role="server", forgotten=[None])
elif kind == "probe":
    reply["fingerprint"]["kernel"] = reply["tracer"]["reason"] = template
    reply["tools"]["iperf3"]["version"] = template
elif kind == "facts":
    reply["ansible_facts"].update(distribution=template, pkg_mgr=template)
elif kind == "claim":
    end = reply["spooled"][0]["end"] if reply["spooled"] else {}
    name = "%s.%s.%s.json"
    reply["spooled"] = [
        {"name": name % (run_id, "0" * 16, role), "run_id": run_id, "execution": "0" * 16, "role": role, "end": end}
        for run_id in others for role in ("server", "client", "error")
    ]
return reply
""")
    done = bench.run("--forks", "8")
    told = done.stdout + done.stderr
    assert done.returncode == 2, told
    outcomes = defaultdict(set)
    for row in bench.table("runs"):
        pair = frozenset((row["server"], row["client"]))
        outcomes[row["block"], "three" in pair].add((row["status"], row["reason"]))
        assert is_measured(row) or "three" in pair, told
    assert outcomes["1", True] == {MALFORMED}, told
    # What is no JSON at all is for Ansible a module that failed.
    assert outcomes["2", True] <= {MALFORMED, ("failed", "module_failed")}, told
    assert len(files_of_records(bench.sweep)) == 6
    assert {path.name for path in (bench.sweep / "hosts").iterdir()} == {"one.json", "two.json", "three.json"}
    assert "\x1b" not in told and "host is 'one' and not 'three'" in words(told)
    assert "which is no run" in words(told) or "which is another host" in words(told)
    assert "unreachable=0" in told and "\nfour" not in told
    assert not proof.exists(), told


@pytest.mark.parametrize("mesh", [3], indirect=True)
def test_a_host_that_does_not_say_what_it_is_takes_no_part(mesh: Mesh, tmp_path: Path) -> None:
    bench = quick(mesh, tmp_path)
    bench.hosts["three"]["ansible_python_interpreter"] = lying_python(tmp_path / "python-three", """
if kind == "probe":
    reply["fingerprint"]["kernel"] = {"{{ lookup('pipe', 'id') }}": ["\\x1b[2J"]}
return reply
""")
    done = bench.run("--forks", "8")
    told = words(done.stdout + done.stderr)
    assert done.returncode == 2, told
    assert "three: the reply.fingerprint.kernel must be a text, it is an object of 1" in told
    for row in bench.table("runs"):
        away = "three" in (row["server"], row["client"])
        assert (row["status"], row["reason"]) == ("failed", "not_run") if away else is_measured(row), told
    assert {path.name for path in (bench.sweep / "hosts").iterdir()} == {"one.json", "two.json"}


def test_nothing_is_planned_by_the_facts_of_a_host(pair: Pair, tmp_path: Path) -> None:
    """What a host returned in an earlier play counts more for Ansible than the inventory."""
    bench = quick(pair, tmp_path)
    bench.hosts["one"]["ansible_python_interpreter"] = lying_python(tmp_path / "python-one", f"""
if kind == "facts":
    reply["ansible_facts"]["pairbench_results"] = "{tmp_path}/group_vars"
return reply
""")
    playbook = tmp_path / "gather.yml"
    playbook.write_text(yaml.safe_dump([
        {"hosts": "all", "gather_facts": False,
         "tasks": [{"ansible.builtin.setup": {"gather_subset": ["!all", "!min", "user"]}}]},
        {"ansible.builtin.import_playbook": "pairbench.lab.bench"},
    ]))
    bench.playbook = str(playbook)
    done = bench.run()
    assert done.returncode == 2
    assert "Nothing was measured. one returned the facts pairbench_results" in words(done.stdout + done.stderr)
    assert not (tmp_path / "group_vars").exists() and not (tmp_path / "results").exists()


def test_nothing_is_removed_from_the_controller_by_the_facts_of_a_hypervisor(pair: Pair, tmp_path: Path) -> None:
    bench, folder = quick(pair, tmp_path), tmp_path / "a folder of the user"
    folder.mkdir()
    bench.hosts = {"one": bench.hosts["one"] | {"vm_lab_dir": str(tmp_path / "vm_lab"), "vm_lab_name": pair.server.name}}
    bench.hosts["one"]["ansible_python_interpreter"] = lying_python(tmp_path / "python-one", f"""
reply["ansible_facts"] = reply.get("ansible_facts", {{}}) | {{"vm_lab_access": "{folder}"}}
return reply
""")
    playbook = tmp_path / "remove.yml"
    playbook.write_text(yaml.safe_dump([
        {"hosts": "all", "gather_facts": False, "roles": [{"role": "pairbench.lab.vm_lab", "vm_lab_state": "absent"}]},
    ]))
    bench.playbook = str(playbook)
    done = bench.run()
    assert done.returncode == 2
    assert "returned facts that would set variables of this collection (vm_lab_access)" in words(done.stdout + done.stderr)
    assert folder.exists()
