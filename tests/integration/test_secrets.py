"""Secrets of the inventory, and the tokens by which two ends meet, are in nothing that is kept or printed, at -vvv too."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench import Bench, words
from namespaces import Pair
from record_files import files_of_records

pytestmark = pytest.mark.slow

MARK = "s3cr3t-of-the-inventory-"
NAMES = ("ansible_password", "ansible_become_password", "ansible_become_pass", "database_password", "vault", "extra")
PAIRBENCH = str(Path(sys.executable).parent / "pairbench")
ANSIBLE_VAULT = str(Path(sys.executable).parent / "ansible-vault")
# What stands between the tests and Python on the hosts: it keeps what each module, and the program that stays on a host,
# is given, which holds the token.
KEEPER = """#!/bin/sh
kept=$(mktemp {folder}/XXXXXXXX)
case "$1" in
    /*) cat "$1" >"$kept"; exec /usr/bin/python3 "$@" ;;
    *) tee "$kept" | exec /usr/bin/python3 "$@" ;;
esac
"""
TOKEN = re.compile(rb'\\?"token\\?": *\\?"([^"\\]{16,})')


@pytest.fixture
def bench(pair: Pair, tmp_path: Path) -> Bench:
    """A bench whose inventory has a secret in every way that inventories have them."""
    made = Bench(pair, tmp_path)
    (tmp_path / "given").mkdir()
    keeper = tmp_path / "python"
    keeper.write_text(KEEPER.format(folder=tmp_path / "given"), encoding="ascii")
    keeper.chmod(0o755)
    (tmp_path / "vault-password").write_text("of the vault\n", encoding="ascii")
    secrets = tmp_path / "group_vars" / "all"
    secrets.mkdir(parents=True)
    (secrets / "vault.yml").write_text(f"vaulted_secret: {MARK}vault\n", encoding="ascii")
    vault = [ANSIBLE_VAULT, "encrypt", "--vault-password-file", str(tmp_path / "vault-password"), str(secrets / "vault.yml")]
    subprocess.run(vault, check=True, capture_output=True, timeout=60)
    made.variables |= {name: MARK + name for name in NAMES[:4]}
    made.variables |= {"ansible_python_interpreter": str(keeper), "nested": {"api": {"token": f"{MARK}nested"}}}
    made.variables |= {"pairbench_benchmarks": ["iperf3"]}
    made.hosts["one"]["uses_the_vault"] = "{{ vaulted_secret }}"
    (tmp_path / "extra.yml").write_text(f"extra_secret: {MARK}extra\n", encoding="ascii")
    return made


def tokens(directory: Path) -> set[bytes]:
    """The tokens of all sessions, from what the modules were given."""
    return {token for path in (directory / "given").iterdir() for token in TOKEN.findall(path.read_bytes())}


def kept(directory: Path) -> Iterator[tuple[str, bytes]]:
    """Everything that was written, except for what holds the secrets on purpose."""
    ours = {directory / "lab.yml", directory / "extra.yml", directory / "python"}
    for path in directory.rglob("*"):
        if path.is_file() and path not in ours and directory / "given" not in path.parents:
            yield str(path.relative_to(directory)), path.read_bytes()


class CommandLines:
    """Looks at the command lines of all processes while something runs."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes())
                except OSError:  # it has ended
                    continue

    def __enter__(self) -> CommandLines:
        self._thread.start()
        return self

    def __exit__(self, *unused: Any) -> None:
        self._over.set()
        self._thread.join()


def assert_nowhere(secrets: set[bytes], places: Iterator[tuple[str, bytes]]) -> None:
    looked = 0
    for name, content in places:
        looked += 1
        found = [secret for secret in secrets if secret in content]
        assert not found, f"{name} holds {found}"
    assert looked


@pytest.mark.parametrize("command", ["bench.yml", "pairbench sweep"])
def test_what_runs_at_vvv_keeps_and_prints_no_secret(bench: Bench, command: str) -> None:
    log = bench.directory / "ansible.log"
    environment = bench.environment(
        ANSIBLE_CALLBACKS_ENABLED="pairbench.lab.summary", ANSIBLE_LOG_PATH=str(log), ANSIBLE_VERBOSITY="3",
        ANSIBLE_VAULT_PASSWORD_FILE=str(bench.directory / "vault-password"),
    )  # fmt: skip
    playbook = bench.command("-e", f"@{bench.directory}/extra.yml")
    sweep = [PAIRBENCH, "sweep", "-i", "lab.yml", "--blocks", "1", "-e", f"@{bench.directory}/extra.yml"]
    with CommandLines() as watched:
        done = subprocess.run(
            playbook if command == "bench.yml" else sweep, cwd=bench.directory, env=environment, capture_output=True,
            text=True, timeout=300, check=False,
        )  # fmt: skip
    assert log.stat().st_size > 10_000, done.stdout + done.stderr
    assert files_of_records(bench.sweep) and list((bench.sweep / "hosts").iterdir()), words(done.stdout)
    live = tokens(bench.directory)
    assert live, "the modules were given no token, or it is spelt in another way"
    secrets = {MARK.encode()} | live
    assert_nowhere(secrets, kept(bench.directory))
    assert_nowhere(secrets, iter([("stdout", done.stdout.encode()), ("stderr", done.stderr.encode())]))
    assert_nowhere(secrets, iter([("a command line", line) for line in watched.seen]))
