"""What the rootless mode says where it is forbidden."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from ansible_collections.pairbench.lab.plugins.module_utils._host.fingerprint import user_namespace
from ansible_collections.pairbench.lab.plugins.plugin_utils.rootless.launcher import SWITCHES, setting, why_forbidden

REFUSED = OSError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize(("name", "forbids", "allows"), SWITCHES)
def test_the_setting_that_forbids_is_named_with_both_ways_out(name: str, forbids: str, allows: str) -> None:
    others = {other: right for other, _wrong, right in SWITCHES}
    sentence = why_forbidden(REFUSED, (others | {name: forbids}).__getitem__)
    assert f"{name} is {forbids}" in sentence and f"sysctl -w {name}={allows}" in sentence
    assert "as root or with sudo" in sentence and "\n" not in sentence


def test_without_a_known_setting_the_kernels_own_word_is_said() -> None:
    sentence = why_forbidden(REFUSED, lambda _name: "")
    assert "Operation not permitted" in sentence and "container" in sentence and "with sudo" in sentence
    assert setting("kernel.no_such_setting") == "" and setting("kernel.pid_max").isdigit()


@pytest.mark.parametrize(
    ("line", "word"), [("         0          0 4294967295\n", "initial"), ("         0       1001          1\n", "own")]
)
def test_a_host_says_whose_its_user_namespace_is(tmp_path: Path, line: str, word: str) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/uid_map").write_text(line)
    assert user_namespace(str(tmp_path)) == word
    assert user_namespace(str(tmp_path / "elsewhere")) is None
