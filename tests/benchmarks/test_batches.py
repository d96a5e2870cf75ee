"""benchmarks/batches.py: what is timed is what it says."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

type Script = Callable[[str], ModuleType]


@pytest.mark.parametrize("name", ["ordinary", "by_hand", "latent"])
def test_contender_of_a_small_run_runs(script: Script, name: str) -> None:
    batches = script("batches")
    fit = getattr(batches, name)(600)(batches.GRAIN)
    assert len(fit.elbo) == batches.GRAIN


def test_claims_are_between_contenders(script: Script) -> None:
    batches = script("batches")
    for name, base, most in batches.CLAIMS.values():
        assert {name, base} <= set(batches.CONTENDERS)
        assert most > 1
