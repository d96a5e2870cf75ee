"""Use the installed wheel, without the extras: import it, read its data, fit and predict."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pandas as pd
import pymc as pm

import bayou as by

# Not zarr, which a dependency may bring.
EXTRAS = ("blackjax", "duckdb", "matplotlib", "polars", "ray")


def main() -> None:
    """Fail where something does not work."""
    files = {file.name for file in distribution("bayou").files or ()}
    assert {"py.typed", "nycflights13.parquet", "LICENSE"} <= files
    assert Path(by.__file__).is_relative_to(sys.prefix)
    present = [name for name in EXTRAS if importlib.util.find_spec(name) is not None]
    assert present == []

    flights = pd.read_parquet(by.get_data("nycflights13.parquet")).dropna(subset="arr_delay")
    flights = flights.head(2000).assign(late=lambda frame: frame["arr_delay"] > 15)
    with pm.Model():
        miles = by.Data("miles", flights, columns="distance", dims="flight")
        late = by.Data("late", flights, columns="late", dims="flight")
        a, b = pm.Normal("a", -1, 1), pm.Normal("b")
        pm.Bernoulli("arrival", logit_p=a + b * miles / 1000, observed=late, dims="flight")
        fit = by.fit(random_seed=1, progressbar=False)
    assert fit.verdict.word == "good", fit.verdict
    new = pd.DataFrame({"distance": [1400, 900]})
    predicted = by.predict(fit, new, random_seed=1, progressbar=False)
    assert predicted["predictions"]["arrival"].shape == (1, 1000, 2)

    program = Path(sys.prefix, "bin", "bayou")
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout == f"{by.__version__}\n"
    assert by.__version__ == distribution("bayou").version


if __name__ == "__main__":
    main()
