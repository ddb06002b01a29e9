"""The rootless mode's pure parts: what it says where it is forbidden, and what it gives to the command."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._host.fingerprint import user_namespace
from ansible_collections.pairbench.lab.plugins.plugin_utils.cli.rootless import home_folder, with_variables
from ansible_collections.pairbench.lab.plugins.plugin_utils.rootless.launcher import SWITCHES, setting, why_forbidden
from ansible_collections.pairbench.lab.plugins.plugin_utils.rootless.tools import NEW_PACKAGE

REFUSED = OSError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize(("name", "forbids", "allows"), SWITCHES)
def test_the_setting_that_forbids_is_named_with_both_ways_out(name: str, forbids: str, allows: str) -> None:
    others = {other: right for other, _wrong, right in SWITCHES}
    sentence = why_forbidden(REFUSED, (others | {name: forbids}).__getitem__)
    assert f"{name} is {forbids}" in sentence and f"sysctl -w {name}={allows}" in sentence
    assert "as root or with sudo" in sentence and "\n" not in sentence


def test_without_a_known_setting_the_kernels_own_word_is_said() -> None:
    sentence = why_forbidden(REFUSED, lambda _name: "")
    assert "Operation not permitted" in sentence and "container" in sentence and "with sudo" in sentence
    assert setting("kernel.no_such_setting") == "" and setting("kernel.pid_max").isdigit()


def test_the_variables_come_before_those_of_the_user() -> None:
    given = {"pairbench_trace": False, "pairbench_spool": "/home/a b/spool"}
    made = with_variables(["/somewhere/ansible-playbook", "bench.yml", "-e", "pairbench_spool=/mine"], given)
    assert made[0] == "/somewhere/ansible-playbook" and made[3:] == ["bench.yml", "-e", "pairbench_spool=/mine"]
    assert made[1] == "-e" and json.loads(made[2]) == given
    sweep = with_variables(["pairbench", "sweep", "-i", "lab"], given)
    assert sweep[:3] == ["pairbench", "sweep", "-e"] and sweep[4:] == ["-i", "lab"]
    for other in (["bash", "-c", "true"], ["pairbench", "tables", "results/default"], ["pairbench"]):
        assert with_variables(other, given) == other


def test_folders_are_those_of_the_xdg_specification() -> None:
    state = ("XDG_STATE_HOME", ".local/state")
    assert home_folder({"HOME": "/home/a"}, *state) == Path("/home/a/.local/state/pairbench")
    assert home_folder({"HOME": "/home/a", "XDG_STATE_HOME": "/s"}, *state) == Path("/s/pairbench")
    assert home_folder({"HOME": "/home/a", "XDG_STATE_HOME": "s"}, *state) == Path("/home/a/.local/state/pairbench")


def test_only_packages_that_the_machine_lacks_are_fetched() -> None:
    simulated = (
        "NOTE: This is only a simulation!\n"
        "Inst libc6 [2.36-9] (2.36-10 Debian:12 [amd64])\n"
        "Inst libsctp1:amd64 (1.0.19+dfsg-2 Debian:12 [amd64]) []\n"
        "Inst iperf3 (3.12-1+deb12u2 Debian:12 [amd64])\n"
        "Conf iperf3 (3.12-1+deb12u2 Debian:12 [amd64])\n"
    )
    assert NEW_PACKAGE.findall(simulated) == [("libsctp1:amd64", "1.0.19+dfsg-2"), ("iperf3", "3.12-1+deb12u2")]


@pytest.mark.parametrize(
    ("line", "word"), [("         0          0 4294967295\n", "initial"), ("         0       1001          1\n", "own")]
)
def test_a_host_says_whose_its_user_namespace_is(tmp_path: Path, line: str, word: str) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/uid_map").write_text(line)
    assert user_namespace(str(tmp_path)) == word
    assert user_namespace(str(tmp_path / "elsewhere")) is None
