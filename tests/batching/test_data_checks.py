"""Checks of the data of a model: imputed values, alignment and scale of minibatches, integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.batching import batched
from bayou.batching.data_checks import check_imputed_values, check_integers, check_minibatches
from bayou.density.build import compile_program
from bayou.density.program import Program
from bayou.fitting import fit
from bayou.nuts import sample as nuts

pytestmark = pytest.mark.filterwarnings("ignore::pymc.exceptions.ImputationWarning")
HINT = '\nHint: leave such rows out, missing="drop", or observe them as a variable with a prior'


def of_mean(x: Any) -> None:
    pm.Normal("y", pm.Normal("slope") * x, 1, observed=np.arange(4.0), dims="row")


def of_mean_and_observed(x: Any) -> None:
    pm.Normal("y", pm.Normal("slope") * x, 1, observed=x, dims="row")


def of_a_potential(x: Any) -> None:
    pm.Potential("y", -((pm.Normal("slope") - x) ** 2), dims="row")


def of_what_is_computed_and_observed(x: Any) -> None:
    pm.Normal("y", pm.Normal("slope"), 1, observed=x * 2, dims="row")


def of_a_deterministic_between(x: Any) -> None:
    mean = pm.Deterministic("mean", pm.Normal("slope") * x, dims="row")
    pm.Normal("y", mean, 1, observed=np.arange(4.0), dims="row")


COMPUTED = [
    of_mean,
    of_mean_and_observed,
    of_a_potential,
    of_what_is_computed_and_observed,
    of_a_deterministic_between,
]
RUNS: dict[str, Callable[[pm.Model], Any]] = {
    "fit": lambda model: by.fit(model=model, progressbar=False),
    "fit in batches": lambda model: by.fit(model=model, batch_size=2, progressbar=False),
    "sample": lambda model: by.sample(model=model, progressbar=False),
    "batched": lambda model: by.batched(model, batch_size=2),
}


def with_missing(
    write: Callable[[Any], None], values: Any = (0.0, None, 2.0, 3.0), **options: Any
) -> pm.Model:
    with pm.Model(**options) as model:
        write(by.Data("x", {"x": list(values)}, columns="x", dims="row", missing="impute"))
    return model


class CompilesError(BaseException):
    """Is no Exception, so that it passes what takes errors of compilation."""


@pytest.fixture(autouse=True)
def compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise CompilesError

    for module, name in (
        (fit, "compile_program"),
        (fit, "batched_program"),
        (fit, "program_of_rows"),
        (nuts, "compiled_density"),
        (batched, "compile_program"),
    ):
        monkeypatch.setattr(module, name, refuse)


@pytest.mark.parametrize("write", COMPUTED)
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_missing_values_that_the_model_computes_with(
    run: Callable[[pm.Model], Any], write: Callable[[Any], None]
) -> None:
    message = "^`missing=\"impute\"` must be for data that are only observed, got 'x', which the "
    with pytest.raises(ValueError, match=message + "model also computes with." + HINT):
        run(with_missing(write))


@pytest.mark.parametrize("write", COMPUTED)
def test_without_missing_values_nothing_is_refused(write: Callable[[Any], None]) -> None:
    check_imputed_values(with_missing(write, range(4)))


def test_what_is_observed_alone_is_imputed() -> None:
    def of_observed(x: Any) -> None:
        # The length of the container is no value of it, nor is what is no part of the density.
        rows = pm.Normal("rows", 0, 1, dims="row")
        pm.Normal("more", 0, 1 / x.shape[0], shape=x.shape)
        observed = pm.Normal("z", rows, 1, observed=x, dims="row")
        pm.Normal("y", pm.Normal("slope") * observed, 1, observed=np.arange(4.0), dims="row")
        pm.Deterministic("unused", x * 2, dims="row")

    for options in ({}, {"name": "named"}):
        check_imputed_values(with_missing(of_observed, **options))
    check_imputed_values(with_missing(lambda x: pm.Normal("alone")))


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("name", ["", "shop"])
def test_missing_whole_numbers(run: Callable[[pm.Model], Any], name: str) -> None:
    def count(sold: Any) -> None:
        pm.Poisson("sold", pm.Exponential("rate", 1), observed=sold, dims="row")

    full_name = "shop::sold" if name else "sold"
    message = (
        f"^`model` must have only continuous free variables, but missing values of '{full_name}' "
        'are imputed, and are whole numbers.\nHint: leave their rows out, by.Data.*missing="drop"'
    )
    with pytest.raises(TypeError, match=message):
        run(with_missing(count, name=name))


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_what_feeds_a_model_is_no_reason_to_compile(run: Callable[[pm.Model], Any]) -> None:
    # The fixture raises where something is compiled, so that the tests above would see it.
    with pytest.raises(CompilesError):
        run(with_missing(of_mean, range(4)))


Y = np.arange(12.0)


def in_minibatches(
    x: Any = None, y: Any = None, *, total_size: int | None = 12
) -> tuple[pm.Model, Program]:
    y = by.Minibatch(Y, 4) if y is None else y
    with pm.Model() as model:
        mean = pm.Normal("slope") * (1.0 if x is None else x)
        pm.Normal("y", mean, 1, observed=y, total_size=total_size)
    return model, compile_program(model)


def test_aligned_and_scaled_minibatches_pass() -> None:
    check_minibatches(*in_minibatches(by.Minibatch(2 * Y, 4)), "epoch")
    check_minibatches(*in_minibatches(by.Minibatch(2 * Y, 4)), "uniform")


def test_minibatches_of_one_seed_are_of_one_length() -> None:
    model, program = in_minibatches(by.Minibatch(Y[:8], 4))
    message = r"^Minibatches of one size and seed must be of data of one length, got \d+ and "
    with pytest.raises(ValueError, match=message):
        check_minibatches(model, program, "epoch")
    check_minibatches(*in_minibatches(by.Minibatch(Y[:8], 4, random_seed=7)), "epoch")


def test_batches_of_an_epoch_have_no_row_twice() -> None:
    model, program = in_minibatches(y=by.Minibatch(Y, 13))
    with pytest.raises(ValueError, match=r'with order="epoch", got 13 for 12 .*\nHint: in this'):
        check_minibatches(model, program, "epoch")
    check_minibatches(model, program, "uniform")


@pytest.mark.filterwarnings("ignore:total_size not provided")
def test_observed_minibatches_have_a_total_size() -> None:
    model, program = in_minibatches(total_size=None)
    message = r"^`total_size` must be given for 'y', which observes a minibatch, got none\.\nHint"
    with pytest.raises(ValueError, match=message):
        check_minibatches(model, program, "epoch")


def test_the_total_size_of_a_window_is_that_of_its_source() -> None:
    source = by.source({"y": Y})
    for total_size in (12, 10):
        batch = by.Minibatch(source["y"], 4, in_memory_size=6)
        model, program = in_minibatches(y=batch, total_size=total_size)
        if total_size == 12:
            check_minibatches(model, program, "epoch")
        else:
            message = r"`total_size` of 'y' must be .* of its source, 12, got 10\.\nHint: pass"
            with pytest.raises(ValueError, match=message):
                check_minibatches(model, program, "epoch")


def test_minibatches_of_one_source_are_sampled_alike() -> None:
    source = by.source({"x": Y, "y": Y})
    x = by.Minibatch(source["x"], 4, random_seed=1)
    model, program = in_minibatches(x, by.Minibatch(source["y"], 4, random_seed=2))
    with pytest.raises(ValueError, match=r"one batch_size and random_seed, got others.*\nHint:"):
        check_minibatches(model, program, "epoch")


def test_an_order_needs_batches() -> None:
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu"), 1, observed=Y)
    program = compile_program(model)
    check_minibatches(model, program, "epoch")
    for order, name in (("uniform", "'uniform'"), (by.Weighted(np.ones(12)), "'Weighted'")):
        with pytest.raises(ValueError, match=rf"^`order` must come .*, got {name} for a .*\nHint"):
            check_minibatches(model, program, order)


def test_weights_need_one_likelihood_of_rows() -> None:
    weighted = by.Weighted(np.ones(12))
    check_minibatches(*in_minibatches(by.Minibatch(2 * Y, 4)), weighted)
    model, program = in_minibatches(by.Minibatch(2 * Y, 4, random_seed=7))
    with pytest.raises(ValueError, match=r"^`order` must be by name unless .*Weighted\.\nHint"):
        check_minibatches(model, program, weighted)


def test_integers_need_no_check_in_64_bits() -> None:
    check_integers(in_minibatches(by.Minibatch(np.arange(12) + 2**40, 4))[1])


def test_integers_beyond_32_bits_are_refused_in_32() -> None:
    _, fitting = in_minibatches(by.Minibatch(np.arange(12), 4))
    _, large = in_minibatches(by.Minibatch(np.arange(12) + 2**40, 4, name="ids"))
    source = by.source({"ids": np.arange(12)})
    _, window = in_minibatches(by.Minibatch(source["ids"], 4, in_memory_size=6, name="ids"))
    with jax.enable_x64(False):
        check_integers(fitting)
        with pytest.raises(ValueError, match=r"need 64 bits, got 1099.* in 'ids'\.\nHint: number"):
            check_integers(large)
        with pytest.raises(ValueError, match=r"`floatX` must .* for int64 of which a part is in m"):
            check_integers(window)
