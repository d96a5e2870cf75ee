"""The dataset of predictions before it has values."""

from __future__ import annotations

import numpy as np

from bayou.prediction.output.template import PredictedVariable, PredictionTemplate

Y = PredictedVariable("y", np.dtype("int8"), (2, 5), ("feature", "row"), 1)
SCALE = PredictedVariable("scale", np.dtype(float), (3,), ("group",), None)
TEMPLATE = PredictionTemplate(
    (Y, SCALE),
    np.arange(2),
    np.array([0, 10, 20, 30]),
    {"feature": ["f", "g"], "row": range(5), "group": range(3)},
    5,
    {"random_seed": 1},
    {"row": list("abcde")},
)


def test_rows_of_one_draw() -> None:
    assert np.arange(10).reshape(2, 5)[Y.row_slices(1, 2)].tolist() == [[1, 2], [6, 7]]
    assert np.arange(3)[SCALE.row_slices(1, 2)].tolist() == [0, 1, 2]


def test_sizes() -> None:
    assert TEMPLATE.num_draws == 8
    # Two elements of a byte in eight draws; what is the same for all rows does not count.
    assert TEMPLATE.row_bytes == 16
    assert TEMPLATE.row_variables == (Y,)
    assert TEMPLATE.shared_variables == (SCALE,)


def test_values_get_dims_coords_and_attributes() -> None:
    values = TEMPLATE.by_chain(np.arange(80).reshape(8, 2, 5))
    dataset = TEMPLATE.dataset({"y": values})
    assert dataset["y"].dims == ("chain", "draw", "feature", "row")
    assert dataset["y"].values.ravel().tolist() == list(range(80))
    assert dataset["row"].values.tolist() == list("abcde")
    assert dataset["draw"].values.tolist() == [0, 10, 20, 30]
    assert dataset.attrs == {"random_seed": 1}
