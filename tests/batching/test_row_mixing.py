"""Operations that take rows together, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayou as by
from bayou.batching.row_mixing import (
    distribution_name,
    has_joint_density,
    has_joint_transform,
    mixing_operations,
)

Z = np.arange(1.0, 7.0)
REDUCTION = "a sum, mean or other reduction over rows"
MIXING: dict[str, tuple[Callable[[Any], Any], list[str]]] = {
    "none": (lambda z: z * 2 + 1, []),
    "another axis": (lambda z: (z[:, None] * np.ones(3)).sum(axis=1), []),
    "the number of rows": (lambda z: z / z.shape[0], []),
    "sum": (lambda z: z / z.sum(), [REDUCTION]),
    "max": (lambda z: z / z.max(), [REDUCTION]),
    "cumulative": (pt.cumsum, ["a cumulative sum or product"]),
    "softmax": (lambda z: pm.math.softmax(z, axis=0), ["a softmax"]),
    "sort": (pt.sort, ["a sort"]),
    "index": (lambda z: z[np.array([0, 0, 1, 2, 3, 4])], ["an index into the rows"]),
    "convolution": (
        lambda z: pt.signal.convolve1d(z, np.ones(3), mode="same"),
        ["a convolution", "a shift of rows"],
    ),
    "zeros before": (lambda z: pt.concatenate([np.zeros(2), z[:-2]]), ["a shift of rows"]),
    "shift": (lambda z: pt.concatenate([z[:1], z[:-1]]), ["a shift of rows"]),
}


@pytest.mark.parametrize("name", MIXING)
def test_operations_are_named_once(name: str) -> None:
    mix, expected = MIXING[name]
    with pm.Model() as model:
        z = by.Minibatch(Z, 6)
        pm.Normal("y", pm.Normal("slope") * mix(z), 1, observed=by.Minibatch(Z, 6), total_size=6)
    found = mixing_operations(model, "y")
    if name == "another axis":
        # z[:, None] is a view, which is not told from a shift.
        assert REDUCTION not in found
    else:
        assert found == expected


def test_a_potential_has_a_graph_too() -> None:
    with pm.Model() as model:
        z = by.Minibatch(Z, 3)
        pm.Potential("pull", -((z - z.mean()) ** 2) * pm.Normal("mu"))
    assert mixing_operations(model, "pull") == [REDUCTION]


def test_joint_densities_and_their_names() -> None:
    normal, joint = pm.Normal.dist(shape=3), pm.MvNormal.dist(np.zeros(3), np.eye(3))
    pairs = pm.MvNormal.dist(np.zeros((4, 2)), np.eye(2))
    assert [has_joint_density(variable) for variable in (normal, joint, pairs)] == [
        False,
        True,
        False,
    ]
    assert distribution_name(joint) == "MultivariateNormal"
    with pm.Model():
        scaled = pm.MvNormal("y", np.zeros(3), np.eye(3), observed=np.ones(3), total_size=9)
    assert has_joint_density(scaled)
    assert distribution_name(scaled) == "MultivariateNormal"


def test_joint_transforms() -> None:
    transforms = pm.distributions.transforms
    column, matrix = pm.Normal.dist(shape=3), pm.Normal.dist(shape=(4, 3))
    chained = transforms.Chain([transforms.log, transforms.ordered])
    for joint in (transforms.ordered, transforms.simplex, chained):
        assert has_joint_transform(column, joint)
        assert not has_joint_transform(matrix, joint)
    for separate in (None, transforms.log):
        assert not has_joint_transform(column, separate)
