"""How often Ansible looks for results: seldom while hosts measure, and as it was configured at all other times."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible import constants
from ansible_collections.pairbench.lab.plugins.plugin_utils.controller.polling import OPTION, QUIET_SECONDS, PollInterval


@pytest.mark.parametrize("configured", [0.001, 0.02, 0.5])
def test_it_is_lengthened_for_a_while_and_put_back(configured: float) -> None:
    holder = SimpleNamespace(**{OPTION: configured})
    polling = PollInterval(holder)
    for _step in range(2):
        polling.lengthen()
        polling.lengthen()
        assert getattr(holder, OPTION) == max(configured, QUIET_SECONDS)
        polling.restore()
        assert getattr(holder, OPTION) == configured
    polling.restore()
    assert getattr(holder, OPTION) == configured


def test_ansible_has_the_option() -> None:
    assert isinstance(getattr(constants, OPTION), float)
