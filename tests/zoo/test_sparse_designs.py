"""Models of sparse matrices: each verb gives what it gives for the dense ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.sparse
import pytest
import scipy.sparse

import bayou as by
from bayou.containers.sparse import padded_rows
from bayou.density.build import compile_program
from bayou.many.data_sets.pending import seed_of
from bayou.nuts.term_densities import term_densities

NUM_ROWS, NUM_COLUMNS = 60, 4
RANDOM = np.random.default_rng(1)
MATRIX = scipy.sparse.random(NUM_ROWS, NUM_COLUMNS, 0.5, "csr", random_state=2)
LATE = RANDOM.random(NUM_ROWS) < 1 / (1 + np.exp(-(MATRIX @ [2.0, -1.0, 0.5, 1.0])))
NEW = scipy.sparse.random(25, NUM_COLUMNS, 0.7, "csr", random_state=3)


def logistic(of_matrix: Callable[[Any], Any], x: Any) -> pm.Model:
    """Return a logistic regression of a matrix, as a container or in whatever way."""
    with pm.Model(coords={"feature": ["a", "b", "c", "d"]}) as model:
        matrix = of_matrix(x)
        late = by.Data("late", LATE.astype(int), dims="row")
        b = pm.Normal("b", dims="feature")
        pm.Deterministic("logit", matrix @ b, dims="row")
        pm.Bernoulli("obs", logit_p=model["logit"], observed=late, dims="row")
    return model


@cache
def model_of(kind: str) -> pm.Model:
    dims = ("row", "feature")
    kinds: dict[str, Callable[[], Any]] = {
        "dense": lambda: by.Data("x", MATRIX.toarray(), dims=dims),
        "csr": lambda: by.Data("x", MATRIX, dims=dims),
        "csr_array": lambda: by.Data("x", scipy.sparse.csr_array(MATRIX), dims=dims),
        "coo": lambda: by.Data("x", MATRIX.tocoo(), dims=dims),
        "pm.Data": lambda: pm.Data("x", MATRIX, dims=dims),
        "pm.Data csc": lambda: pm.Data("x", MATRIX.tocsc(), dims=dims),
        "constant": lambda: pytensor.sparse.as_sparse_variable(MATRIX),
    }
    return logistic(lambda _: kinds[kind](), None)


def assert_same_fit(fit: by.Fit, dense: by.Fit) -> None:
    np.testing.assert_allclose(fit.mean["b"], dense.mean["b"], rtol=1e-8)
    np.testing.assert_allclose(fit.std["b"], dense.std["b"], rtol=1e-8)


@cache
def fit_of(kind: str, batch_size: int | None) -> by.Fit:
    options: dict[str, Any] = {} if batch_size is None else {"batch_size": batch_size, "n": 100}
    return by.fit(model=model_of(kind), random_seed=1, progressbar=False, **options)


@pytest.mark.parametrize("kind", ["csr", "csr_array", "coo", "pm.Data", "pm.Data csc", "constant"])
def test_fits(kind: str) -> None:
    assert_same_fit(fit_of(kind, None), fit_of("dense", None))


@pytest.mark.parametrize("kind", ["csr", "pm.Data csc", "constant"])
def test_fits_in_batches(kind: str) -> None:
    assert_same_fit(fit_of(kind, 20), fit_of("dense", 20))


def test_no_dense_matrix_is_in_the_program() -> None:
    for model in (model_of("csr"), model_of("pm.Data"), model_of("constant")):
        program = compile_program(model)
        shapes = [value.shape for value in program.data_values() if value.ndim == 2]
        assert shapes == [(NUM_ROWS, np.diff(MATRIX.indptr).max())] * 2


@pytest.mark.parametrize("kind", ["csr", "pm.Data"])
def test_predictions(kind: str) -> None:
    fit, dense = (fit_of(each, None) for each in (kind, "dense"))
    names = ["logit", "obs"]
    predicted = by.predict(fit, {"x": NEW}, model=model_of(kind), var_names=names, random_seed=1)
    expected = by.predict(
        dense, {"x": NEW.toarray()}, model=model_of("dense"), var_names=names, random_seed=1
    )
    for name in names:
        np.testing.assert_allclose(predicted.predictions[name], expected.predictions[name])


def test_description_and_verification() -> None:
    model, fit = model_of("csr"), fit_of("csr", None)
    description = by.describe(model).to_frame().loc["x"]
    assert description["shape"] == (NUM_ROWS, NUM_COLUMNS)
    assert description["dims"] == ("row", "feature")
    assert by.verify(fit, model=model)
    # The format does not count; the values do.
    of_coo = by.describe(model_of("coo")).to_frame().loc["x"]
    assert of_coo["fingerprint"] == description["fingerprint"]
    other = MATRIX.copy()
    other.data[0] += 1
    with logistic(lambda x: by.Data("x", x, dims=("row", "feature")), other) as changed:
        assert by.describe().to_frame().loc["x", "fingerprint"] != description["fingerprint"]
        assert not by.verify(fit, model=changed)


def test_new_data() -> None:
    models = {
        "sparse": logistic(lambda x: by.Data("x", x, dims=("row", "feature")), MATRIX),
        "dense": logistic(lambda x: by.Data("x", x, dims=("row", "feature")), MATRIX.toarray()),
    }
    late = RANDOM.integers(0, 2, 25)
    fits = []
    for model in models.values():
        fits.append(by.fit(model=model, random_seed=1, progressbar=False))
        new = NEW if model is models["sparse"] else NEW.toarray()
        by.set_data({"x": new, "late": late}, model=model)
        assert model.dim_lengths["row"].eval() == 25
        fits.append(by.fit(model=model, random_seed=1, progressbar=False))
    assert_same_fit(fits[0], fits[2])
    assert_same_fit(fits[1], fits[3])


def test_batched_models_have_the_same_density() -> None:
    densities = []
    for kind in ("csr", "dense"):
        model = by.batched(model_of(kind), batch_size=20)
        densities.append(model.compile_logp()({"b": np.ones(NUM_COLUMNS)}))
    assert densities[0] == pytest.approx(densities[1])


def test_a_container_holds_a_copy() -> None:
    matrix = MATRIX.copy()
    with pm.Model():
        container = by.Data("x", matrix)
    matrix.data[:] = 0
    assert container.get_value().sum() == MATRIX.sum()


def test_what_new_data_must_be() -> None:
    with pm.Model() as model:
        by.Data("x", MATRIX)
        dense = by.Data("dense", MATRIX.toarray())
    by.set_data({"x": MATRIX.toarray()[:5]}, model=model)
    assert (model["x"].get_value() != MATRIX[:5]).nnz == 0
    with pytest.raises(TypeError, match=r"`new_data\['dense'\]` must be dense here.*\nHint: "):
        by.set_data({"dense": MATRIX}, model=model)
    with pytest.raises(ValueError, match=r"two axes as a sparse matrix, got"):
        by.set_data({"x": np.zeros(4)}, model=model)
    assert dense.get_value().shape == MATRIX.shape


@pytest.mark.parametrize(
    "take",
    [
        by.source,
        lambda matrix: by.source({"x": matrix, "y": LATE}),
        by.inspect,
        lambda matrix: by.Minibatch(matrix, 8),
        lambda matrix: by.Data("x", {"x": matrix}, columns="x", model=pm.Model()),
        lambda matrix: by.predict(fit_of("dense", None), {"x": matrix}, model=model_of("dense")),
    ],
)
def test_what_takes_dense_rows_alone(take: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"must be dense here, got a csr_matrix\.\nHint: a sparse"):
        take(MATRIX)


def test_sparse_frames() -> None:
    names = ["a", "b", "c", "d"]
    frame = pd.DataFrame.sparse.from_spmatrix(MATRIX, columns=names)
    with pm.Model() as model:
        x = by.Data("x", frame, dims=("row", "feature"), export_index_as_coords=True)
        with pytest.warns(UserWarning, match=r"`columns` makes the 2 sparse .* 'z' dense\.\nHint"):
            z = by.Data("z", frame, columns=["a", "b"])
    assert (x.get_value() != MATRIX).nnz == 0
    assert model.coords["feature"] == tuple(names)
    assert z.get_value().shape == (NUM_ROWS, 2)
    by.set_data({"x": frame[:9]}, model=model)
    assert (x.get_value() != MATRIX[:9]).nnz == 0


def test_neighbours_of_a_distribution() -> None:
    neighbors = np.eye(4, k=1) + np.eye(4, k=-1)
    densities = []
    for matrix in (
        neighbors,
        pytensor.sparse.as_sparse_variable(scipy.sparse.csr_matrix(neighbors)),
    ):
        with pm.Model() as model:
            effect = pm.CAR("effect", np.zeros(4), matrix, pm.Uniform("a", 0.1, 0.9), 1.0)
            pm.Normal("y", effect, 1, observed=np.arange(4.0))
        terms = term_densities(model, [np.array(0.2), np.arange(4.0)])
        densities.append({name: term.sum() for name, term in terms.items()})
    assert densities[0] == pytest.approx(densities[1])


def test_very_uneven_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(padded_rows, "FREE_ENTRIES", 0)
    monkeypatch.setattr(padded_rows, "MOST_PADDING", 1)
    container = logistic(lambda x: by.Data("x", x, dims=("row", "feature")), MATRIX)
    refused = r"rows of the sparse .* must have about the same number of .*\nHint: all"
    for model in (container, logistic(pytensor.sparse.as_sparse_variable, MATRIX.copy())):
        with pytest.raises(ValueError, match=refused):
            by.fit(model=model, progressbar=False)
    # A constant is left to PyTensor where its own operations take it.
    constant = pytensor.sparse.as_sparse_variable(MATRIX.copy())
    with pm.Model(coords={"feature": ["a", "b", "c", "d"]}) as model:
        b = pm.Normal("b", dims="feature")
        logit = pytensor.sparse.structured_dot(constant, b[:, None])[:, 0]
        pm.Bernoulli("obs", logit_p=logit, observed=LATE.astype(int))
    fit = by.fit(model=model, random_seed=1, progressbar=False)
    assert_same_fit(fit, fit_of("dense", None))


def test_rows_on_the_second_axis_are_refused() -> None:
    with pm.Model() as model:
        x = by.Data("x", MATRIX.T.tocsr(), dims=("feature", "row"))
        b = pm.Normal("b", dims="feature")
        late = by.Data("late", LATE.astype(int), dims="row")
        pm.Bernoulli("obs", logit_p=b @ x, observed=late, dims="row")
    with pytest.raises(ValueError, match=r"rows of batches on its first axis, got 'x' .*\nHint: "):
        by.fit(model=model, batch_size=5, progressbar=False)


def test_what_would_be_dense_is_refused() -> None:
    with pm.Model() as model:
        x = by.Data("x", MATRIX)
        b = pm.Normal("b", shape=NUM_COLUMNS)
        pm.Normal("obs", pm.math.exp(x.toarray()) @ b, 1, observed=np.zeros(NUM_ROWS))
    with pytest.raises(TypeError, match=r"must use a sparse matrix .*of 'x'\.\nHint: "):
        by.fit(model=model, progressbar=False)
    with model, pytest.raises(TypeError, match=r"must use a sparse matrix .*of 'x'\.\nHint: "):
        by.sample(progressbar=False)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csr", "pm.Data", "constant"])
def test_nuts(kind: str) -> None:
    draws = []
    for each in (kind, "dense"):
        with model_of(each):
            tree = by.sample(draws=50, tune=50, chains=2, random_seed=1, progressbar=False)
        draws.append(tree.posterior["b"].values)
    # Rounding grows with the number of steps.
    np.testing.assert_allclose(draws[0], draws[1], rtol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayou.errors.ConvergenceWarning")
def test_many_data_sets() -> None:
    random = np.random.default_rng(5)
    matrices = [
        scipy.sparse.random(30 + i, NUM_COLUMNS, 0.6, "csr", random_state=i) for i in range(3)
    ]
    outcomes = [random.integers(0, 2, 30 + i) for i in range(3)]
    data_sets = {
        kind: {
            f"set {i}": {"x": x if kind == "csr" else x.toarray(), "late": outcomes[i]}
            for i, x in enumerate(matrices)
        }
        for kind in ("csr", "dense")
    }
    sparse, dense = (
        by.fit_many(sets, model=model_of(kind), random_seed=1, progressbar=False).posterior["b"]
        for kind, sets in data_sets.items()
    )
    each_mean = {"dim": ("chain", "draw")}
    np.testing.assert_allclose(sparse.mean(**each_mean), dense.mean(**each_mean), rtol=1e-3)
    # Each has the draws that it has alone; `test_nuts` compares these with those of dense ones.
    settings = {"draws": 50, "tune": 50, "chains": 2, "progressbar": False}
    model = model_of("csr")
    tree = by.sample_many(data_sets["csr"], model=model, random_seed=1, **settings)
    assert (tree["diagnostics"]["error"] == "").all()
    for key, values in data_sets["csr"].items():
        with model:
            by.set_data(values)
            alone = by.sample(random_seed=seed_of(key, 1), **settings)
        found = tree.posterior["b"].sel(dataset=key).values
        np.testing.assert_array_equal(found, alone.posterior["b"].values)
