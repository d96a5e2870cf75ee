"""benchmarks/sparse_designs.py: what is timed is what it says."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

type Script = Callable[[str], ModuleType]


@pytest.mark.parametrize("name", ["bayou pass", "JAX pass", "SciPy pass", "bayou step", "JAX step"])
def test_contender_of_a_small_run_runs(script: Script, name: str) -> None:
    sparse = script("sparse_designs")
    sparse.CONTENDERS[name](600, 20)(sparse.GRAIN if "step" in name else 2)


def test_the_design_has_as_many_entries_in_each_row(script: Script) -> None:
    sparse = script("sparse_designs")
    x, y = sparse.draw(600, 20)
    assert (np.diff(x.indptr) == sparse.ENTRIES).all()
    assert x.has_canonical_format
    assert y.shape == (600,)
