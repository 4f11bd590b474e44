"""Hypothesis on machines of any speed: no deadlines; in CI the same examples every time, at home new ones."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile("home", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("home"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "home")
