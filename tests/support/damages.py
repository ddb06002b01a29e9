"""What befalls a file: functions of its path that leave something else in its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path], None]


def instead(make: Damage) -> Damage:
    """Something else that ``make`` puts where the file was."""

    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage
