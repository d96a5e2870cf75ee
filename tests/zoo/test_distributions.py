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
import pytensor
import pytest
from pytensor.compile.mode import Mode

import bayou as by
from bayou.batching.batched import program_of_rows
from bayou.density.build import compile_program
from bayou.fitting.rows.gradient_choice import choose_gradients
from bayou.models.inputs import storage_of
from bayou.provenance.model_fingerprint import variable_fingerprints
from tests.zoo.distributions import ALL_CALLS, JOINT, LOOSE, PRIORS, QUICK, REALS, REFUSED, ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from bayou.density.program import Program

    type Evaluate = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]

INTERPRETER = Mode("py", "fast_run").excluding("fusion")
QUIET = {"random_seed": 1, "progressbar": False}
# What says no more than that something below bayou failed.
RAW = ("Traceback", "jax.errors", "FunctionGraph", "ScalarVariable", "Tracer", "Apply node")


def parameters(names: Iterable[str], kind: str) -> list[Any]:
    """Return the names as parameters of a test, slow ones but for a few."""
    return [
        pytest.param(name, marks=() if (kind, name) in QUICK else pytest.mark.slow)
        for name in names
    ]


def likelihood_model(name: str) -> pm.Model:
    likelihood, values = {**ROWS, **JOINT}[name]
    dims = ("row", "value")[: values.ndim]
    with pm.Model() as model:
        likelihood({"observed": by.Data("y", values, dims=dims), "dims": dims})
    return model


def prior_model(name: str) -> pm.Model:
    with pm.Model() as model:
        variable: Any = PRIORS[name]()
        first = variable[0] if isinstance(variable, tuple) else variable
        y = by.Data("y", REALS, dims="row")
        pm.Normal("o", first.sum(), 1, observed=y, dims="row")
    return model


def reference(model: pm.Model, program: Program) -> Evaluate:
    """Return PyMC's density and its gradient, interpreted."""
    values = [{value.name: value for value in model.value_vars}[n] for n in program.layout.names]
    density = model.logp()
    outputs = [density, *pytensor.grad(density, values, disconnected_inputs="ignore")]
    function = model.compile_fn(
        outputs, inputs=values, mode=INTERPRETER, point_fn=False, on_unused_input="ignore"
    )

    def evaluate(position: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        with np.errstate(all="ignore"):
            value, *gradients = function(*program.layout.split(position))
        return float(value), np.concatenate([np.ravel(gradient) for gradient in gradients])

    return evaluate


def positions_of(program: Program) -> list[NDArray[np.float64]]:
    """Return some positions around the start; not the start, where a gradient may have a kink."""
    noise = np.random.default_rng(0).normal(size=(4, program.layout.size))
    return [program.start(0) + 0.5 * each for each in noise]


def check_density(model: pm.Model, key: tuple[str, str]) -> None:
    """Check bayou's JAX program of a model."""
    fitted_model, program = program_of_rows(model) or (model, compile_program(model))
    exact = reference(model, program)
    positions = positions_of(program)
    program = choose_gradients(fitted_model, program, np.stack(positions))
    fed = [storage_of(variable).get_value(borrow=True) for variable in program.fed]
    inputs = (*fed, *program.data_values())
    density = jax.jit(jax.value_and_grad(lambda position: program.density(position, inputs)))
    check_equal(density, exact, positions, LOOSE.get(key, 1e-8))


def check_equal(
    found: Evaluate, exact: Evaluate, positions: list[NDArray[np.float64]], tolerance: float
) -> None:
    num_finite = 0
    for position in positions:
        expected, expected_gradient = exact(position)
        value, gradient = found(position)
        if np.isfinite(expected):
            np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance)
        else:
            assert not np.isfinite(value)
        if not np.isfinite(expected):
            continue
        num_finite += 1
        if np.isfinite(expected_gradient).all():
            np.testing.assert_allclose(gradient, expected_gradient, rtol=tolerance, atol=tolerance)
        else:
            # PyTensor's own gradient is wrong here, its density is not.
            differences = [
                (exact(position + step)[0] - exact(position - step)[0]) / 2e-5
                for step in 1e-5 * np.eye(position.size)
            ]
            np.testing.assert_allclose(gradient, differences, rtol=1e-4, atol=1e-4)
    assert num_finite


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


@pytest.mark.parametrize("name", parameters(ROWS, "rows") + parameters(JOINT, "joint"))
def test_density_of_a_likelihood(name: str) -> None:
    kind = "rows" if name in ROWS else "joint"
    works_or_is_refused(
        lambda: check_density(likelihood_model(name), (kind, name)), (kind, name, "density")
    )


@pytest.mark.parametrize("name", parameters(PRIORS, "prior"))
def test_density_of_a_prior(name: str) -> None:
    works_or_is_refused(
        lambda: check_density(prior_model(name), ("prior", name)), ("prior", name, "density")
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL_CALLS)
def test_all_that_is_done_with_a_likelihood(name: str) -> None:
    kind = "rows" if name in ROWS else "joint"
    model = likelihood_model(name)
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
