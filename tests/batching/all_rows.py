"""The density of all rows as one batch, beside that of the model."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

from bayou.batching.batched import batched_program
from bayou.models.inputs import sampling_of, storage_of


def check_density(model: pm.Model) -> None:
    """Check that batches are drawn, and that all rows as one batch have the model's density."""
    _, program = batched_program(model, 7, None, validate=True)
    assert {sample.size for v in program.fed for sample in sampling_of(v)} == {7}
    fed = [storage_of(variable).get_value() for variable in program.fed]
    point = model.initial_point()
    position = np.concatenate([np.ravel(point[name]) + 0.1 for name in program.layout.names])
    found = program.density(position, (*fed, *program.data_values()))
    moved = {name: value + 0.1 for name, value in point.items()}
    assert float(found) == pytest.approx(float(model.compile_logp()(moved)), rel=1e-9)
