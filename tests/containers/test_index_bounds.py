"""Whole numbers that index a variable are its levels, or an error says which are not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pymc.dims as pmd
import pytensor.tensor as pt
import pytest

import bayou as by
from bayou.containers.index_bounds import check_indices
from tests.coded_rows import rows

CODES = np.array([0, 2, 1, 0])


@pytest.fixture
def model() -> pm.Model:
    with pm.Model(coords={"group": range(3)}) as model:
        group = by.Data("group_code", CODES, dims="row")
        day = by.Data("day", [1, 2, 1, 2], dims="row")
        effect = pm.Normal("effect", dims="group")
        table = pm.Normal("table", shape=(4, 2))
        mean = effect[group] + table[1, day - 1]
        pm.Normal("y", mean, 1, observed=by.Data("y_value", np.zeros(4), dims="row"), dims="row")
    return model


def test_levels_are_fine(model: pm.Model) -> None:
    check_indices(model)
    by.set_data({"group_code": [2, 2], "day": [1, 1], "y_value": [0, 0]}, model)
    check_indices(model)


@pytest.mark.parametrize(
    ("name", "value", "levels", "indexed"),
    [
        ("group_code", 3, "0 to 2", "'effect', which has 3 levels"),
        ("group_code", -1, "0 to 2", "'effect', which has 3 levels"),
        ("day", 3, "0 to 1", "'table', which has 2 levels"),
        ("day", 0, "0 to 1", "'table', which has 2 levels"),
    ],
)
def test_what_is_no_level_is_named(
    model: pm.Model, name: str, value: int, levels: str, indexed: str
) -> None:
    rows = model[name].get_value()
    rows[2] = value
    message = (
        f"'{name}' must hold indices of {indexed} along that axis, {levels}, got {value} in row 2"
    )
    with pytest.raises(IndexError, match=message):
        by.set_data({name: rows}, model)
    np.testing.assert_array_equal(model["group_code"].get_value(), CODES)
    model[name].set_value(rows)
    with pytest.raises(IndexError, match=message):
        check_indices(model)
    with pytest.raises(IndexError, match=message):
        by.fit(model=model, progressbar=False)
    with pytest.raises(IndexError, match=message):
        by.sample(model=model, progressbar=False)


def test_new_rows_are_checked(model: pm.Model) -> None:
    fit = by.fit(3, model=model, random_seed=1, progressbar=False, correction=None)
    rows = {"group_code": [0, 7], "day": [1, 1]}
    with pytest.raises(
        ValueError,
        match=r"`data` must fit the model: 'group_code' must hold indices of 'effect'.*, got 7",
    ):
        by.predict(fit, rows, model=model, progressbar=False)


def test_rows_of_batches_and_other_indices() -> None:
    with pm.Model() as model:
        group = by.Minibatch(CODES + 1, 2, name="group")
        effect = pm.Normal("effect", shape=3)
        pm.Normal("y", effect[group], 1, observed=by.Minibatch(np.zeros(4), 2), total_size=4)
        pm.Deterministic("last", effect[-1] + effect[np.array([-1, 0])].sum())
        pm.Deterministic("mask", effect[np.array([True, False, True])].sum())
    with pytest.raises(IndexError, match="got 3 in row 1"):
        check_indices(model)


def levels(index: Callable[[Any, Any], Any], codes: Any) -> pm.Model:
    with pm.Model() as model:
        group = by.Data("g", codes)
        effect = pm.Normal("effect", shape=3)
        pm.Potential("p", index(effect, group).sum())
    return model


EXPRESSIONS: dict[str, tuple[Callable[[Any, Any], Any], list[int]]] = {
    "take": (pt.take, [0, 1, 2]),
    "from one": (lambda effect, group: effect[group - 1], [1, 2, 3]),
    "cast": (lambda effect, group: effect[group.astype("float64").astype("int64")], [0, 1, 2]),
    "columns": (lambda effect, group: effect[group[:, None]], [0, 1, 2]),
    "written": (lambda effect, group: pt.zeros(3)[group].inc(1.0) * effect, [0, 1, 2]),
    "nested": (lambda effect, group: effect[pt.as_tensor([0, 2, 1])[group]], [0, 1, 2]),
}


@pytest.mark.parametrize(("index", "codes"), EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_expressions_of_codes(index: Any, codes: list[int]) -> None:
    check_indices(levels(index, codes))
    for wrong in (codes[0] - 1, codes[-1] + 1):
        with pytest.raises(IndexError, match=rf"^'g' must hold .* 3 levels .*, got {wrong} in"):
            check_indices(levels(index, [*codes[:2], wrong]))


def test_codes_of_containers_by_containers() -> None:
    with pm.Model() as model:
        region = by.Data("region", [0, 1, 1])
        county = by.Data("county", [0, 2, 1], dims="row")
        pm.Normal("y", pm.Normal("effect", shape=2)[region[county]], 1, dims="row")
    check_indices(model)
    with pytest.raises(IndexError, match=r"'county' must hold indices of 'region', .* 3 levels"):
        by.set_data({"county": [0, 3]}, model)
    message = r"'(region|county)' and '(region|county)' must hold indices of 'effect', .* got 2 in"
    with pytest.raises(IndexError, match=message):
        by.set_data({"region": [0, 1, 2]}, model)


def test_unsigned_codes_and_scalars() -> None:
    with pytest.raises(IndexError, match="got 0 in row 1"):
        check_indices(levels(EXPRESSIONS["from one"][0], np.array([1, 0], np.uint8)))
    check_indices(levels(lambda effect, k: effect[k], 2))
    for wrong in (-1, 3):
        with pytest.raises(IndexError, match=rf"'g' must hold .* 0 to 2, got {wrong}\.\n"):
            check_indices(levels(lambda effect, k: effect[k], wrong))
    # A length is no code.
    check_indices(levels(lambda effect, group: effect[group.shape[0] - 4], [7, 7, 7]))


def test_constants_may_count_from_the_end() -> None:
    check_indices(levels(lambda effect, _: effect[np.array([0, -3, 2])], 0))
    message = (
        r"^`model` must index 'effect', .* 3 levels .* from -3 to -1, got the constant 3 in row 1"
    )
    with pytest.raises(IndexError, match=message):
        by.sample(model=levels(lambda effect, _: effect[np.array([0, 3])], 0), progressbar=False)


def test_labelled_variables() -> None:
    with pm.Model(coords={"level": range(3), "row": range(2)}) as model:
        group = pmd.Data("g", [0, 3], dims="row")
        pmd.Deterministic("y", pmd.Normal("effect", dims="level").isel(level=group))
    with pytest.raises(IndexError, match=r"'g' must hold indices of 'effect', .* got 3 in row 1"):
        check_indices(model)


def test_minibatches_are_named() -> None:
    with pm.Model() as model:
        group, y = pm.Minibatch(np.array([0, 3]), np.zeros(2), batch_size=1)
        pm.Normal("y", pm.Normal("effect", shape=3)[group], 1, observed=y, total_size=2)
    with pytest.raises(IndexError, match=r"'minibatch.0' must hold indices of 'effect', .* got 3"):
        check_indices(model)


@pytest.mark.parametrize("wrong", [-1, 3])
def test_new_rows_of_columns_are_checked_as_they_are_read(wrong: int, tmp_path: Path) -> None:
    frame = pd.DataFrame({"level": [0, 1, 2, 1], "y": np.zeros(4)})
    with pm.Model() as model:
        group = by.Data("g", frame, columns="level", dims="row")
        y = by.Data("y", frame, columns="y", dims="row")
        pm.Normal("o", pm.Normal("effect", shape=3)[group], 1, observed=y, dims="row")
    fit = by.fit(3, model=model, random_seed=1, progressbar=False, correction=None)
    source = rows(tmp_path, wrong)
    for data in (source, source.take(np.arange(1000), ["level"])):
        with pytest.raises(
            ValueError, match=rf"`data` must fit the model: 'g' must .*, got {wrong} in row 990\."
        ):
            by.predict(fit, data, draws=2, chunk_rows=300, model=model, progressbar=False)
