"""Faults: a density that is not finite is put down to its variables, at the start and at a step."""

import numpy as np
import pymc as pm
import pytest

from bayou.density.build import compile_program
from bayou.density.non_finite import (
    check_start,
    divergence_error,
    find_start,
    non_finite_terms,
)
from bayou.density.program import Program
from bayou.errors import DivergenceError

FINE, NEGATIVE, FAR = np.array([1.0]), np.array([-1.0]), np.array([-3.0])


@pytest.fixture(scope="module")
def program() -> Program:
    """A rate that may be negative: waits are impossible then, below -2 the ridge is nan too."""
    with pm.Model() as model:
        rate = pm.Flat("rate")
        pm.Exponential("waits", rate, observed=[1.0, 2.0, 3.0])
        pm.Normal("heights", rate, 1, observed=[0.5])
        pm.Potential("ridge", -pm.math.log(rate + 2))
    return compile_program(model)


def test_terms_at_fault(program: Program) -> None:
    assert non_finite_terms(program, FINE, ()) == {}
    assert set(non_finite_terms(program, NEGATIVE, ())) == {"waits"}
    assert not np.isfinite(non_finite_terms(program, NEGATIVE, ())["waits"])
    assert set(non_finite_terms(program, FAR, ())) == {"waits", "ridge"}
    assert np.isnan(non_finite_terms(program, FAR, ())["ridge"])


def test_the_first_value_that_is_not_finite_is_told() -> None:
    with pm.Model() as model:
        scale = pm.Flat("scale")
        pm.Normal("y", 0, scale, observed=[0.0, np.inf, 1.0])
    found = non_finite_terms(compile_program(model), FINE, ())
    assert found == {"y": -np.inf}


def test_a_start_that_is_fine(program: Program) -> None:
    check_start(program, FINE, ())


def test_a_start_that_is_not_finite(program: Program) -> None:
    with pytest.raises(
        ValueError, match=r"finite where the fit starts, got (nan|-inf) from 'waits'.\nHint: check"
    ):
        check_start(program, NEGATIVE, ())
    with pytest.raises(ValueError, match=r"got (nan|-inf) from 'waits', nan from 'ridge'.\nHint"):
        check_start(program, FAR, ())


def test_a_divergence_names_the_step_and_the_variables(program: Program) -> None:
    error = divergence_error(program, 17, [FINE, FAR], ())
    assert isinstance(error, DivergenceError)
    with pytest.raises(
        DivergenceError, match=r"from 'waits', nan from 'ridge' at step 17.\nHint: lower the"
    ):
        raise error


def test_a_divergence_where_the_density_is_finite(program: Program) -> None:
    with pytest.raises(
        FloatingPointError, match=r"a gradient that is not finite near \[1\.\] at step 3.\nHint"
    ):
        raise divergence_error(program, 3, [FINE], ())


def test_a_start_with_a_density_is_looked_for() -> None:
    rows = np.array([1.0, 2.0, 3.0])
    with pm.Model() as model:
        spread = pm.Normal("spread", 0, 10, shape=2)
        pm.Normal("y", 0, spread[0] + spread[1] * rows, observed=rows)
    program = compile_program(model)
    inputs = program.data_values()
    assert non_finite_terms(program, program.start(1), inputs)
    found = find_start(program, 1, inputs)
    assert not non_finite_terms(program, found, inputs)
    np.testing.assert_array_equal(found, find_start(program, 1, inputs))


def test_no_start_with_a_density() -> None:
    with pm.Model() as model:
        pm.Exponential("y", pm.HalfNormal("rate"), observed=[-1.0, 1.0])
    program = compile_program(model)
    with pytest.raises(ValueError, match="must be finite where the fit starts, got -inf from 'y'"):
        find_start(program, 1, program.data_values())


def test_data_that_pymc_checks_as_parameters() -> None:
    with pm.Model() as model:
        chances = pm.Dirichlet("chances", np.ones(3))
        pm.Multinomial("y", n=5, p=chances, observed=[[1, 2, 2], [1, 2, 3]])
    program = compile_program(model)
    with pytest.raises(ValueError, match="must be finite where the fit starts, got -inf from 'y'"):
        find_start(program, 1, program.data_values())
