"""``pairbench rootless``: run the playbook in network namespaces of an ordinary user's own."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..rootless.launcher import RootlessError, run_inside
from ..rootless.tools import with_tools
from ..storage.files import make_directory
from ..sweeps.playbook import environment
from .console import USAGE

TOLD = (
    "Rootless mode: the hosts are network namespaces of your own, which end with this command, and no system calls are "
    "counted, because that needs root."
)
HIDDEN = "/run"
"""The folder of which the command sees an empty one."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command to the console script."""
    parser = commands.add_parser(
        "rootless", help="run ansible-playbook or pairbench sweep without root, in network namespaces of your own",
        description="Runs a command as root of a user namespace. ansible-playbook and pairbench sweep get the variables "
                    "that hold there, before their other ones: pairbench_trace and pairbench_spool.",
        epilog="Example: pairbench rootless ansible-playbook bench.yml -i lab. The exit status is the command's; 2 where "
               "there can be no namespaces.",
    )  # fmt: skip
    parser.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command with its arguments")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the sub-command; its exit status."""
    argv = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
    try:
        if not argv:
            raise RootlessError("name the command to run, for example: pairbench rootless ansible-playbook bench.yml -i lab")
        if os.geteuid() == 0:
            raise RootlessError("this is root already: run the command itself, and system calls are counted too")
        _require_visible(os.environ)
        found = with_tools(dict(os.environ) | environment(os.environ), home_folder(os.environ, "XDG_CACHE_HOME", ".cache"))
        found.pop("XDG_RUNTIME_DIR", None)
        spool = home_folder(os.environ, "XDG_STATE_HOME", ".local/state") / "spool"
        make_directory(spool)
        for folder in (spool.parent, spool):
            folder.chmod(0o700)  # whatever the umask is: nobody else may put something there
        print(TOLD, flush=True)
        return run_inside(with_variables(argv, {"pairbench_trace": False, "pairbench_spool": str(spool)}), found)
    except RootlessError as error:
        print(f"pairbench: {error}", file=sys.stderr)
        return USAGE


def with_variables(argv: Sequence[str], variables: Mapping[str, object]) -> list[str]:
    """The command with variables of ours before those that it was given, where it is one that takes variables."""
    names = [Path(argv[0]).name, *argv[1:2]]
    known = 1 if names[0] == "ansible-playbook" else 2 if names == ["pairbench", "sweep"] else 0
    extra = ["-e", json.dumps(variables)] if known else []
    return [*argv[:known], *extra, *argv[known:]]


def home_folder(given: Mapping[str, str], variable: str, default: str) -> Path:
    """Our folder of a kind that the XDG Base Directory Specification names; a relative path does not count there."""
    named = given.get(variable, "")
    base = Path(named) if named.startswith("/") else Path(given.get("HOME") or Path.home()) / default
    return base / "pairbench"


def _require_visible(given: Mapping[str, str]) -> None:
    """Whatever the command needs must not be below the folder that is hidden from it. Raises RootlessError."""
    needed = [Path.cwd(), Path(sys.prefix), home_folder(given, "XDG_STATE_HOME", ".local/state")]
    for path in needed:
        if path.resolve().is_relative_to(HIDDEN):
            raise RootlessError(f"{path} is below {HIDDEN}, of which the rootless mode sees an empty one: work elsewhere")
