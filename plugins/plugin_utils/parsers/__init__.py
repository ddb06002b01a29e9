"""From the text that a tool printed to findings: pure functions that never print, raise on input, or guess."""
