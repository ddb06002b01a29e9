# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""The program that executes what a pass asks of a host, from code that is there already (``code``).

It reads one JSON object from standard input, ``module`` (one of ``MODULES``) and its ``arguments``, and writes what the
module of that name returns as one line of JSON. The arguments come from our own controller, which has made them as the
module's options say; defaults are filled in here.
"""

from __future__ import annotations

import json
import sys

from ansible_collections.pairbench.lab.plugins.module_utils._resident.claiming import CLAIM_OPTIONS, claim_report
from ansible_collections.pairbench.lab.plugins.module_utils._resident.measuring import (
    OBSERVE_OPTIONS,
    SESSION_OPTIONS,
    observe_report,
    session_report,
)
from ansible_collections.pairbench.lab.plugins.module_utils._resident.probing import PROBE_OPTIONS, probe_report

MODULES = {
    "claim": (claim_report, CLAIM_OPTIONS),
    "observe": (observe_report, OBSERVE_OPTIONS),
    "probe": (probe_report, PROBE_OPTIONS),
    "session": (session_report, SESSION_OPTIONS),
}


def main():
    """Execute what was asked for."""
    asked = json.loads(sys.stdin.buffer.read().decode("utf-8"))
    report, options = MODULES[asked["module"]]
    result = report(with_defaults(asked["arguments"], options))
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()


def with_defaults(arguments, options):
    """The arguments, with the defaults of the options that are missing; also in lists of objects. Raises KeyError."""
    found = {name: _default(name, option) for name, option in options.items() if name not in arguments}
    for name, value in arguments.items():
        inner = options[name].get("options")
        found[name] = [with_defaults(item, inner) for item in value] if inner else value
    return found


def _default(name, option):
    if option.get("required"):
        raise KeyError("the argument %s is missing" % name)
    return json.loads(json.dumps(option["default"]))  # a list of its own for each
