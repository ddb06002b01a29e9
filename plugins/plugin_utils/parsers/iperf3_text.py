"""iperf3's text output, client and server side."""

from __future__ import annotations

from collections.abc import Iterable

from .finding import Finding


class TextRecogniser:
    """Finds iperf3 runs in text."""

    def feed(self, line: str, number: int) -> Iterable[Finding]:
        """Take the next cleaned line; give back the runs that it completes."""
        return ()

    def close(self) -> Iterable[Finding]:
        """Give back the run that the text ends in."""
        return ()
