"""Every distribution of PyMC: the same density and gradient as PyMC's own, or a refusal by name.

The reference is the graph that PyMC writes, with the gradient that PyTensor derives, run by
PyTensor's interpreter. A distribution passes where bayou's JAX program agrees with that at several
positions, or where `distributions.REFUSED` has the words of the refusal. Batches, predictions and
provenance are tested with those of `distributions.ALL_CALLS`.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.batching.batched import program_of_rows
from bayou.density.build import compile_program
from bayou.fitting.rows.gradient_choice import choose_gradients
from bayou.models.inputs import storage_of
from bayou.provenance.model_fingerprint import variable_fingerprints
from tests.zoo.distributions import (
    ALL_CALLS,
    JOINT,
    LOOSE,
    NO_LIKELIHOOD,
    NO_PRIOR,
    PRIORS,
    REFUSED,
    ROWS,
)
from tests.zoo.references import one_model, reference_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tests.zoo.references import Reference

    type Evaluate = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]

# PyMC warns of an old name.
pytestmark = pytest.mark.filterwarnings("ignore:DensityDist has been deprecated:FutureWarning")
QUIET = {"random_seed": 1, "progressbar": False}
# What says no more than that something below bayou failed.
RAW = ("Traceback", "jax.errors", "FunctionGraph", "ScalarVariable", "Tracer", "Apply node")


def check_density(kind: str, name: str) -> None:
    """Check bayou's JAX program of an entry, in the model as a fit has it."""
    model = one_model(kind, name)
    fitted_model, program = program_of_rows(model) or (model, compile_program(model))
    reference = reference_of(kind, name)
    program = choose_gradients(fitted_model, program, reference.positions, 0)
    fed = [storage_of(variable).get_value(borrow=True) for variable in program.fed]
    inputs = (*fed, *program.data_values())
    density = jax.jit(jax.value_and_grad(lambda position: program.density(position, inputs)))
    check_equal(density, reference, LOOSE.get((kind, name), 1e-8))


def check_equal(evaluate: Evaluate, reference: Reference, tolerance: float) -> None:
    is_finite = np.isfinite(reference.densities)
    assert is_finite.any()
    for index, position in enumerate(reference.positions):
        value, gradient = evaluate(position)
        if not is_finite[index]:
            assert not np.isfinite(value)
            continue
        expected = reference.densities[index]
        np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance)
        allowed = tolerance if reference.is_exact[index] else 1e-4
        np.testing.assert_allclose(gradient, reference.gradients[index], rtol=allowed, atol=allowed)


def test_table_has_every_distribution() -> None:
    abstract = {"Continuous", "Discrete", "Distribution", "SymbolicRandomVariable"}
    assert pm.Lognormal is pm.LogNormal
    wanted = set(pm.distributions.__all__) - abstract - {"Lognormal"}
    # Entries are named by the distribution, and what else is special about them.
    likelihoods = {name.split()[0] for name in (*ROWS, *JOINT)}
    assert likelihoods - {"Potential", "TruncatedNormal"} <= wanted
    assert wanted == (likelihoods | {name.split()[0] for name in PRIORS}) - {"Potential"}
    assert likelihoods >= wanted - set(NO_LIKELIHOOD)
    assert set(PRIORS) >= wanted - set(NO_PRIOR)
    assert not set(PRIORS) & set(NO_PRIOR)


def works_or_is_refused(call: Callable[[], Any], key: tuple[str, str, str]) -> Any:
    """Return what a call returns; None where the table says that it refuses."""
    words = REFUSED.get(key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if words is None:
            return call()
        with pytest.raises((ValueError, TypeError, NotImplementedError), match=words) as caught:
            call()
    assert "Hint: " in str(caught.value)
    assert not any(word in str(caught.value) for word in RAW)
    return None


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ROWS, *JOINT])
def test_density_of_a_likelihood(name: str) -> None:
    kind = "rows" if name in ROWS else "joint"
    works_or_is_refused(lambda: check_density(kind, name), (kind, name, "density"))


@pytest.mark.slow
@pytest.mark.parametrize("name", PRIORS)
def test_density_of_a_prior(name: str) -> None:
    works_or_is_refused(lambda: check_density("prior", name), ("prior", name, "density"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL_CALLS)
def test_all_that_is_done_with_a_likelihood(name: str) -> None:
    kind = "rows" if name in ROWS else "joint"
    model = one_model(kind, name)
    assert by.describe(model).containers
    assert set(variable_fingerprints(model)) >= {"o"}
    fit = works_or_is_refused(
        lambda: by.fit(20, "dadvi", model=model, **QUIET), (kind, name, "fit")
    )
    works_or_is_refused(
        lambda: by.fit(20, model=model, batch_size=2, correction=None, **QUIET),
        (kind, name, "batches"),
    )
    if fit is None:
        return
    assert by.verify(fit, model).matches
    _, values = {**ROWS, **JOINT}[name]
    works_or_is_refused(
        lambda: by.predict(fit.sample(20, random_seed=1), {"y": values}, model=model, **QUIET),
        (kind, name, "predict"),
    )
