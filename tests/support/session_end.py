"""One end of a session as the module executes it: specification on standard input, result on standard output."""

from __future__ import annotations

import json
import sys

from ansible_collections.pairbench.lab.plugins.module_utils._children import Wakeup
from ansible_collections.pairbench.lab.plugins.module_utils._session import run_session

ends, problem = run_session(json.load(sys.stdin), Wakeup())
json.dump({"ends": ends, "problem": problem}, sys.stdout)
