"""Whole numbers in rows that a fit reads while it runs are levels, or an error names them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pymc as pm
import pytest

import bayou as by
from tests.coded_rows import rows


@pytest.mark.parametrize("wrong", [-1, 3])
def test_rows_that_are_not_in_memory(wrong: int, tmp_path: Path) -> None:
    source = rows(tmp_path, wrong)
    with pm.Model() as model:
        group = by.Data("g", source, columns="level", dims="row", in_memory_size=200)
        y = by.Data("y", source, columns="y", dims="row", in_memory_size=200)
        pm.Normal("o", pm.Normal("effect", shape=3)[group], 1, observed=y, dims="row")
    with pytest.raises(
        IndexError,
        match=rf"^'g' must hold .*, got {wrong} in row 990 of the column 'level'\.",
    ):
        by.fit(10, model=model, batch_size=20, progressbar=False)


def test_later_items_of_a_generator() -> None:
    def items() -> Iterator[np.ndarray]:
        for step in range(10):
            yield np.array([0, 1, 3 if step == 4 else 2])

    with pm.Model() as model:
        group = by.generator(items())
        effect = pm.Normal("effect", shape=3)
        pm.Normal("o", effect[group], 1, observed=np.zeros(3), total_size=30)
    with pytest.raises(IndexError, match=r"'generator' must hold indices of 'effect', .* got 3 in"):
        by.fit(10, model=model, progressbar=False)
