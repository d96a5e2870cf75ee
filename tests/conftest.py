"""A Ray instance for a module of tests: its workers are not starved by what runs beside them."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def two_cores() -> Iterator[None]:
    """Connect this process to a cluster of two cores, of its own."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        # They give way to all other processes by default, so that a busy machine runs none.
        patch.setenv("RAY_worker_niceness", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        ray.init("local", num_cpus=2, log_to_driver=False, logging_level=logging.ERROR)
        yield
        ray.shutdown()
