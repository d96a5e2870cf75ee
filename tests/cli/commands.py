"""Calls of the command `bayou` in this process, and a model file with its data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from typer.testing import CliRunner, Result

from bayou.cli import app

MODEL = """
import bayou as by
import pymc as pm


def model(data, spread: float = 10.0):
    print("a line of the model file")
    with pm.Model() as model:
        x = by.Data("x", data, columns="x", dims="row")
        y = by.Data("y", data, columns="y", dims="row")
        shop = by.Data("shop", data, columns="shop", dims="row", categories="shops")
        level, slope = pm.Normal("level", 0, spread, dims="shops"), pm.Normal("slope", 0, spread)
        pm.Normal("sales", level[shop] + slope * x, 1, observed=y, dims="row")
    return model
"""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def done(*arguments: object) -> str:
    """Return what a call prints that ends well."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: object, code: int = 2) -> str:
    """Return the error of a call that fails as it should."""
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    assert result.stdout == ""
    return result.stderr


def write_model(folder: Path, text: str = MODEL) -> Path:
    path = folder / "sales.py"
    path.write_text(text, encoding="utf-8")
    return path


def write_rows(folder: Path, number: int = 200) -> Path:
    """Write rows of y = 1 + 2 x + noise in shop a, 3 + 2 x + noise in shop b."""
    random = np.random.default_rng(1)
    frame = pd.DataFrame({"x": random.normal(size=number), "shop": ["a", "b"] * (number // 2)})
    frame["y"] = 1 + 2 * frame["x"] + 2 * (frame["shop"] == "b") + random.normal(size=number)
    path = folder / "rows.parquet"
    frame.to_parquet(path)
    return path
