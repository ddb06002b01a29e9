"""One end of a session as the module executes it: specification on standard input, result on standard output."""

from __future__ import annotations

import json
import sys

from ansible_collections.pairbench.lab.plugins.module_utils._host.children import Wakeup
from ansible_collections.pairbench.lab.plugins.module_utils._session.session import run_session

outcome = run_session(json.load(sys.stdin), Wakeup())
json.dump(vars(outcome) | {"_spec": None, "_spool": None}, sys.stdout)
