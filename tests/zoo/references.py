"""The models of the table of distributions, one or several at once, and PyMC's own density of them.

PyMC's density is the graph that it writes, with the gradient that PyTensor derives, run by
PyTensor's interpreter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor
from pytensor.compile.mode import Mode

import bayou as by
from bayou.density.flat_position import Layout
from bayou.models.initial_point import StartCandidates
from tests.zoo.distributions import JOINT, PRIORS, REALS, ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

INTERPRETER = Mode("py", "fast_run").excluding("fusion")
LIKELIHOODS = {"rows": ROWS, "joint": JOINT}


def write_model(kind: str, name: str) -> None:
    """Write the variables of an entry of the table into the model of the context."""
    if kind == "prior":
        variable: Any = PRIORS[name]()
        first = variable[0] if isinstance(variable, tuple) else variable
        y = by.Data("y", REALS, dims="row")
        pm.Normal("o", first.sum(), 1, observed=y, dims="row")
        return
    likelihood, values = LIKELIHOODS[kind][name]
    # Named by their lengths, so that several entries may stand in one model.
    dims = tuple(
        f"{dim}{length}" for dim, length in zip(("row", "value"), values.shape, strict=False)
    )
    likelihood({"observed": by.Data("y", values, dims=dims), "dims": dims})


def one_model(kind: str, name: str) -> pm.Model:
    """Return the model of one entry."""
    with pm.Model() as model:
        write_model(kind, name)
    return model


def joint_model(kind: str, names: Sequence[str]) -> pm.Model:
    """Return a model of several entries, each with variables of its own."""
    with pm.Model() as model:
        for name in names:
            with pm.Model(name=prefix_of(name)):
                write_model(kind, name)
    return model


def prefix_of(name: str) -> str:
    """Return what the names of an entry's variables begin with in a model of several entries."""
    return re.sub(r"\W", "_", name)


@dataclass(frozen=True)
class Reference:
    """PyMC's own density of a model.

    Attributes
    ----------
    positions : ndarray, shape (num_positions, size)
        Around the start; not the start, where a gradient may have a kink.
    densities : ndarray, shape (num_positions,)
    gradients : ndarray, shape (num_positions, size)
        Where PyTensor's are NaN, of finite differences.
    is_exact : ndarray of bool, shape (num_positions,)
        Whether the gradients are not of differences.
    """

    positions: NDArray[np.float64]
    densities: NDArray[np.float64]
    gradients: NDArray[np.float64]
    is_exact: NDArray[np.bool_]


@cache
def reference_of(kind: str, name: str) -> Reference:
    """Return PyMC's density and its gradient of an entry, interpreted."""
    model = one_model(kind, name)
    start = StartCandidates(model, jitter=False)(0)
    layout = Layout(
        tuple(value.name for value in model.value_vars),
        tuple(value.shape for value in start),
        (False,) * len(start),
    )
    values = model.value_vars
    density = model.logp()
    gradients = pytensor.grad(density, values, disconnected_inputs="ignore")
    function = model.compile_fn(
        [density, *gradients],
        inputs=values,
        mode=INTERPRETER,
        point_fn=False,
        on_unused_input="ignore",
    )

    def evaluate(position: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        with np.errstate(all="ignore"):
            value, *slopes = function(*layout.split(position))
        return float(value), np.concatenate([np.ravel(slope) for slope in slopes])

    noise = np.random.default_rng(0).normal(size=(4, layout.size))
    positions = np.concatenate([np.ravel(value) for value in start]) + 0.5 * noise
    densities, slopes = map(np.array, zip(*map(evaluate, positions), strict=True))
    is_exact = np.isfinite(slopes).all(axis=1)
    for index in np.flatnonzero(np.isfinite(densities) & ~is_exact):
        # PyTensor's own gradient is wrong here, its density is not.
        slopes[index] = [
            (evaluate(positions[index] + step)[0] - evaluate(positions[index] - step)[0]) / 2e-5
            for step in 1e-5 * np.eye(layout.size)
        ]
    return Reference(positions, densities, slopes, is_exact)
