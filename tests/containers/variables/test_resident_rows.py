"""Containers of a source: what is in memory, how it moves on, and what is refused."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pymc as pm
import pytest

import bayou as by
from bayou.containers.variables import resident_rows as resident
from bayou.containers.variables.source_variable import resident_of, window_of

NUM_ROWS = 1000
ROW = np.arange(NUM_ROWS)


class Blocks:
    """A user's own class, without a base, that is read block by block."""

    fields: Mapping[str, by.Field] = {
        "row": by.Field("row", np.dtype(np.int64)),
        "half": by.Field("half", np.dtype(np.float32)),
    }
    blocks: Sequence[int] = (300, 300, 300, 100)

    def read(self, block: int, names: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
        rows = ROW[300 * block : 300 * block + self.blocks[block]]
        values = {"row": rows, "half": (rows / 2).astype(np.float32)}
        yield {name: values[name] for name in names}


def parquet(folder: Path) -> by.Source:
    table = pa.table({"row": ROW, "half": pa.array(ROW / 2, pa.float32())})
    pq.write_table(table, folder / "rows.parquet", row_group_size=170)
    return by.scan(folder / "rows.parquet")


SOURCES = {
    "parquet": parquet,
    "arrays": lambda folder: by.source({"row": ROW, "half": (ROW / 2).astype(np.float32)}),
    "own class": lambda folder: by.source(Blocks()),
}


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> by.Source:
    return SOURCES[request.param](tmp_path)


def test_all_rows_are_in_memory_where_there_is_room(source: by.Source) -> None:
    batch = by.Minibatch(source["row"], 10)
    np.testing.assert_array_equal(batch.shared.get_value(), ROW)
    assert batch.eval().shape == (10,)
    assert window_of(batch.shared) is None
    batch.update_shared()  # Nothing is left to go on to.
    np.testing.assert_array_equal(batch.shared.get_value(), ROW)


def test_floats_are_cast_and_whole_numbers_are_not(source: by.Source) -> None:
    assert by.Minibatch(source["half"], 10).dtype == "float64"
    assert by.Minibatch(source["row"], 10).dtype == "int64"
    assert by.Minibatch(source["row"], 10, dtype="float32").dtype == "float32"
    matrix = by.Minibatch(source[["half", "row"]], 10)
    assert matrix.eval().shape == (10, 2)
    np.testing.assert_array_equal(matrix.shared.get_value(), np.column_stack([ROW / 2, ROW]))


def test_a_source_is_all_of_its_fields(tmp_path: Path) -> None:
    batch = by.Minibatch(parquet(tmp_path), 5)
    np.testing.assert_array_equal(batch.shared.get_value(), np.column_stack([ROW, ROW / 2]))
    plain = by.Minibatch(Blocks(), 5)
    np.testing.assert_array_equal(plain.shared.get_value(), np.column_stack([ROW, ROW / 2]))
    assert by.Minibatch(by.source(ROW), 5).ndim == 1


def test_the_window_moves_through_the_source(source: by.Source) -> None:
    rows = by.Minibatch(source["row"], 10, in_memory_size=400)
    halves = by.Minibatch(source["half"], 10, in_memory_size=400)
    assert set(rows.eval()) <= set(range(400))
    for first in (400, 800, 200):
        rows.update_shared()
        expected = (first + np.arange(400)) % NUM_ROWS
        np.testing.assert_array_equal(rows.shared.get_value(), expected)
        # What holds the same rows goes on together, so that they stay aligned.
        np.testing.assert_array_equal(halves.shared.get_value(), expected / 2)
        by.align_minibatches([rows, halves])
        np.testing.assert_array_equal(rows.eval() / 2, halves.eval())
    late = by.Minibatch(source["half"], 10, in_memory_size=400)
    np.testing.assert_array_equal(late.shared.get_value() * 2, rows.shared.get_value())


def test_data_hold_a_window_too(source: by.Source) -> None:
    with pm.Model() as model:
        rows = by.Data("rows", source["row"], dims="row", in_memory_size=300)
        whole = by.Data("whole", source["half"])
    assert model.dim_lengths["row"].eval() == 300
    np.testing.assert_array_equal(whole.get_value(), ROW / 2)
    rows.update_shared()
    np.testing.assert_array_equal(rows.get_value(), np.arange(300, 600))


def test_other_values_take_the_place_of_the_source(source: by.Source) -> None:
    batch = by.Minibatch(source["row"], 10, in_memory_size=400)
    assert window_of(batch.shared) is not None
    batch.set_value(np.arange(7))
    assert resident_of(batch.shared) is None
    np.testing.assert_array_equal(batch.shared.get_value(), np.arange(7))
    with pytest.raises(NotImplementedError, match="has no `update_shared_f`"):
        batch.update_shared()


def test_nuts_takes_no_part_of_the_rows(source: by.Source) -> None:
    with pm.Model() as model:
        mu = pm.Normal("mu")
        batch = by.Minibatch(source["half"], 10, in_memory_size=400)
        pm.Normal("y", mu, 1, observed=batch, total_size=400)
    with pytest.raises(
        ValueError, match=r"must hold all rows of its source, 1000, got 400 in memory.\nHint: raise"
    ):
        by.sample(model=model)
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Normal("y", mu, 1, observed=by.Data("halves", source["half"], in_memory_size=400))
    for run in (by.sample, by.fit):
        with pytest.raises(ValueError, match=r"'halves' must hold all rows of its source, 1000"):
            run(model=model)


@pytest.mark.parametrize("size", [0, -1, 2.5, True])
def test_wrong_sizes(source: by.Source, size: Any) -> None:
    with pytest.raises(
        ValueError, match=r"`in_memory_size` must .*\nHint: it is the number of rows"
    ):
        by.Minibatch(source["row"], 10, in_memory_size=size)


def test_more_rows_than_there_are_is_all_of_them(source: by.Source) -> None:
    batch = by.Minibatch(source["row"], 10, in_memory_size=10**6)
    np.testing.assert_array_equal(batch.shared.get_value(), ROW)


def test_a_window_is_sampled_by_rows(source: by.Source) -> None:
    matrix = source[["row", "half"]]
    assert by.Minibatch(matrix, [10, 1]).eval().shape == (10, 1)
    with pytest.raises(ValueError, match=r"`batch_size` must be a number of rows .*\nHint: sample"):
        by.Minibatch(matrix, [10, 1], in_memory_size=400)


def test_memory_that_is_not_free(monkeypatch: pytest.MonkeyPatch, source: by.Source) -> None:
    monkeypatch.setattr(resident, "default_window", lambda source, names: 500)
    monkeypatch.setattr(resident, "WINDOW_BYTES", 200 * 8)
    np.testing.assert_array_equal(by.Minibatch(source["row"], 10).shared.get_value(), ROW[:200])


def test_values_that_no_model_takes() -> None:
    text = by.source({"name": np.array(["a", "b"], dtype=object), "y": np.array([1.0, np.nan])})
    with pytest.raises(TypeError, match=r"`name` of text"):
        by.Minibatch(text["name"], 1)
    with pytest.raises(
        ValueError, match=r"`data` of minibatch 'Minibatch' must hold no missing .* 'y', row 1 of"
    ):
        by.Minibatch(text["y"], 1)
    days = by.source({"day": np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[s]")})
    with pytest.raises(TypeError, match=r"must be numbers or booleans, got datetime64.*\nHint: ch"):
        by.Minibatch(days["day"], 1)
    with pm.Model(), pytest.raises(ValueError, match=r"`in_memory_size` must come with a source"):
        by.Data("x", [1.0, 2.0], in_memory_size=1)


def test_data_that_change_under_way() -> None:
    class Shrinking(Blocks):
        def read(self, block: int, names: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
            for table in super().read(block, names):
                yield {name: values[:-1] for name, values in table.items()}

    with pytest.raises(ValueError, match=r"`source` must yield 1000 rows, got fewer.\nHint: the d"):
        by.Minibatch(by.source(Shrinking())["row"], 10)
