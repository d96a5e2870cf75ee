"""by.sample: exact posteriors for data of any length from one compilation, and clear refusals."""

import signal
import threading
from contextlib import nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import arviz_stats
import cloudpickle
import numpy as np
import nutpie
import pyarrow as pa
import pymc as pm
import pytensor
import pytest
import scipy.stats
import xarray as xr
from numba.core.event import RecordingListener, install_listener
from threadpoolctl import threadpool_info, threadpool_limits

import bayou as by
from bayou.cluster.cores import usable_cores
from bayou.nuts import sample as nuts

# Short runs are doubtful now and then, which is no matter here.
pytestmark = pytest.mark.filterwarnings("ignore:The draws are doubtful")


@dataclass
class Case:
    """A compiled model and the shared variables in it that are no containers."""

    model: pm.Model
    offset: Any
    weights: tuple[Any, ...]


@pytest.fixture(scope="module")
def compiled_case() -> Case:
    """Return a model of a mean with all that depends on the data's length, sampled once."""
    offset = pytensor.shared(np.array(0.0))
    weights = (
        pytensor.shared(np.array([1, 2], dtype="int8"), name="weights"),
        pytensor.shared(np.array([[True, False], [True, True]]), name="weights"),
        pytensor.shared(np.array(0.5, dtype="float32"), name="weights"),
    )
    with pm.Model() as model:
        data = by.Data("data", np.zeros(3), dims="row", coords={"row": ["a", "b", "c"]})
        mu = pm.Normal("mu", 0, 10)
        pm.HalfNormal("scale")
        pm.Normal("effect", data, 1, dims="row")
        pm.Deterministic("residual", data - mu, dims="row")
        pm.Deterministic("positive", mu > 0)
        pm.Deterministic("weighted", mu * (weights[0] * weights[1]).sum() * weights[2])
        pm.Normal("y", mu + offset, 1, observed=data, dims="row")
    sample(model, draws=1, tune=1)
    return Case(model, offset, weights)


@pytest.fixture
def case(compiled_case: Case) -> Case:
    """Return the compiled model with its first data."""
    by.set_data(
        {"data": [1.0, 2.0, 3.0]}, coords={"row": ["a", "b", "c"]}, model=compiled_case.model
    )
    compiled_case.offset.set_value(np.array(0.0))
    return compiled_case


def sample(model: pm.Model | None = None, **settings: Any) -> xr.DataTree:
    return by.sample(model=model, **{"random_seed": 1, "progressbar": False} | settings)


def check_mean(draws: xr.DataArray, values: np.ndarray, prior_sd: float = 10.0) -> None:
    """Compare draws of a mean with the normal that conjugacy gives, within four Monte Carlo errors.

    The chains are close to independent draws; half of them stand for what correlation costs.
    """
    precision = len(values) + prior_sd**-2
    mean, sd = values.sum() / precision, precision**-0.5
    num_effective = draws.size / 2
    assert float(draws.mean()) == pytest.approx(mean, abs=4 * sd / num_effective**0.5)
    assert float(draws.std()) == pytest.approx(sd, rel=4 / (2 * num_effective) ** 0.5)


@pytest.mark.parametrize("num_rows", [3, 20, 1, 200])
def test_posterior_of_data_of_any_length(case: Case, num_rows: int) -> None:
    values = np.random.default_rng(num_rows).normal(2.0, 1.0, size=num_rows)
    labels = [f"row {row}" for row in range(num_rows)]
    by.set_data({"data": values}, coords={"row": labels}, model=case.model)
    recorded = RecordingListener()
    with install_listener("numba:compile", recorded):
        trace = sample(case.model)
    assert recorded.buffer == []
    posterior = trace.posterior
    check_mean(posterior["mu"], values)
    assert float(posterior["scale"].mean()) == pytest.approx((2 / np.pi) ** 0.5, abs=0.06)
    assert posterior["effect"].shape == (4, 1000, num_rows)
    np.testing.assert_allclose(posterior["effect"].mean(("chain", "draw")), values, atol=0.12)
    for variable in (posterior["effect"], posterior["residual"], trace.observed_data["y"]):
        assert variable.coords["row"].values.tolist() == labels
    np.testing.assert_allclose(
        posterior["residual"], values - posterior["mu"].values[..., None], rtol=1e-14
    )
    np.testing.assert_array_equal(trace.observed_data["y"], values)


