"""Several distributions in one model, each with parameters of its own: NUTS, batches, predictions.

One compilation for a dozen distributions. A difference is of the distribution whose variable the
error names.
"""

from __future__ import annotations

import ctypes
import warnings
from itertools import batched
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytest
from scipy.stats import ks_2samp

import bayou as by
from bayou.nuts.compiled_density import compiled_density
from tests.zoo.distributions import JOINT, PRIORS, REFUSED, ROWS
from tests.zoo.references import joint_model, prefix_of, reference_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayou.nuts.compiled_density import CompiledDensity

QUIET = {"random_seed": 1, "progressbar": False}
SIZE = 13


def groups(*calls: str, kinds: tuple[str, ...] = ("rows", "joint", "prior")) -> list[Any]:
    """Return groups of the entries that some calls do not refuse; rows of one number in each."""
    tables: dict[str, dict[str, Any]] = {"rows": ROWS, "joint": JOINT, "prior": PRIORS}
    found = []
    for kind in kinds:
        by_number: dict[int, list[str]] = {}
        for name in tables[kind]:
            if not any((kind, name, call) in REFUSED for call in ("density", *calls)):
                number = len(ROWS[name][1]) if kind == "rows" else 0
                by_number.setdefault(number, []).append(name)
        for number, names in by_number.items():
            found += [
                pytest.param(kind, group, id=f"{kind}-{number}-{index}")
                for index, group in enumerate(batched(names, SIZE, strict=False))
            ]
    return found


def evaluate(
    density: CompiledDensity, position: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Return what the machine code that nutpie calls computes."""
    bound = density.bind()
    value, gradient = np.empty(1), np.empty(position.size)
    pointers = bound.find_start.pointers
    call = density.logp.ctypes
    arguments = [
        array.ctypes.data_as(kind)
        for array, kind in zip(
            (position, gradient, value, pointers), call.argtypes[1:], strict=True
        )
    ]
    assert call(ctypes.c_uint64(position.size), *arguments) == 0
    return float(value[0]), gradient


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "names"), groups("nuts"))
def test_nuts_code(kind: str, names: tuple[str, ...]) -> None:
    model = joint_model(kind, names)
    density = compiled_density(model)
    references = [reference_of(kind, name) for name in names]
    usable = [np.flatnonzero(np.isfinite(each.densities)) for each in references]
    for turn in range(3):
        places = [index[turn % len(index)] for index in usable]
        pairs = list(zip(references, places, strict=True))
        position = np.concatenate([each.positions[place] for each, place in pairs])
        value, gradient = evaluate(density, position)
        expected = [each.densities[place] for each, place in pairs]
        np.testing.assert_allclose(value, sum(expected), rtol=0, atol=1e-8 * np.abs(expected).sum())
        begin = 0
        for name, (each, place) in zip(names, pairs, strict=True):
            end = begin + each.positions.shape[1]
            allowed = 1e-8 if each.is_exact[place] else 1e-4
            np.testing.assert_allclose(
                gradient[begin:end],
                each.gradients[place],
                rtol=allowed,
                atol=allowed,
                err_msg=name,
            )
            begin = end
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trace = by.sample(2, tune=2, chains=1, model=model, **QUIET)
    assert by.verify(trace, model).matches


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "names"), groups("batches", kinds=("rows",)))
def test_batches(kind: str, names: tuple[str, ...]) -> None:
    model = joint_model(kind, names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = by.fit(3, model=model, batch_size=2, correction=None, **QUIET)
    assert np.isfinite(fit.elbo).all()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "names"), groups("fit", "predict", kinds=("rows", "joint")))
def test_predictions_and_provenance(kind: str, names: tuple[str, ...]) -> None:
    model = joint_model(kind, names)
    assert len(by.describe(model).containers) == len(names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = by.fit(3, "dadvi", model=model, correction=None, **QUIET)
        posterior = fit.sample(200, random_seed=1)
        data = {variable.name: variable.get_value() for variable in model.data_vars}
        observed = [variable.name for variable in model.observed_RVs]
        found = by.predict(posterior, data, model=model, **QUIET)["predictions"]
        expected = pm.sample_posterior_predictive(
            posterior, model=model, var_names=observed, random_seed=2, progressbar=False
        )["posterior_predictive"]
    assert by.verify(fit, model).matches
    assert {prefix_of(name) for name in names} >= {name.split("::")[0] for name in observed}
    for name in observed:
        apart = ks_2samp(np.ravel(found[name]), np.ravel(expected[name])).statistic
        assert apart < 0.1, name
