"""What by.describe finds: every way that values come into a model, and where they go."""

from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pymc.dims as pmd
import pytensor
import pytest

import bayou as by
from bayou.provenance.named_inputs import model_inputs
from bayou.provenance.summaries import ContainerSummary

FLIGHTS = pd.DataFrame(
    {
        "hour": [6.0, 9.0, 12.0, 20.0],
        "distance": [200.0, 1400.0, 300.0, 700.0],
        "carrier": ["UA", "AA", "UA", "DL"],
        "late": [False, True, False, True],
    }
)


def container(model: pm.Model, name: str) -> ContainerSummary:
    [found] = [one for one in by.describe(model).containers if one.name == name]
    return found


@pytest.fixture
def flights() -> pm.Model:
    with pm.Model() as model:
        x = by.Data("x", FLIGHTS, columns=["distance", "hour"], dims=("flight", "feature"))
        carrier = by.Data(
            "carrier", FLIGHTS, columns="carrier", dims="flight", categories="carriers"
        )
        late = by.Data("late", FLIGHTS, columns="late", dims="flight")
        b = pm.Normal("b", dims="feature")
        effect = pm.Normal("effect", dims="carriers")
        logit = pm.Deterministic("logit", x @ b + effect[carrier], dims="flight")
        pm.Bernoulli("obs", logit_p=logit, observed=late, dims="flight")
    return model


def test_containers_of_named_columns(flights: pm.Model) -> None:
    frame = by.describe(flights).to_frame()
    assert list(frame.index) == ["x", "carrier", "late"]
    assert frame["role"].tolist() == ["input", "input", "observed"]
    assert frame["columns"].tolist() == [("distance", "hour"), ("carrier",), ("late",)]
    assert frame["dims"].tolist() == [("flight", "feature"), ("flight",), ("flight",)]
    assert frame["shape"].tolist() == [(4, 2), (4,), (4,)]
    assert frame["num_rows"].tolist() == frame["num_in_memory"].tolist() == [4, 4, 4]
    assert frame["feeds"].tolist() == [("logit",), ("logit",), ()]
    assert frame["observed_by"].tolist() == [(), (), ("obs",)]
    assert frame["source"].str.contains("DataFrame").all()
    assert frame["fingerprint"].nunique() == 3
    assert container(flights, "x").coords["feature"] == ("distance", "hour")


@pytest.mark.filterwarnings("ignore:.*will be automatically imputed:UserWarning")
def test_rows_that_were_dropped_and_values_that_are_imputed() -> None:
    rows = pd.DataFrame({"x": [1.0, np.nan, 3.0], "y": [1.0, 2.0, np.nan]})
    with pm.Model() as model:
        by.Data("x", rows, columns="x", dims="row", missing="drop")
        y = by.Data("y", rows, columns="y", dims="other", missing="impute")
        pm.Normal("obs", pm.Normal("mu"), 1, observed=y, dims="other")
    assert container(model, "x").num_dropped == 1
    assert "1 dropped" in str(by.describe(model))
    assert container(model, "y").observed_by == ("obs_observed",)


def test_categories(flights: pm.Model) -> None:
    assert container(flights, "carrier").categories == ("AA", "DL", "UA")
    assert "3 categories" in str(by.describe(flights))


def test_variables_and_what_they_come_from(flights: pm.Model) -> None:
    found = {one.name: (one.kind, one.parents) for one in by.describe(flights).variables}
    assert found == {
        "b": ("free", ()),
        "effect": ("free", ()),
        "logit": ("deterministic", ("x", "b", "effect", "carrier")),
        "obs": ("observed", ("logit",)),
    }


def test_lengths_feed_nothing() -> None:
    with pm.Model() as model:
        by.Data("x", [1.0, 2.0], dims="row")
        pm.Normal("z", dims="row")
    [z] = by.describe(model).variables
    assert z.parents == ()


def test_minibatches_are_told_apart() -> None:
    with pm.Model() as model:
        x = by.Minibatch(np.ones((100, 2)), 10)
        y = by.Minibatch(np.arange(100), 10)
        pm.Poisson("y", pm.math.exp(x @ pm.Normal("b", shape=2)), observed=y, total_size=100)
    frame = by.describe(model).to_frame()
    assert frame["role"].tolist() == ["minibatch", "minibatch"]
    assert frame.loc["Minibatch", "shape"] == (10, 2)
    assert frame.loc["Minibatch 2", "shape"] == (10,)
    assert frame["num_rows"].tolist() == [100, 100]
    assert frame["total_size"].tolist() == [None, 100]
    assert frame["dtype"].tolist() == ["float64", "int64"]


def test_batches_of_several_axes() -> None:
    with pm.Model() as model:
        x = by.Minibatch(np.ones((100, 30)), [10, 5])
        pm.Normal("x", pm.Normal("mu"), 1, observed=x, total_size=(100, 30))
    [found] = by.describe(model).containers
    assert (found.shape, found.num_rows, found.total_size) == ((10, 5), 100, (100, 30))
    assert "100 x 30" in str(by.describe(model))


def test_a_generator_is_not_advanced() -> None:
    items = by.generator(iter([np.zeros(3), np.ones(3)]))
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu"), 1, observed=items, total_size=1000)
    [found] = by.describe(model).containers
    assert (found.name, found.role, found.shape) == ("generator", "generator", (3,))
    assert (found.num_rows, found.num_in_memory, found.total_size) == (None, None, 1000)
    np.testing.assert_array_equal(items.eval(), np.zeros(3))


