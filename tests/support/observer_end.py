"""The observers of a hypervisor as the module executes them: watches on standard input, problems on standard output."""

from __future__ import annotations

import json
import sys

from ansible_collections.pairbench.lab.plugins.module_utils._host.children import Wakeup
from ansible_collections.pairbench.lab.plugins.module_utils._session.observer import observe_all

problems = observe_all(json.load(sys.stdin), Wakeup)
json.dump(problems, sys.stdout)
