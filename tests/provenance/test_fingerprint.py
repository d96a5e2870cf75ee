"""Fingerprints of data: the same for the same values, wherever they are read from."""

from typing import Any

import numpy as np
import pymc as pm
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import bayou as by
from bayou.containers.variables.resident_rows import Resident
from bayou.containers.variables.source_variable import window_of
from bayou.density.build import compile_program
from bayou.provenance.fingerprint import (
    array_fingerprint,
    data_fingerprint,
    window_fingerprints,
)

SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
DTYPES = st.sampled_from(["float64", "float32", "int64", "int8", "bool"])
VALUES = DTYPES.flatmap(
    lambda dtype: arrays.arrays(
        dtype, SHAPES, elements={"allow_nan": False} if dtype.startswith("float") else None
    )
)


@given(VALUES)
def test_it_is_of_the_values_alone(values: np.ndarray) -> None:
    found = array_fingerprint(values)
    assert found == array_fingerprint(np.array(values, order="F"))
    assert found == array_fingerprint(
        np.repeat(values, 2, axis=-1)[..., ::2] if values.ndim else values
    )
    assert found == array_fingerprint(values.astype(values.dtype.newbyteorder(">")))


@given(VALUES, st.data())
def test_one_other_value_shows(values: np.ndarray, data: st.DataObject) -> None:
    if not values.size:
        return
    other = values.copy()
    place = data.draw(st.integers(0, values.size - 1))
    other.flat[place] = other.flat[place] == 0
    assert array_fingerprint(values) != array_fingerprint(other)


@pytest.mark.parametrize("other", [np.zeros(6, "float32"), np.zeros((2, 3)), np.zeros(7)])
def test_dtype_and_shape_show(other: np.ndarray) -> None:
    assert array_fingerprint(np.zeros(6)) != array_fingerprint(other)


def test_masks_show() -> None:
    values = np.arange(3.0)
    none = np.ma.masked_array(values, mask=False)
    assert array_fingerprint(none) == array_fingerprint(values)
    assert array_fingerprint(np.ma.masked_array(values, mask=[1, 0, 0])) != array_fingerprint(none)


class Counted(by.Source):
    """Rows in blocks, which counts what is read of them."""

    blocks = (7, 1, 12)
    reads = 0

    @property
    def fields(self) -> dict[str, by.Field]:
        return {name: by.Field(name, np.dtype("float64")) for name in ("a", "b")}

    def read(self, block: int, names: Any) -> Any:
        type(self).reads += 1
        start = sum(self.blocks[:block])
        rows = np.arange(start, start + self.blocks[block], dtype=float)
        yield {name: rows + (name == "b") for name in names}


def windows(source: by.Source) -> list[Resident]:
    batches = [by.Minibatch(source[name], 2, in_memory_size=5) for name in ("a", ["a", "b"])]
    found = [window_of(batch.shared) for batch in batches]
    assert None not in found
    return found  # type: ignore[return-value]


def test_windows_are_as_the_arrays_that_they_are_of() -> None:
    a = np.arange(20.0)
    assert window_fingerprints(windows(Counted()), piece_rows=3) == [
        array_fingerprint(a),
        array_fingerprint(np.stack([a, a + 1], axis=1)),
    ]


def test_all_columns_of_a_source_are_read_at_once() -> None:
    of_source = windows(Counted())
    before = Counted.reads
    found = window_fingerprints(of_source)
    assert Counted.reads == before + len(Counted.blocks)
    assert window_fingerprints(of_source[::-1]) == found[::-1]


def test_the_data_of_a_model_are_those_that_it_is_conditioned_on() -> None:
    def of(x: Any, y: Any, sd: float = 1.0) -> str:
        with pm.Model() as model:
            mean = by.Data("x", x) * pm.Normal("b", 0, sd)
            pm.Normal("y", mean, observed=y)
        return data_fingerprint(model, compile_program(model))

    rows = np.arange(3.0)
    assert of(rows, rows) == of(rows.copy(), rows.copy())
    assert len({of(rows, rows), of(rows + 1, rows), of(rows, rows + 1)}) == 3
    # Not of the model itself.
    assert of(rows, rows) == of(rows, rows, sd=2.0)


def test_rows_in_memory_or_not_are_the_same_data() -> None:
    rows = by.source({"y": np.arange(20.0)})["y"]

    def of(in_memory_size: int | None) -> str:
        with pm.Model() as model:
            y = by.Minibatch(rows, 2, in_memory_size=in_memory_size)
            pm.Normal("y", pm.Normal("mu"), observed=y, total_size=20)
        return data_fingerprint(model, compile_program(model))

    assert of(5) == of(None)
