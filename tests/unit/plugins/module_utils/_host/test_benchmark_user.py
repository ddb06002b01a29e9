"""Whose process a benchmark is: which rights a run needs, and why it stays who it was."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._host import benchmark_user
from ansible_collections.pairbench.lab.plugins.module_utils._host.benchmark_user import (
    become,
    capabilities,
    without_private_folder,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks import BENCHMARKS

MADE_UP = "/usr/bin/iperf3"


@pytest.fixture(autouse=True)
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(benchmark_user, "_trial", lambda prefix, program: None)
    monkeypatch.setattr(benchmark_user, "_help", lambda path: " --pdeathsig keep|clear|<signame>")
    monkeypatch.setattr(shutil, "which", lambda name: f"/no/bin/{name}")
    monkeypatch.setattr(benchmark_user, "_is_mapped", lambda what, number: True)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "allowed").write_text("reno cubic\n")
    (tmp_path / "first").write_text("1024\n")
    monkeypatch.setattr(benchmark_user, "ALLOWED_CONGESTION", str(tmp_path / "allowed"))
    monkeypatch.setattr(benchmark_user, "FIRST_FREE_PORT", str(tmp_path / "first"))


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ({"port": 5201}, []),
        ({"port": 1023}, ["net_bind_service"]),
        ({"port": 5201, "congestion": "cubic"}, []),
        ({"port": 80, "congestion": "bbr"}, ["net_admin", "net_bind_service"]),
        ({"port": 5201, "capabilities": ["net_raw"]}, ["net_raw"]),
        ({"port": 5201, "capabilities": ["sys_admin"]}, []),
    ],
)
def test_a_run_keeps_only_what_its_kernel_asks_for(run: dict[str, Any], expected: list[str]) -> None:
    assert capabilities(run) == expected


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ([], {}),
        (["-C", "bbr"], {"congestion": "bbr"}),
        (["-Cbbr"], {"congestion": "bbr"}),
        (["--congestion=bbr"], {"congestion": "bbr"}),
        (["--congestion", "bbr"], {"congestion": "bbr"}),
        (["--bind-dev", "eth1"], {"capabilities": ["net_raw"]}),
        (["-C"], {}),
    ],
)
def test_what_a_case_of_iperf3_asks_for_is_seen_in_its_options(extra: list[str], expected: dict[str, Any]) -> None:
    assert BENCHMARKS["iperf3"].privileges({"congestion": "", "extra_args": extra}) == expected


def test_what_other_cases_ask_for() -> None:
    assert BENCHMARKS["iperf3"].privileges({"congestion": "dctcp", "extra_args": []}) == {"congestion": "dctcp"}
    assert BENCHMARKS["sockperf"].privileges({"extra_args": ["--lls=50"]}) == {"capabilities": ["net_admin"]}
    assert BENCHMARKS["sockperf"].privileges({"extra_args": ["--tcp-avoid-nodelay"]}) == {}


def test_the_prefix_drops_everything_and_dies_with_its_parent() -> None:
    prefix, who = become("nobody", [], MADE_UP)
    assert who == "nobody"
    assert prefix == ["/no/bin/setpriv", "--reuid=65534", prefix[2], "--clear-groups", "--no-new-privs", "--inh-caps=-all",
                      "--pdeathsig", "TERM"]
    assert prefix[2].startswith("--regid=")
    assert become("65534", [], MADE_UP)[1] == "nobody"


def test_what_is_kept_is_told() -> None:
    prefix, who = become("nobody", ["net_admin", "net_raw"], MADE_UP)
    assert who == "nobody +net_admin +net_raw"
    assert "--inh-caps=-all,+net_admin,+net_raw" in prefix and "--ambient-caps=-all,+net_admin,+net_raw" in prefix


def test_root_stays_root_where_that_is_asked_for() -> None:
    assert become("root", [], MADE_UP) == ([], "root")
    assert become("0", [], MADE_UP) == ([], "root")


def test_why_it_is_not_possible_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert become("nosuchuser", [], MADE_UP) == ([], "root (this host has no user nosuchuser)")
    monkeypatch.setattr(benchmark_user, "_trial", lambda prefix, program: "setpriv: setresuid failed")
    assert become("nobody", [], MADE_UP) == ([], "root (setpriv: setresuid failed)")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert become("nobody", [], MADE_UP)[1] == "root (setpriv, of util-linux, is not on this host)"
    monkeypatch.setattr(benchmark_user, "_is_mapped", lambda what, number: what == "gid")
    assert become("nobody", [], MADE_UP)[1] == "root (the uid 65534 of nobody is not mapped in this user namespace)"
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    assert become("nobody", [], MADE_UP) == ([], "nobody (only root can become nobody)")


def test_old_setprivs_are_given_no_option_that_they_do_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_user, "_help", lambda path: "")
    assert "--pdeathsig" not in become("nobody", [], MADE_UP)[0]


def test_a_folder_for_temporary_files_that_others_cannot_use_is_not_handed_on(tmp_path: Path) -> None:
    private, shared = tmp_path / "private", tmp_path / "shared"
    private.mkdir(mode=0o700)
    shared.mkdir()
    shared.chmod(0o1777)
    assert without_private_folder({"A": "1", "TMPDIR": str(private)}) == {"A": "1"}
    assert without_private_folder({"A": "1", "TMPDIR": str(tmp_path / "none")}) == {"A": "1"}
    assert without_private_folder({"A": "1", "TMPDIR": str(shared)}) == {"A": "1", "TMPDIR": str(shared)}
    assert without_private_folder({"A": "1"}) == {"A": "1"}
