"""Whole models of the gallery's kinds: fits against NUTS, batches, predictions and provenance."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.batching.batched import batched_program
from tests.zoo.make_posteriors import FOLDER, all_models
from tests.zoo.whole_models import FITTED, OUTCOMES, SAMPLED, Outcome

pytestmark = pytest.mark.slow
QUIET = {"random_seed": 1, "progressbar": False}


def model_of(name: str) -> pm.Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that PyMC imputes
        return all_models()[name]()


def distances(name: str, tree: Any) -> tuple[float, float]:
    """Return the largest distances of means and sds from those of NUTS, as an Outcome has them."""
    truth = json.loads((FOLDER / f"{name}.json").read_text())["variables"]
    means, sds = [0.0], [0.0]
    for variable, moments in truth.items():
        mean, sd = np.asarray(moments["mean"]), np.asarray(moments["sd"])
        varies = sd > 1e-9 * (1 + np.abs(mean))
        draws = tree.posterior[variable]
        found_mean, found_sd = draws.mean(("chain", "draw")), draws.std(("chain", "draw"))
        means += list(np.abs(found_mean.to_numpy() - mean)[varies] / sd[varies])
        sds += list(np.abs(found_sd.to_numpy()[varies] / sd[varies] - 1))
    return max(means), max(sds)


def refused(words: str | None, call: Any) -> Any:
    """Return what a call returns; None if it is refused, with the words and a hint."""
    if words is None:
        return call()
    with pytest.raises((TypeError, ValueError), match=rf"(?s){words}.*\nHint: "):
        call()
    return None


def test_table_has_all_models() -> None:
    assert set(OUTCOMES) == set(all_models())
    compared = {name for name, outcome in OUTCOMES.items() if outcome.means}
    assert compared | set(SAMPLED) <= {path.stem for path in FOLDER.glob("*.json")}


@pytest.mark.parametrize("name", FITTED)
def test_fit(name: str) -> None:
    outcome, model = OUTCOMES[name], model_of(name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", by.ConvergenceWarning)
        fit = refused(outcome.fit, lambda: by.fit(model=model, **QUIET))
    said = " ".join(str(warning.message) for warning in caught)
    assert outcome.warns in said if outcome.warns else not said
    if fit is None:
        return
    assert by.verify(fit, model).matches
    if outcome.means is not None and outcome.sds is not None:
        means, sds = distances(name, fit.sample(4000, random_seed=1))
        assert means < outcome.means
        assert sds < outcome.sds
    check_predictions(outcome, model, fit)


def check_predictions(outcome: Outcome, model: pm.Model, fit: Any) -> None:
    data = {variable.name: variable.get_value() for variable in model.data_vars}
    tree = refused(outcome.predict, lambda: by.predict(fit, data, draws=20, **QUIET))
    if tree is not None:
        for variable in model.observed_RVs:
            found = tree["predictions"][variable.name]
            assert found.shape[2:] == tuple(model.rvs_to_values[variable].shape.eval())
            assert np.isfinite(found).all()


@pytest.mark.parametrize("name", OUTCOMES)
def test_batches_and_description(name: str) -> None:
    outcome, model = OUTCOMES[name], model_of(name)
    assert by.describe(model).containers
    refused(outcome.batches, lambda: batched_program(model, 10, None, validate=True))


# Funnels diverge, and are warned of.
@pytest.mark.filterwarnings("ignore:The draws are doubtful")
@pytest.mark.parametrize("name", SAMPLED)
def test_sample(name: str) -> None:
    # An effective size of about 1,000 and more: standard errors of 0.03 sd in some 50 means.
    model = model_of(name)
    # JAX compiles loops in a second, Numba in 30 (on two cores).
    backend = "jax" if name == "hidden_markov" else "auto"
    drawn = by.sample(1000, tune=500, chains=2, model=model, backend=backend, **QUIET)
    means, sds = distances(name, drawn)
    assert means < 0.25
    assert sds < 0.2