def test_groups_and_variables(case: Case) -> None:
    trace = sample(case.model, draws=20, tune=30, chains=3)
    assert list(trace.children) == ["posterior", "sample_stats", "observed_data", "constant_data"]
    assert list(trace.posterior.data_vars) == [
        "mu",
        "scale",
        "effect",
        "residual",
        "positive",
        "weighted",
    ]
    assert trace.posterior["mu"].shape == (3, 20)
    assert trace.posterior["positive"].dtype == bool
    assert (trace.posterior["scale"] > 0).all()
    np.testing.assert_array_equal(trace.posterior["positive"], trace.posterior["mu"] > 0)
    np.testing.assert_array_equal(trace.constant_data["data"], [1.0, 2.0, 3.0])
    attrs = trace.posterior.attrs
    assert (attrs["inference_library"], attrs["tuning_steps"]) == ("nutpie", 30)
    assert attrs["sampling_time"] > 0


def test_statistics_have_the_names_of_arviz(case: Case) -> None:
    statistics = sample(case.model, draws=20, tune=30).sample_stats
    usual = {"lp", "energy", "diverging", "tree_depth", "n_steps", "step_size", "acceptance_rate"}
    assert usual <= set(statistics.data_vars)
    assert all(values.dims == ("chain", "draw") for values in statistics.data_vars.values())
    assert statistics["diverging"].dtype == bool
    assert np.isfinite(statistics["energy"]).all()


def test_log_density_is_that_of_the_model(case: Case) -> None:
    trace = sample(case.model, draws=5)
    draw = trace.posterior.isel(chain=1, draw=3)
    log_density = case.model.compile_logp()(
        {
            "mu": draw["mu"].values,
            "scale_log__": np.log(draw["scale"].values),
            "effect": draw["effect"].values,
        }
    )
    assert float(trace.sample_stats["lp"][1, 3]) == pytest.approx(float(log_density), rel=1e-12)


def test_same_seed_gives_the_same_draws(case: Case) -> None:
    first = sample(case.model, draws=50)
    by.set_data({"data": np.ones(40)}, coords={"row": np.arange(40)}, model=case.model)
    sample(case.model, draws=50)
    by.set_data({"data": [1, 2, 3]}, coords={"row": ["a", "b", "c"]}, model=case.model)
    again = sample(case.model, draws=50)
    xr.testing.assert_equal(first.posterior.to_dataset(), again.posterior.to_dataset())
    xr.testing.assert_equal(first.sample_stats.to_dataset(), again.sample_stats.to_dataset())
    other = sample(case.model, draws=50, random_seed=2)
    assert not np.array_equal(first.posterior["mu"], other.posterior["mu"])


def test_shared_variables_count_as_they_are_now(case: Case) -> None:
    values = np.random.default_rng(1).normal(size=50)
    by.set_data({"data": values}, coords={"row": range(50)}, model=case.model)
    case.offset.set_value(np.array(-3.0))
    trace = sample(case.model)
    check_mean(trace.posterior["mu"], values + 3.0)
    ratio = trace.posterior["weighted"] / trace.posterior["mu"]
    np.testing.assert_allclose(ratio, 0.5 * (1 + 0 + 1 + 2), rtol=1e-6)
    case.weights[0].set_value(np.array([10, 20], dtype="int8"))
    case.weights[1].set_value(np.array([[False, True]]))
    trace = sample(case.model, draws=10)
    ratio = trace.posterior["weighted"] / trace.posterior["mu"]
    np.testing.assert_allclose(ratio, 0.5 * 20, rtol=1e-6)


def test_settings(case: Case) -> None:
    trace = sample(case.model, draws=np.int64(7), tune=0, chains=1, random_seed=None)
    assert trace.posterior["mu"].shape == (1, 7)


def test_variables_and_tuning_steps_to_keep(case: Case) -> None:
    trace = sample(case.model, draws=20, tune=30, var_names=["residual", "mu"], keep_warmup=True)
    whole = sample(case.model, draws=20, tune=30)
    assert list(trace.posterior.data_vars) == ["mu", "residual"]
    np.testing.assert_array_equal(trace.posterior["residual"], whole.posterior["residual"])
    assert list(trace.warmup_posterior.data_vars) == ["mu", "residual"]
    assert trace.warmup_posterior["residual"].dims == ("chain", "draw", "row")
    assert trace.warmup_sample_stats["step_size"].shape == (4, 30)
    assert "warmup_posterior" not in whole.children


