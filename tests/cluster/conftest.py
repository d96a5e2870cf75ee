"""Ray for tests: its workers are not starved by the tests that run beside them."""

from __future__ import annotations

import os

# By default they give way to all other processes, so that a busy machine runs none of them.
os.environ.setdefault("RAY_worker_niceness", "0")
