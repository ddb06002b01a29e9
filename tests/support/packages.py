"""What tests need of this machine's distribution."""

from __future__ import annotations

import os

from namespaces import run


def install(*packages: str) -> None:
    """Install packages of Debian or Ubuntu on this machine."""
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        run("apt-get", "--quiet", *words, timeout=550, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})


def mirror() -> list[str]:
    """The argument by which debootstrap and mmdebstrap take ``PAIRBENCH_TEST_MIRROR``; none where they choose themselves."""
    return [os.environ["PAIRBENCH_TEST_MIRROR"]] if "PAIRBENCH_TEST_MIRROR" in os.environ else []
