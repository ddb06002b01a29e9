"""What the two recognisers of iperf3 find in a text."""

from __future__ import annotations

from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.iperf3.json_output import JsonRecogniser
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.iperf3.text_output import TextRecogniser
from ansible_collections.pairbench.lab.plugins.plugin_utils.parsing.finding import Finding


def recognise(text: str) -> list[Finding]:
    """Feed both recognisers, as the scanner of files does."""
    recognisers = (JsonRecogniser(), TextRecogniser())
    found: list[Finding] = []
    for number, line in enumerate(text.splitlines(), start=1):
        for recogniser in recognisers:
            found += recogniser.feed(line, number)
    for recogniser in recognisers:
        found += recogniser.close()
    return found
