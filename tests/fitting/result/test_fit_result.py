"""What a fit tells of itself: k-hat, its evidence lower bound, a summary, a picture and a line."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import pytest
from scipy import stats

import bayou as by

DATA = np.random.default_rng(0).normal(2.0, 1.0, size=200)
PRIOR = 3.0
# The exact posterior of a normal mean, and the exact evidence.
PRECISION = 1 / PRIOR**2 + len(DATA)
MEAN, STD = DATA.sum() / PRECISION, PRECISION**-0.5
EVIDENCE = stats.multivariate_normal(
    np.zeros(len(DATA)), np.eye(len(DATA)) + PRIOR**2 * np.ones((len(DATA), len(DATA)))
).logpdf(DATA)


def normal_model(observed: Any) -> pm.Model:
    with pm.Model() as model:
        mu = pm.Normal("mu", 0, PRIOR)
        pm.Normal("y", mu, 1, observed=observed, total_size=len(DATA))
    return model


def fit_of(observed: Any, n: Any = 2000) -> by.Fit:
    return by.fit(n, model=normal_model(observed), random_seed=1, progressbar=False)


@pytest.fixture(scope="module")
def stochastic() -> by.Fit:
    return fit_of(by.Minibatch(DATA, 50))


@pytest.fixture(scope="module")
def pair() -> by.Fit:
    """Independent normals for a pair that is strongly correlated."""
    covariance = [[1, 0.99], [0.99, 1]]
    with pm.Model(coords={"side": ["left", "right"]}) as model:
        pm.MvNormal("pair", np.array([1.0, -1.0]), covariance, dims="side")
        pm.HalfNormal("scale")
    return by.fit(1500, "advi", model=model, correction=None, random_seed=1, progressbar=False)


def test_khat_tells_a_good_fit_from_a_poor_one(stochastic: by.Fit, pair: by.Fit) -> None:
    assert stochastic.khat(random_seed=1) < 0.5
    assert pair.khat(random_seed=1) > 0.7
    assert pair.khat(random_seed=1) == pair.khat(random_seed=1)
    assert pair.khat(random_seed=1) != pair.khat(random_seed=2)


def test_the_elbo_of_an_exact_fit_is_the_evidence(stochastic: by.Fit) -> None:
    # Minibatches leave the last hundredth of a standard deviation to chance, this does not.
    exact = fit_of(DATA, "auto").elbo_estimate(random_seed=1)
    assert exact.value == pytest.approx(EVIDENCE, abs=4 * exact.error + 1e-6)
    near = stochastic.elbo_estimate(4000, random_seed=1)
    assert EVIDENCE - 0.5 < near.value < EVIDENCE + 4 * near.error


def test_the_elbo_is_of_the_data_as_they_are_now() -> None:
    with pm.Model():
        y = by.Data("y_data", DATA, dims="row")
        mu = pm.Normal("mu", 0, PRIOR)
        pm.Normal("y", mu, 1, observed=y, dims="row")
        fit = by.fit(random_seed=1, progressbar=False)
        before = fit.elbo_estimate(random_seed=1).value
        by.set_data({"y_data": DATA[:50] + 1})
    now = fit.elbo_estimate(random_seed=1).value
    assert before == pytest.approx(EVIDENCE, abs=1e-3)
    draws = stats.norm(MEAN, STD).rvs(4000, random_state=1)
    likelihood = stats.norm.logpdf(DATA[:50, None] + 1, draws, 1).sum(axis=0)
    prior = stats.norm.logpdf(draws, 0, PRIOR)
    assert now == pytest.approx(
        (likelihood + prior).mean() + stats.norm(MEAN, STD).entropy(), abs=1
    )


def test_all_rows_are_needed() -> None:
    fit = fit_of(by.generator(iter([DATA] * 300)), 20)
    with pytest.raises(
        ValueError, match=r"`khat` must have .* got none, since the rows come from a gen"
    ):
        fit.khat()
    with pytest.raises(ValueError, match=r"`elbo_estimate` must have the density of all rows"):
        fit.elbo_estimate()


def test_summary(pair: by.Fit) -> None:
    table = pair.summary(random_seed=1)
    assert list(table.index) == ["pair[left]", "pair[right]", "scale"]
    assert list(table.columns) == ["mean", "sd", "eti89_lb", "eti89_ub"]
    # Independent normals take the sd that a pair has given its other half.
    sd = np.sqrt(1 - 0.99**2)
    np.testing.assert_allclose(table["sd"][:2].astype(float), sd, rtol=0.1)
    np.testing.assert_allclose(table["mean"][:2].astype(float), [1, -1], atol=0.5)
    assert float(table["eti89_lb"]["scale"]) > 0
    assert list(pair.summary(10, var_names="scale").index) == ["scale"]
    assert list(pair.summary(10, var_names=["scale"]).index) == ["scale"]


def test_summary_of_an_exact_fit() -> None:
    fit = fit_of(DATA, "auto")
    table = fit.summary(random_seed=1)
    assert table.attrs["verdict"] == "good"
    errors = fit.verdict.errors.loc["mu", ["mean", "sd", "q5", "q95"]]
    shown = table.loc["mu", ["mean_error", "sd_error", "q5_error", "q95_error"]]
    np.testing.assert_allclose(shown.astype(float), errors, atol=6e-4)
    assert float(table["mean"]["mu"]) == pytest.approx(MEAN, abs=0.1 * STD)
    assert float(table["sd"]["mu"]) == pytest.approx(STD, rel=0.05)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda fit: fit.khat(99), "`draws` must be a whole number of at least 100, got 99.\nH"),
        (lambda fit: fit.elbo_estimate(1), "`draws` must be a whole number of at least 2, got 1"),
        (lambda fit: fit.summary(1), "`draws` must be a whole number of at least 2, got 1.\nH"),
        (
            lambda fit: fit.summary(var_names="mue"),
            r"`var_names` must be among \['mu'\], got \['mue'\].\nHint",
        ),
    ],
)
def test_wrong_arguments(stochastic: by.Fit, call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call(stochastic)


def test_plot_of_a_stochastic_fit(pair: by.Fit, tmp_path: Path) -> None:
    from matplotlib import pyplot as plt

    figure = pair.plot()
    elbo, paths = figure.axes
    assert [elbo.get_ylabel(), elbo.get_xlabel()] == ["nats", "step"]
    steps, chunks = elbo.get_lines()
    np.testing.assert_array_equal(steps.get_ydata(), pair.elbo)
    assert pair.approximation.path_steps is not None
    first = pair.elbo[: pair.approximation.path_steps[0]]
    assert chunks.get_ydata()[0] == pytest.approx(first.mean())
    names = [text.get_text() for text in paths.get_legend().get_texts()]
    assert names == ["pair[left]", "pair[right]", "scale_log__"]
    # The rate is constant for the first half, and is halved six times before the end.
    assert len(elbo.patches) == 7
    figure.savefig(tmp_path / "fit.png")
    assert (tmp_path / "fit.png").read_bytes().startswith(b"\x89PNG")
    plt.close(figure)


def test_plot_of_a_deterministic_fit() -> None:
    from matplotlib import pyplot as plt

    fit = fit_of(DATA, "auto")
    figure = fit.plot()
    [elbo] = figure.axes
    np.testing.assert_array_equal(elbo.get_lines()[0].get_ydata(), fit.elbo)
    assert len(elbo.patches) == 0
    plt.close(figure)


def test_the_path_of_many_elements_keeps_those_that_moved_most() -> None:
    from matplotlib import pyplot as plt

    with pm.Model() as model:
        pm.Normal("a", shape=(7, 30))
    fit = by.fit(600, "advi", model=model, random_seed=1, progressbar=False)
    path = fit.approximation.path
    assert path is not None
    assert path.shape == (2, 20)
    np.testing.assert_array_equal(fit.approximation.path_steps, [450, 600])
    figure = fit.plot()
    lines = figure.axes[1].get_lines()[:20]
    elements = fit.approximation.path_elements
    assert elements is not None
    expected = [f"a[{element // 30}, {element % 30}]" for element in elements]
    assert [line.get_label() for line in lines] == expected
    assert figure.axes[1].get_legend() is None
    plt.close(figure)


def test_the_path_ends_at_the_final_mean(stochastic: by.Fit) -> None:
    path = stochastic.approximation.path
    assert path is not None
    assert np.abs(path[-1]).max() < 0.5


def test_plot_without_matplotlib(stochastic: by.Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"matplotlib, which is not installed.\nHint: pip"):
        stochastic.plot()


def test_repr(stochastic: by.Fit) -> None:
    assert repr(stochastic) == (
        "Fit(MeanField(), steps=2000, passes=503.0, converged=None, "
        "reason='2000 steps were asked for', correction='linear_response')"
    )
