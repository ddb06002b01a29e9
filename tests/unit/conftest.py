"""Settings of the property tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# How long an example takes says something about the machine, not about the code: timings are never asserted.
settings.register_profile("pairbench", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pairbench")