def test_log_likelihood_is_a_group(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = sample(case.model, draws=100, tune=100, log_likelihood=True)
    values = trace.log_likelihood["y"]
    assert values.dims == ("chain", "draw", "row")
    expected = scipy.stats.norm.logpdf([1, 2, 3], trace.posterior["mu"].values[..., None], 1)
    np.testing.assert_allclose(values, expected, rtol=1e-10)
    assert arviz_stats.loo(trace).elpd < 0

    def fail(*_: object) -> None:
        raise NotImplementedError("no rule")

    monkeypatch.setattr(nuts, "pointwise_log_likelihood", fail)
    with pytest.warns(UserWarning, match=r"^The log likelihood is not in the tree: .*no rule\.\nH"):
        trace = sample(case.model, draws=5, tune=5, log_likelihood=True)
    assert "log_likelihood" not in trace.children


def test_options_reach_the_sampler(case: Case) -> None:
    def statistics(**options: Any) -> xr.DataTree:
        return sample(case.model, draws=100, tune=200, **options).sample_stats

    small, large = (statistics(target_accept=value) for value in (0.99, 0.7))
    assert float(small["step_size"].mean()) < 0.6 * float(large["step_size"].mean())
    assert float(small["acceptance_rate"].mean()) > 0.96
    short = statistics(max_treedepth=1)
    assert int(short["n_steps"].max()) == 1
    assert bool(short["reached_max_treedepth"].any())


@pytest.mark.filterwarnings("error")
def test_doubtful_draws_warn_once_and_may_be_left_unchecked() -> None:
    with pm.Model() as model:
        tau = pm.Normal("tau", 0, 3)
        pm.Normal("x", 0, pm.math.exp(tau / 2), shape=9)
    options = {"draws": 500, "tune": 200}
    with pytest.warns(by.ConvergenceWarning, match=r"^The draws are doubtful: .*'tau'") as warned:
        sample(model, **options)
    assert len(warned) == 1
    sample(model, compute_convergence_checks=False, **options)


def test_cores_do_not_change_draws(case: Case) -> None:
    one, two = (sample(case.model, draws=20, tune=30, cores=cores) for cores in (1, None))
    np.testing.assert_array_equal(one.posterior["mu"], two.posterior["mu"])


def test_a_mass_matrix_of_low_rank_learns_correlations() -> None:
    with pm.Model() as model:
        x, y = pm.Normal("x"), pm.Normal("y")
        pm.Potential("narrow", -50 * (x - y) ** 2)
    steps = {
        adaptation: int(
            sample(model, init=None, adaptation=adaptation).sample_stats["n_steps"].sum()
        )
        for adaptation in ("diag", "low_rank")
    }
    assert steps["low_rank"] < 0.7 * steps["diag"]


@pytest.fixture(scope="module")
def two_modes() -> pm.Model:
    with pm.Model() as model:
        x = pm.Normal("x", 0, 100)
        pm.Potential("modes", pm.math.logaddexp(-50 * (x - 30) ** 2, -50 * (x + 30) ** 2))
    return model


@pytest.mark.slow
def test_chains_start_where_the_user_says(two_modes: pm.Model) -> None:
    def means(initvals: Any) -> list[float]:
        options: Any = {"draws": 50, "tune": 100, "initvals": initvals, "cores": 2}
        return sample(two_modes, **options).posterior["x"].mean("draw").values.round().tolist()

    assert means({"x": 29}) == [30, 30, 30, 30]
    signs = [1, -1, -1, 1]
    assert means([{"x": sign * 29} for sign in signs]) == [sign * 30 for sign in signs]
    by_seed = [
        sample(two_modes, draws=9, tune=9, initvals=[{"x": 29}] * 4, cores=cores).posterior["x"]
        for cores in (1, 2)
    ]
    np.testing.assert_array_equal(*by_seed)


def test_a_start_without_density_names_the_variable(two_modes: pm.Model) -> None:
    with pytest.raises(ValueError, match=r"where the chains start, got .*-inf from 'modes'"):
        sample(two_modes, initvals={"x": 1e200})


def test_draws_until_they_are_good(case: Case) -> None:
    traces = [sample(case.model, until="good", cores=cores) for cores in (1, None)]
    xr.testing.assert_equal(*(trace.posterior.to_dataset() for trace in traces))
    assert traces[0].posterior.sizes["draw"] in (250, 375, 562, 843)
    summary = arviz_stats.summary(traces[0], var_names=["mu", "scale", "effect"], round_to="none")
    assert summary["r_hat"].max() < 1.01
    assert summary["ess_bulk"].min() > 400


def test_draws_until_the_most(two_modes: pm.Model) -> None:
    with pytest.warns(by.ConvergenceWarning, match=r"R-hat is .* for 'x' .*\nHint: tune longer"):
        trace = sample(
            two_modes, draws=300, until="good", initvals=[{"x": 29}, {"x": -29}], chains=2
        )
    assert trace.posterior["x"].shape == (2, 300)


def test_seeds_are_those_of_pymc(case: Case) -> None:
    by_generator = [
        sample(case.model, draws=5, tune=5, random_seed=np.random.default_rng(seed)).posterior["mu"]
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(by_generator[0], by_generator[1])
    assert not np.array_equal(by_generator[0], by_generator[2])
    sample(case.model, draws=5, tune=5, random_seed=[1, 2])


def test_model_of_the_context(case: Case) -> None:
    with case.model:
        trace = sample(draws=5)
    assert trace.posterior["mu"].shape == (4, 5)


def test_nothing_is_printed(case: Case, capfd: pytest.CaptureFixture[str]) -> None:
    sample(case.model, draws=5)
    assert capfd.readouterr() == ("", "")


def test_sampled_model_still_pickles(case: Case) -> None:
    copy = cloudpickle.loads(cloudpickle.dumps(case.model))
    assert [variable.name for variable in copy.free_RVs] == ["mu", "scale", "effect"]


@pytest.mark.parametrize("progressbar", [True, False])
def test_progress_bar(case: Case, monkeypatch: pytest.MonkeyPatch, progressbar: bool) -> None:
    given = {}
    real = nutpie.sample

    def spy(bound: Any, **settings: Any) -> Any:
        given.update(settings)
        return real(bound, **settings | {"progress_bar": False})

    monkeypatch.setattr(nutpie, "sample", spy)
    sample(case.model, draws=5, progressbar=progressbar)
    assert given["progress_bar"] is progressbar


@pytest.mark.parametrize("fails", [False, True])
def test_chains_share_the_cores(case: Case, monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    real, found = nutpie.sample, set()

    def spy(bound: Any, **settings: Any) -> Any:
        found.update(library["num_threads"] for library in threadpool_info())
        if fails:
            raise RuntimeError("out of memory")
        return real(bound, **settings)

    monkeypatch.setattr(nutpie, "sample", spy)
    with threadpool_limits(2):
        with pytest.raises(RuntimeError) if fails else nullcontext():
            sample(case.model, draws=5, tune=5, chains=2)
        assert {library["num_threads"] for library in threadpool_info()} == {2}
    assert found == {max(1, min(2, usable_cores() // 2))}


def interrupt(monkeypatch: pytest.MonkeyPatch, num_steps: list[int]) -> None:
    """Have nutpie return as many steps of each chain, as it does after Ctrl-C."""
    real = nutpie.sample

    def cut(batches: list[Any]) -> list[Any]:
        return [
            pa.record_batch(batch).slice(0, steps)
            for batch, steps in zip(batches, num_steps, strict=True)
        ]

    def interrupted(*args: Any, **settings: Any) -> Any:
        draws, statistics = real(*args, **settings).get_arrow_trace()
        return SimpleNamespace(get_arrow_trace=lambda: (cut(draws), cut(statistics)))

    monkeypatch.setattr(nutpie, "sample", interrupted)


def test_interruption_keeps_the_most_draws(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sample(case.model, draws=50, tune=20, chains=3)
    interrupt(monkeypatch, [70, 55, 40])
    with pytest.warns(by.ConvergenceWarning, match="has 35 draws of each of 2 chains, 50 of each"):
        trace = sample(case.model, draws=50, tune=20, chains=3)
    assert trace.posterior["effect"].shape == (2, 35, 3)
    assert trace.sample_stats["lp"].shape == (2, 35)
    np.testing.assert_array_equal(trace.posterior["mu"], whole.posterior["mu"][:2, :35])


def test_draws_that_no_memory_holds(case: Case) -> None:
    with pytest.raises(ValueError, match=r"`draws` must fit in half of the free memory, .* GB\.\n"):
        sample(case.model, draws=10**12)


@pytest.mark.parametrize(("offset", "found"), [(np.inf, "-inf"), (np.nan, "nan")])
def test_start_without_a_density(case: Case, offset: float, found: str) -> None:
    case.offset.set_value(np.array(offset))
    message = rf"where the chains start, got {found} from 'y', first in row 0\.\nHint: check"
    with pytest.raises(ValueError, match=message):
        sample(case.model)


def test_other_failures_of_the_sampler_pass(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **settings: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(nutpie, "sample", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        sample(case.model)


def test_minibatches_are_replaced_by_all_rows() -> None:
    values = np.random.default_rng(2).normal(2.0, 1.0, size=60)
    with pm.Model() as model:
        mu = pm.Normal("mu", 0, 10)
        y = by.Minibatch(values, 5)
        x = by.Minibatch(np.zeros(60), 5)
        pm.Deterministic("mean", mu + x)
        pm.Normal("y", mu + x, 1, observed=y, total_size=60)
    trace = sample(model)
    check_mean(trace.posterior["mu"], values)
    assert trace.posterior["mean"].shape == (4, 1000, 60)
    np.testing.assert_array_equal(trace.observed_data["y"], values)
    y.set_value(values - 5)
    check_mean(sample(model).posterior["mu"], values - 5)


def must_not_compile(*_: Any) -> None:
    raise AssertionError("compiled before it was checked")


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nuts, "compiled_density", must_not_compile)


def mean() -> pm.Model:
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu"), 1, observed=[1.0])
    return model


@pytest.mark.usefixtures("uncompiled")
def test_no_model() -> None:
    with pytest.raises(TypeError, match=r"`model` must be passed outside .* got None.*\nHint: "):
        sample()


WRONG = [
    ({"draws": 0}, ValueError, "`draws` must be a whole number of at least 1, got 0"),
    ({"progressbar": "yes"}, ValueError, "`progressbar` must be True or False, got 'yes'"),
    (
        {"compute_convergence_checks": None},
        ValueError,
        "`compute_convergence_checks` must be True or False, got None",
    ),
    ({"until": "best"}, ValueError, "`until` must be 'good' or None, got 'best'"),
    ({"initvals": {"z": 1}}, ValueError, "`initvals` must name free variables, got 'z'"),
    ({"log_likelihood": 1}, ValueError, "`log_likelihood` must be True or False, got 1"),
    ({"keep_warmup": 1}, ValueError, "`keep_warmup` must be True or False, got 1"),
    ({"var_names": ["z"]}, ValueError, "`var_names` must be names of free variables"),
    ({"random_seed": -1}, ValueError, "`random_seed` must be None, a whole number"),
    ({"model": pm.Model()}, ValueError, "must have a free variable, got none"),
]


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(("settings", "error", "message"), WRONG)
def test_arguments_are_checked_before_compiling(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        sample(**{"model": mean()} | settings)


@pytest.mark.slow
def test_ctrl_c_returns_the_draws_so_far() -> None:
    with pm.Model() as model:
        pm.Normal("x", 3, 1)
        by.sample(draws=1, tune=1, chains=1, progressbar=False)
    match = (
        r"The keyboard stopped the chains: the result has \d+ draws of each of 1 chains, 3000000"
    )
    # A process that a shell began in the background ignores the signal.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    stop = threading.Timer(1.0, signal.raise_signal, [signal.SIGINT])
    stop.start()
    try:
        with pytest.warns(by.ConvergenceWarning, match=match):
            trace = by.sample(
                draws=3_000_000, tune=100, chains=1, model=model, random_seed=1, progressbar=False
            )
    finally:
        signal.signal(signal.SIGINT, handler)
    number = trace.posterior.sizes["draw"]
    assert 0 < number < 3_000_000
    assert float(trace.posterior["x"].mean()) == pytest.approx(3, abs=0.2)
    assert by.verify(trace, model)


def test_fewer_chains_than_were_asked_for_warn() -> None:
    match = r"has 7 draws of each of 2 chains, 10 of each of 4 were asked for\.\nHint: look at"
    with pytest.warns(by.ConvergenceWarning, match=match):
        nuts._warn_if_stopped((2, 7), nuts.NutsSettings(draws=10))
    nuts._warn_if_stopped((4, 10), nuts.NutsSettings(draws=10))
