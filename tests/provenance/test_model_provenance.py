"""The provenance of a model: what is recorded of its data, dims and variables."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pymc as pm
import pytensor
import pytest

import bayou as by
from bayou.provenance.model_provenance import (
    dim_fingerprint,
    many_attrs,
    provenance_for_result,
    provenance_of,
)


def test_what_is_recorded() -> None:
    table = {"a": np.zeros(4), "b": np.zeros(4), "kind": ["m", "n", "m", "n"]}
    with pm.Model(coords={"group": ["g", "h"]}) as model:
        x = by.Data("x", table, columns=["a", "b"], dims=("row", "column"))
        kind = by.Data("kind", table, columns="kind", dims="row", categories="kinds")
        effect = pm.Normal("effect", dims="group")
        mean = x.sum(axis=1) + effect[kind]
        pm.Normal("y", mean, observed=by.Data("y_data", np.ones(4), dims="row"), dims="row")
    found = provenance_of(model)
    assert found.versions == {"pymc": pm.__version__, "pytensor": pytensor.__version__}
    # Not the dims of the data, whose labels are no part of the draws.
    assert found.dims == {"group": dim_fingerprint(model, "group")}
    assert list(found.variables) == ["effect", "y"]
    x_entry = found.containers["x"]
    assert (x_entry["columns"], x_entry["rows"], x_entry["shape"]) == (["a", "b"], 4, [2])
    assert x_entry["categories"] is None
    assert found.containers["kind"]["categories"] is not None
    assert found.containers["y_data"]["observed_by"] == ["y"]


def test_labels_of_dims() -> None:
    named, other = (pm.Model(coords={"group": labels}) for labels in (["g", "h"], ["h", "g"]))
    assert dim_fingerprint(named, "group") != dim_fingerprint(other, "group")
    with pm.Model() as counted:
        by.Data("x", np.zeros(3), dims="row")
    numbered = pm.Model(coords={"row": range(3)})
    assert dim_fingerprint(counted, "row") == dim_fingerprint(numbered, "row")


def test_sources_are_read_once_and_only_when_asked() -> None:
    class Counted(by.Source):
        fields: ClassVar = {"y": by.Field("y", np.dtype(float))}
        blocks = (5, 5)
        reads = 0

        def read(self, block: int, names: Any) -> Any:
            type(self).reads += 1
            yield {"y": np.arange(5.0) + 5 * block}

    rows = Counted()
    with pm.Model() as model:
        y = by.Minibatch(rows["y"], 2, in_memory_size=4)
        pm.Normal("y", observed=y, total_size=10)
    before = Counted.reads
    found = provenance_of(model)
    assert found.containers["Minibatch"]["fingerprint"] is None
    assert Counted.reads == before
    first = found.to_dict()["containers"]["Minibatch"]["fingerprint"]
    assert first is not None
    assert Counted.reads == before + 2
    assert found.to_dict()["containers"]["Minibatch"]["fingerprint"] == first
    assert Counted.reads == before + 2


def test_a_model_that_cannot_be_described_can_be_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    with pm.Model() as model:
        y = by.Data("y", [1.0, 3.0])
        pm.Normal("obs", pm.Normal("mu", 0, 10), 1, observed=y)

    def fail(_: Any) -> None:
        raise NotImplementedError("of no kind")

    monkeypatch.setattr("bayou.provenance.model_provenance.describe", fail)
    message = (
        r"no record of its model and data: NotImplementedError: of no kind\.\nHint: by\.verify"
    )
    with pytest.warns(UserWarning, match=message):
        assert provenance_for_result(model) is None
    with pytest.warns(UserWarning, match=message):
        assert many_attrs(model) == {}
    with pytest.warns(UserWarning, match=message):
        fit = by.fit(model=model, random_seed=1, progressbar=False)
    assert fit.provenance is None
    assert float(fit.sample(100, random_seed=1).posterior["mu"].mean()) == pytest.approx(2, abs=0.3)
    with pytest.raises(ValueError, match="`result` must have the provenance"):
        by.verify(fit, model)
