"""What the events of ansible-runner say of a pass: whether it was refused, what failed, and how far it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..model import HELD, REFUSED
from ..plain_text import printable

LONGEST_LINE = 100_000
FAILURES = ("runner_on_failed", "runner_item_on_failed", "runner_on_unreachable")
DISPLAYED = ("verbose", "warning")
"""Events of what is displayed beside the results of tasks."""
ERROR_MARK = "[ERROR]: "
"""How Ansible marks an error; the callback does so itself at exit, when Ansible no longer can."""
_PROGRESS = re.compile(r"(\[\d+/\d+ runs|Sweep .*(to do|nothing to do)|Collected |The sweep is held|.*fell away: )")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def lines_of(event: Mapping[str, Any]) -> list[str]:
    """The lines that belong to an event, without colours or anything else that a terminal obeys."""
    return [_plain(line) for line in (event.get("stdout") or "").splitlines()]


def refusal_of(event: Mapping[str, Any]) -> str:
    """Why a task of this collection refuses to measure, `model.HELD` or `model.REFUSED`; empty where it does not."""
    word = _result(event).get("refusal")
    return str(word) if word in (HELD, REFUSED) else ""


def errors_of(event: Mapping[str, Any]) -> list[str]:
    """What went wrong, in lines: the message of a task that failed, or what Ansible itself displayed as an error."""
    if event.get("event") in FAILURES:
        host = (event.get("event_data") or {}).get("host", "")
        return [_plain(f"{host}: {line}") for line in str(_result(event).get("msg", "failed")).splitlines()]
    if event.get("event") == "error":
        return lines_of(event)
    return [line for line in lines_of(event) if line.startswith(ERROR_MARK)] if _is_displayed(event) else []


def progress_of(event: Mapping[str, Any]) -> list[str]:
    """The lines that say how far the playbook is.

    They are told from others by their words, and by nothing else: of what a callback displays, ansible-runner passes on the
    text alone. The lines are made by `execution.progress` and the callback ``pairbench.lab.summary``.
    """
    return [line for line in lines_of(event) if _PROGRESS.match(line)] if _is_displayed(event) else []


def _is_displayed(event: Mapping[str, Any]) -> bool:
    return event.get("event") in DISPLAYED


def _result(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The result of the task that failed; empty for other events."""
    result = (event.get("event_data") or {}).get("res") if event.get("event") in FAILURES else None
    return result if isinstance(result, Mapping) else {}


def _plain(line: str) -> str:
    return printable(_COLOUR.sub("", line).rstrip(), LONGEST_LINE)