def test_windows_are_not_read() -> None:
    rows = by.source({"y": np.arange(100.0)})
    with pm.Model() as model:
        y = by.Minibatch(rows["y"], 5, in_memory_size=20, name="rows")
        pm.Normal("y", pm.Normal("mu"), 1, observed=y, total_size=rows.num_rows)
    [found] = by.describe(model).containers
    assert (found.num_rows, found.num_in_memory, found.fingerprint) == (100, 20, None)
    assert found.columns == ("y",)
    text = str(by.describe(model))
    assert "20 in memory" in text
    assert "not read" in text


def test_pymc_and_plain_arrays() -> None:
    with pm.Model(coords={"row": ["a", "b"]}) as model:
        x = pm.Data("x", [1.0, 2.0], dims="row")
        shared = pytensor.shared(np.ones(2), name="weights")
        batch = pm.Minibatch(np.arange(50.0), batch_size=5)
        mu = pm.Normal("mu")
        pm.Normal("y", mu * x * shared, 1, observed=[3.0, 4.0], dims="row")
        pm.Normal("z", mu, 1, observed=batch, total_size=50)
        by.Data("unused", 1)
    frame = by.describe(model).to_frame()
    assert frame["role"].to_dict() == {
        "x": "input",
        "unused": "input",
        "weights": "input",
        "minibatch": "minibatch",
        "y": "observed",
    }
    assert frame["source"].to_dict()["y"] == "constant"
    assert frame.loc["x", "coords"] == {"row": ("a", "b")}
    assert frame.loc["y", "dims"] == ("row",)
    assert frame.loc["minibatch", "shape"] == (5,)
    assert pd.isna(frame.loc["unused", "num_rows"])
    assert frame.loc["unused", "feeds"] == ()


def test_batches_of_an_expression() -> None:
    with pm.Model() as model:
        x = pm.Data("x", np.arange(6.0))
        batch = pm.Minibatch(2 * x, batch_size=3)
        pm.Normal("y", pm.Normal("mu"), 1, observed=batch, total_size=6)
    frame = by.describe(model).to_frame()
    assert frame["role"].to_dict() == {"x": "input", "minibatch": "minibatch"}
    assert frame["num_rows"].tolist() == [6, 6]


def test_one_container_in_many_places() -> None:
    with pm.Model() as model:
        x = by.Data("x", [1.0, 2.0])
        pm.Normal("a", pm.Normal("mu") * x, 1, observed=x)
        pm.Normal("b", 0, 1, observed=pm.math.log(x))
    [found] = by.describe(model).containers
    assert (found.role, found.observed_by, found.feeds) == ("observed", ("a", "b"), ("a",))


def test_a_model_in_batches(flights: pm.Model) -> None:
    whole = by.describe(flights).to_frame()
    batches = by.describe(by.batched(flights, batch_size=3)).to_frame()
    assert set(batches.index) == set(whole.index)
    assert set(batches["role"]) == {"minibatch"}
    assert batches["shape"].to_dict() == {"x": (3, 2), "carrier": (3,), "late": (3,)}
    assert batches["total_size"].to_dict() == {"x": None, "carrier": None, "late": 4}
    for column in ("columns", "num_rows", "source", "fingerprint", "feeds", "observed_by"):
        assert batches[column].to_dict() == whole[column].to_dict()


def test_a_constant_in_batches_keeps_its_name() -> None:
    with pm.Model(coords={"row": range(4)}) as model:
        pm.Normal("y", pm.Normal("mu"), 1, observed=np.ones(4), dims="row")
    [whole] = by.describe(model).containers
    [batch] = by.describe(by.batched(model, batch_size=2)).containers
    assert (batch.name, batch.role, batch.shape, batch.num_rows) == ("y", "minibatch", (2,), 4)
    assert batch.fingerprint == whole.fingerprint


def test_named_models_and_dims_of_pymc() -> None:
    with pm.Model(coords={"row": range(2)}) as model:
        with pm.Model("part"):
            x = by.Data("x", [1.0, 2.0])
            pm.Normal("y", x, 1, observed=[1.0, 2.0])
        z = pmd.Data("z", np.ones(2), dims="row")
        pmd.Normal("w", z, 1, observed=pmd.as_xtensor(np.ones(2), dims=("row",)))
    assert [found.name for found in by.describe(model).containers] == [
        "part::x",
        "z",
        "part::y",
        "w",
    ]


def test_a_copy_of_a_model_has_the_same_inputs() -> None:
    with pm.Model() as model:
        for name in ("b", "a"):
            x = by.Minibatch(np.arange(10.0), 2)
            pm.Normal(name, pm.Normal(f"mu_{name}"), 1, observed=x, total_size=10)

    def of(model: pm.Model) -> dict[str, Any]:
        return {found.observed_by: found.name for found in model_inputs(model)}

    assert of(model.copy()) == of(model) == {("a",): "Minibatch", ("b",): "Minibatch 2"}


def test_an_empty_model() -> None:
    description = by.describe(pm.Model())
    assert description.containers == description.variables == ()
    assert "The model has no data containers." in str(description)
    assert description.to_frame().empty
    assert str(description.diagram()) == ""


def test_a_model_is_asked_for() -> None:
    with pytest.raises(TypeError, match=r"`model` must be a PyMC model, got 'model'"):
        by.describe("model")  # type: ignore[arg-type]
