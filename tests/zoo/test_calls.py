"""NUTS, batches and predictions of the table of distributions.

Rows are checked one distribution after another, by the interpreter. Predictions are compared with
PyMC's own for a dozen distributions in one model, each with parameters of its own. NUTS's machine
code takes some seconds a distribution, so that only those of `distributions.NUTS` are compiled. Of
a sixth of the others, the graph that Numba is given runs in PyTensor's interpreter.
"""

from __future__ import annotations

import warnings
from itertools import batched
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor
import pytest
import xarray as xr
from pytensor.compile.mode import NUMBA, Mode
from scipy.stats import ks_2samp

import bayou as by
from bayou.batching.batched import batched_program
from bayou.nuts.compiled.compiled_density import compile_density
from tests.zoo.distributions import JOINT, LOOSE, NUTS, REFUSED, ROWS, TABLES
from tests.zoo.references import joint_model, one_model, prefix_of, reference_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayou.nuts.compiled.compiled_density import CompiledDensity

# PyMC warns of an old name.
pytestmark = pytest.mark.filterwarnings("ignore:DensityDist has been deprecated:FutureWarning")
SIZE = 13
REWRITTEN_FOR_NUMBA = Mode("py", NUMBA.provided_optimizer)
TABLE = [(kind, name) for kind, table in TABLES.items() for name in table]
INTERPRETED = [key for key in TABLE if key not in NUTS and (*key, "density") not in REFUSED][::6]

# Differences of nearly equal normal probabilities, which other rewrites round otherwise: 3.6e-8.
LOOSER = LOOSE | {("rows", "OrderedProbit"): 1e-7}


def groups() -> list[Any]:
    """Return groups of likelihoods that are predicted at once, with one number of rows in each."""
    by_rows: dict[tuple[str, int], list[str]] = {}
    for kind, table in (("rows", ROWS), ("joint", JOINT)):
        for name, (_, values) in table.items():
            if not {(kind, name, "density"), (kind, name, "predict")} & set(REFUSED):
                by_rows.setdefault((kind, len(values)), []).append(name)
    return [
        pytest.param(kind, group, id=f"{kind}-{number}-{index}")
        for (kind, number), names in by_rows.items()
        for index, group in enumerate(batched(names, SIZE, strict=False))
    ]


def evaluate(
    density: CompiledDensity, position: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Return what the machine code that nutpie calls computes."""
    values, gradients = density.bind().gradients(position[None])
    return float(values[0]), gradients[0]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), NUTS)
def test_nuts_code(kind: str, name: str) -> None:
    density, reference = compile_density(one_model(kind, name)), reference_of(kind, name)
    for index in np.flatnonzero(np.isfinite(reference.densities)):
        value, gradient = evaluate(density, reference.positions[index])
        expected, slopes = reference.densities[index], reference.gradients[index]
        np.testing.assert_allclose(value, expected, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(gradient, slopes, rtol=1e-8, atol=1e-8)


# PyMC warns of old names and of starts, NumPy of branches that are not taken.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), INTERPRETED)
def test_nuts_graph(kind: str, name: str) -> None:
    density, reference = compile_density(one_model(kind, name)), reference_of(kind, name)
    graphs = density.graphs
    function = pytensor.function(
        graphs.inputs, graphs.density, mode=REWRITTEN_FOR_NUMBA, on_unused_input="ignore"
    )
    lengths = np.array([length for value in density.start(0) for length in value.shape], "int64")
    arguments = [container.get_value() for container in density.arguments]
    tolerance = LOOSER.get((kind, name), 1e-8)
    for index in np.flatnonzero(np.isfinite(reference.densities)):
        value, gradient = function(reference.positions[index], lengths, *arguments)
        expected, slopes = reference.densities[index], reference.gradients[index]
        np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance)
        if reference.is_exact[index]:
            np.testing.assert_allclose(gradient, slopes, rtol=tolerance, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_rows_can_come_in_batches(name: str) -> None:
    _, program = batched_program(one_model("rows", name), 2, None, validate=True)
    assert program.terms_of_rows


@pytest.mark.parametrize("name", [name for name in JOINT if name != "Simulator"])
def test_joint_distribution_is_refused_in_batches(name: str) -> None:
    words = r"'o' has one distribution over all rows, .*\.\nHint: leave `batch_size` out"
    with pytest.raises(ValueError, match=words):
        batched_program(one_model("joint", name), 2, None, validate=True)


@pytest.mark.parametrize(("kind", "name", "call"), [key for key in REFUSED if "predict" in key])
def test_predictions_are_refused(kind: str, name: str, call: str) -> None:
    model = one_model(kind, name)
    # Any draws do.
    starts = model.initial_point()
    draws = xr.Dataset(
        {
            variable.name: (("chain", "draw"), [[abs(float(start)) + 0.1]])
            for variable, start in zip(model.free_RVs, starts.values(), strict=True)
        }
    )
    data = {variable.name: variable.get_value() for variable in model.data_vars}
    with pytest.raises(ValueError, match=rf"(?s){REFUSED[kind, name, call]}.*\nHint: "):
        by.predict(draws, data, model=model, random_seed=1, progressbar=False)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "names"), groups())
def test_predictions_are_distributed_as_those_of_pymc(kind: str, names: tuple[str, ...]) -> None:
    model = joint_model(kind, names)
    assert len(by.describe(model).containers) == len(names)
    data = {variable.name: variable.get_value() for variable in model.data_vars}
    observed = [variable.name for variable in model.observed_RVs]
    free = [variable.name for variable in model.free_RVs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prior = pm.sample_prior_predictive(300, model=model, var_names=free, random_seed=1)
        posterior = prior["prior"].to_dataset()
        found = by.predict(posterior, data, model=model, random_seed=1, progressbar=False)
        expected = pm.sample_posterior_predictive(
            posterior, model=model, var_names=observed, random_seed=2, progressbar=False
        )
    assert {name.split("::")[0] for name in observed} <= set(map(prefix_of, names))
    for name in observed:
        ours, theirs = found["predictions"][name], expected["posterior_predictive"][name]
        assert ks_2samp(np.ravel(ours), np.ravel(theirs)).statistic < 0.1, name
