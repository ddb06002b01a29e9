"""Hosts that lie: a Python interpreter that executes a module as ever and then says something else."""

from __future__ import annotations

from pathlib import Path

PYTHON = "/usr/bin/python3"
SCRIPT = '''#!{python}
import json, subprocess, sys
done = subprocess.run(["{python}", *sys.argv[1:]], stdout=subprocess.PIPE)
text = done.stdout.decode("utf-8", "surrogateescape")


def lie(kind, reply):
{body}


KINDS = {{"ends": "session", "spooled": "claim", "fingerprint": "probe", "problems": "observe", "ansible_facts": "facts"}}
try:
    reply = json.loads(text)
except ValueError:
    reply = None
if isinstance(reply, dict):
    kind = next((KINDS[key] for key in KINDS if key in reply), "other")
    told = lie(kind, reply)
    text = told if isinstance(told, str) else json.dumps(told)
sys.stdout.write(text)
sys.exit(done.returncode)
'''


def lying_python(path: Path, body: str) -> str:
    """Write an interpreter for ``ansible_python_interpreter`` of a host; its path.

    ``body`` are the lines of a function of ``kind`` (``session``, ``claim``, ``probe``, ``observe``, ``facts`` or
    ``other``) and ``reply``, the module's own, that returns what the host says instead: an object, or a text as it is.
    """
    lines = "\n".join(f"    {line}" for line in body.strip("\n").splitlines())
    path.write_text(SCRIPT.format(python=PYTHON, body=lines))
    path.chmod(0o755)
    return str(path)
