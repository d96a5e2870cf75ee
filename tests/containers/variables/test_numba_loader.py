"""Numba is left until a graph is compiled with it, and then compiles the containers' operations."""

import subprocess
import sys
from pathlib import Path

import pytest

# What Numba does not know runs in Python, of which PyTensor warns: an error here.
CONTAINERS = """
import sys
import numpy as np, pymc as pm
import bayou as by
with pm.Model():
    batch = by.Minibatch(np.arange(10.0), 3)
    items = by.generator(iter(np.ones((5, 2))))
assert "numba" not in sys.modules
"""
COMPILED = """
import warnings, pytensor
warnings.simplefilter("error")
function = pytensor.function([], [batch, items], mode="NUMBA")
rows, item = function()
assert rows.shape == (3,) and item.tolist() == [1, 1]
assert "bayou.containers.variables.numba_dispatch" in sys.modules
"""
WINDOWS = """
import pyarrow as pa, pyarrow.parquet as pq
path = sys.argv[1]
pq.write_table(pa.table({"y": np.linspace(-1, 1, 1000)}), path, row_group_size=100)
source = by.scan(path)
with by.Batches(source, 10, in_memory_size=200, epochs=1) as batches:
    assert sum(len(batch["y"]) for batch in batches) == 1000
with pm.Model() as model:
    y = by.Minibatch(source["y"], 10, name="y", in_memory_size=200)
    pm.Normal("late", pm.Normal("mean"), observed=y, total_size=1000)
by.fit(200, model=model, random_seed=1, progressbar=False)
assert "numba" not in sys.modules
"""


@pytest.mark.slow
def test_numba_is_loaded_when_it_is_needed(tmp_path: Path) -> None:
    # One process, since importing PyMC takes seconds; Numba comes last.
    script = CONTAINERS + WINDOWS + COMPILED
    subprocess.run([sys.executable, "-c", script, tmp_path / "rows.parquet"], check=True)
