"""How often Ansible looks for results: seldom while hosts measure, and as it was configured at all other times."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from ansible import constants
from ansible_collections.pairbench.lab.plugins.plugin_utils.controller.polling import (
    AWAKE_SECONDS,
    OPTION,
    QUIET_SECONDS,
    REST_SECONDS,
    RESTING_SHARE,
    PollInterval,
)
from namespaces import wait_until


def timers() -> int:
    return sum(isinstance(thread, threading.Timer) for thread in threading.enumerate())


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


@pytest.mark.parametrize("configured", [0.001, 5.0])
def test_it_is_longer_still_until_a_session_may_have_come_to_its_end(configured: float) -> None:
    holder = SimpleNamespace(**{OPTION: configured})
    polling = PollInterval(holder)
    polling.lengthen((AWAKE_SECONDS + 0.2) / RESTING_SHARE)
    assert getattr(holder, OPTION) == max(configured, REST_SECONDS)
    wait_until(lambda: not timers())
    assert getattr(holder, OPTION) == max(configured, QUIET_SECONDS)
    polling.restore()
    assert getattr(holder, OPTION) == configured


def test_a_step_that_ends_early_leaves_nothing_that_changes_it_later() -> None:
    holder = SimpleNamespace(**{OPTION: 0.001})
    polling = PollInterval(holder)
    for _step in range(3):
        polling.lengthen(1000)
        assert (timers(), getattr(holder, OPTION)) == (1, REST_SECONDS)
    polling.restore()
    assert (timers(), getattr(holder, OPTION)) == (0, 0.001)


def test_ansible_has_the_option() -> None:
    assert isinstance(getattr(constants, OPTION), float)
