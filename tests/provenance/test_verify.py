"""by.verify: results of every kind are compared with the model, its data and its dims."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr

import bayou as by
from bayou.models.posterior_tree import posterior_tree
from bayou.provenance.model_provenance import provenance_of
from bayou.provenance.record import ATTRIBUTE, Provenance

RANDOM = np.random.default_rng(0)
ROWS = pd.DataFrame(
    {
        "one": RANDOM.normal(size=20),
        "two": RANDOM.normal(size=20),
        "kind": ["a", "b"] * 10,
        "y": RANDOM.normal(size=20),
    }
)


def regression(
    rows: pd.DataFrame = ROWS,
    columns: tuple[str, ...] = ("one", "two"),
    groups: tuple[str, ...] = ("north", "south"),
    sd: float = 1.0,
    more: Callable[[], Any] = lambda: None,
) -> pm.Model:
    with pm.Model(coords={"group": groups}) as model:
        x = by.Data("x", rows, columns=list(columns), dims=("row", "feature"))
        kind = by.Data("kind", rows, columns="kind", dims="row", categories="kinds")
        y = by.Data("y", rows, columns="y", dims="row")
        b = pm.Normal("b", 0, sd, shape=2)
        effect = pm.Normal("effect", dims="group")
        pm.Normal("obs", x @ b + effect[kind], 1, observed=y, dims="row")
        more()
    return model


def attributes(provenance: Provenance) -> dict[str, str]:
    return {ATTRIBUTE: provenance.to_json()}


def draws_of(model: pm.Model) -> xr.DataTree:
    draws = {name: np.zeros((1, 5, 2)) for name in ("b", "effect")}
    return posterior_tree(model, draws, posterior_attrs=attributes(provenance_of(model)))


def differences(model: pm.Model, of: pm.Model | None = None) -> tuple[str, ...]:
    found = by.verify(draws_of(of or regression()), model)
    assert bool(found) == found.matches == (not found.differences)
    return found.differences


def test_the_same_model_made_again() -> None:
    assert differences(regression()) == ()
    assert differences(regression().copy()) == ()


def changed(**columns: Any) -> pd.DataFrame:
    return ROWS.assign(**columns)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            lambda: regression(changed(y=ROWS["y"] + 1)),
            ["container 'y' has different values"],
        ),
        (
            lambda: regression(ROWS[:12]),
            [
                f"container {name!r} has 12 rows; the result was computed with 20 rows"
                for name in ("x", "kind", "y")
            ],
        ),
        (
            lambda: regression(columns=("two", "one")),
            [
                "container 'x' has columns (two, one); "
                "the result was computed with columns (one, two)"
            ],
        ),
        (
            lambda: regression(changed(y=1)),
            ["container 'y' has dtype int64; the result was computed with dtype float64"],
        ),
        (
            lambda: regression(changed(kind=["a", "c"] * 10)),
            ["container 'kind' has different categories"],
        ),
        (
            lambda: regression(groups=("south", "north")),
            ["dim 'group' has different labels"],
        ),
        (
            lambda: regression(sd=2.0),
            ["variable 'b' is defined differently"],
        ),
        (
            lambda: regression(more=lambda: pm.Normal("new")),
            ["variable 'new' is in the model but not in the result"],
        ),
        (
            lambda: regression(more=lambda: by.Data("new", 1.0)),
            ["container 'new' is in the model but not in the result"],
        ),
    ],
)
def test_what_differs_is_said(model: Callable[[], pm.Model], said: list[str]) -> None:
    assert list(differences(model())) == said


def test_what_is_missing_is_said() -> None:
    more = regression(more=lambda: by.Data("new", 1.0))
    assert differences(regression(), of=more) == (
        "container 'new' is in the result but not in the model",
    )


def test_what_is_observed_is_compared() -> None:
    def model(first: str) -> pm.Model:
        with pm.Model() as model:
            rows = {name: by.Data(name, [1.0, 2.0]) for name in ("u", "v")}
            pm.Normal("a", 0, 1, observed=rows[first])
            pm.Normal("b", 0, 1, observed=rows["v" if first == "u" else "u"])
        return model

    tree = posterior_tree(
        model("u"), {"c": np.zeros((1, 1))}, posterior_attrs=attributes(provenance_of(model("u")))
    )
    assert by.verify(tree, model("v")).differences == (
        *(
            f"container {name!r} has observed variables ({now}); "
            f"the result was computed with observed variables ({before})"
            for name, now, before in (("u", "b", "a"), ("v", "a", "b"))
        ),
    )


def test_new_data_and_the_old_ones_again() -> None:
    model = regression()
    draws = draws_of(model)
    by.set_data(changed(one=0.0), model=model)
    assert by.verify(draws, model).differences == ("container 'x' has different values",)
    by.set_data(ROWS, model=model)
    assert by.verify(draws, model)


def test_a_constant_that_is_observed() -> None:
    def model(values: list[float]) -> pm.Model:
        with pm.Model() as model:
            pm.Normal("y", pm.Normal("mu"), 1, observed=values)
        return model

    tree = posterior_tree(
        model([1.0]),
        {"mu": np.zeros((1, 1))},
        posterior_attrs=attributes(provenance_of(model([1.0]))),
    )
    assert by.verify(tree, model([1.0]))
    assert by.verify(tree, model([2.0])).differences == ("container 'y' has different values",)
    assert by.verify(tree, model([1.0, 1.0])).differences == (
        "container 'y' has 2 rows; the result was computed with 1 rows",
    )


def test_windows_are_the_rows_that_they_are_of() -> None:
    rows = ROWS["y"].to_numpy()

    def model(data: Any, size: int | None) -> pm.Model:
        with pm.Model() as model:
            y = by.Minibatch(data, 5, in_memory_size=size)
            pm.Normal("obs", pm.Normal("mu"), 1, observed=y, total_size=len(rows))
        return model

    def source(values: Any) -> by.Column:
        return by.source({"y": values})["y"]

    streamed = model(source(rows), 7)
    tree = posterior_tree(
        streamed, {"mu": np.zeros((1, 1))}, posterior_attrs=attributes(provenance_of(streamed))
    )
    assert by.verify(tree, streamed)
    assert by.verify(tree, model(source(rows), None))
    last = rows.copy()
    last[-1] += 1
    assert by.verify(tree, model(source(last), 7)).differences == (
        "container 'Minibatch' has different values",
    )


def test_files_keep_it(tmp_path: Path) -> None:
    model = regression()
    draws = draws_of(model)
    draws.to_zarr(tmp_path / "draws.zarr", consolidated=False)
    # NetCDF 3, the one at hand, holds no list of texts, as ArviZ keeps one beside it.
    kept = {ATTRIBUTE: draws.posterior.attrs[ATTRIBUTE]}
    plain = draws.posterior.to_dataset().drop_attrs().assign_attrs(kept)
    plain.to_netcdf(tmp_path / "posterior.nc", engine="scipy")
    with (
        xr.open_datatree(tmp_path / "draws.zarr", engine="zarr", consolidated=False) as tree,
        xr.open_dataset(tmp_path / "posterior.nc", engine="scipy") as posterior,
    ):
        for read in (tree, posterior):
            assert by.verify(read, model)
            assert not by.verify(read, regression(sd=2.0))


def mean_model() -> pm.Model:
    with pm.Model() as model:
        y = by.Data("y", ROWS, columns="y", dims="row")
        pm.Normal("obs", pm.Normal("mu"), 1, observed=y, dims="row")
    return model


def test_fits_keep_what_they_were_fitted_to(tmp_path: Path) -> None:
    model = mean_model()
    fit = by.fit(model=model, progressbar=False, random_seed=1)
    fit.save(tmp_path / "fit")
    by.set_data({"y": np.zeros(20)}, model=model)
    again = by.load(tmp_path / "fit", model=model)
    for result in (fit, fit.sample(10), again, again.sample(10)):
        assert by.verify(result, mean_model())
        assert by.verify(result, model).differences == ("container 'y' has different values",)


def test_a_fit_in_batches_is_of_the_model_as_it_is_written() -> None:
    model = mean_model()
    fit = by.fit(20, batch_size=5, model=model, progressbar=False, random_seed=1, correction=None)
    assert by.verify(fit, model)
    assert by.verify(fit.sample(10), mean_model())


@pytest.mark.slow
def test_nuts_says_what_it_sampled() -> None:
    with pm.Model() as model:
        y = by.Data("y", [1.0, 2.0])
        pm.Normal("obs", pm.Normal("mu"), 1, observed=y)
        draws = by.sample(10, tune=10, chains=1, progressbar=False, random_seed=1)
    assert by.verify(draws, model)
    assert ATTRIBUTE not in draws.sample_stats.attrs


def test_other_versions_are_given_as_a_reason() -> None:
    model = regression()
    found = provenance_of(model)
    older = Provenance(
        {**found.versions, "pymc": "6.0.0"},
        found.dims,
        {**found.variables, "b": "another"},
        found.containers,
    )
    tree = posterior_tree(model, {"b": np.zeros((1, 1, 2))}, posterior_attrs=attributes(older))
    assert by.verify(tree, model).differences == (
        "variable 'b' is defined differently",
        f"pymc is {pm.__version__}; the result was computed with 6.0.0, which may build a "
        "different graph for the same definition",
    )


def test_a_source_that_is_gone_costs_no_draws(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    ROWS[["y"]].to_csv(path, index=False)

    def model() -> pm.Model:
        with pm.Model() as model:
            y = by.Minibatch(by.scan(path)["y"], 5, in_memory_size=7)
            pm.Normal("obs", pm.Normal("mu"), 1, observed=y, total_size=len(ROWS))
        return model

    streamed = model()
    text = path.read_text()
    path.unlink()
    with pytest.warns(UserWarning, match="no fingerprint of rows that cannot be read: .*rows.csv"):
        tree = posterior_tree(
            streamed, {"mu": np.zeros((1, 1))}, posterior_attrs=attributes(provenance_of(streamed))
        )
    path.write_text(text)
    assert by.verify(tree, model()).differences == (
        "container 'Minibatch' cannot be compared: its source could not be read when the result "
        "was saved, so that its values were not recorded",
    )


def test_an_attribute_that_is_damaged() -> None:
    draws = draws_of(regression())
    draws.posterior.attrs[ATTRIBUTE] = "{}"
    with pytest.raises(ValueError, match=r"a provenance that bayou wrote, got '\{\}'"):
        by.verify(draws, regression())


def test_a_result_that_does_not_say() -> None:
    model = regression()
    tree = posterior_tree(model, {"b": np.zeros((1, 1, 2))})
    with pytest.raises(
        ValueError, match=r"`result` must have the provenance .*\nHint: results of by"
    ):
        by.verify(tree, model)


def test_other_arguments() -> None:
    model = regression()
    with pytest.raises(TypeError, match=r"`result` must be a DataTree.*got a Model"):
        by.verify(model, model)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"`model` must be passed outside .* got None"):
        by.verify(draws_of(model), None)


def test_results_of_many_data_sets_are_of_a_model_whatever_its_rows() -> None:
    model = regression()
    draws = {name: np.zeros((1, 5, 2)) for name in ("b", "effect")}
    many = posterior_tree(model, draws, posterior_attrs=attributes(provenance_of(model).of_many()))
    assert by.verify(many, regression(ROWS[:7]))
    assert by.verify(many, regression(sd=2.0)).differences == (
        "variable 'b' is defined differently",
    )
    found = by.verify(many, regression(columns=("two", "one"))).differences
    assert found[0].startswith("container 'x' has columns (two, one)")


def test_the_model_is_that_of_the_context() -> None:
    model = regression()
    draws = draws_of(model)
    with model:
        assert by.verify(draws)


def test_any_result_with_a_provenance_is_accepted() -> None:
    @dataclass
    class Result:
        provenance: Provenance | None

    model = regression()
    assert by.verify(Result(provenance_of(model)), model)
    with pytest.raises(ValueError, match="must have the provenance of its data and model"):
        by.verify(Result(None), model)
