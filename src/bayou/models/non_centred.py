"""Hierarchical normals written as offsets: ``x = mean + scale * offset``, with standard offsets.

Where data say little of each group, the offsets are nearly independent of the scale, and `x` itself
is not: a posterior that no normal matches becomes one that a normal does (Papaspiliopoulos, Roberts
and Skold 2007).
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, NamedTuple

import pymc as pm
from pytensor.graph.traversal import ancestors

from bayou.models.inputs import takes_rows
from bayou.models.rewrite import (
    model_graphs,
    rebuild_model,
    rebuild_variables,
    same_structure,
    structure_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytensor.tensor.variable import TensorVariable

    from bayou.models.rewrite import Structure

    type Shapes = Mapping[str, tuple[int, ...]]
    type Known = dict[tuple[object, ...], NonCentred]

# Added to the name of a variable, for that of its offsets.
SUFFIX = "_offset"


class NonCentred(NamedTuple):
    """A model whose hierarchical normals are offsets, and the names of these normals.

    Attributes
    ----------
    model : pymc.Model
        Its free variables stand in the order of those that they replace. The normals are
        deterministics of it.
    names : tuple of str
    """

    model: pm.Model
    names: tuple[str, ...]


# By model: its structure and, by normals and shapes, the model with offsets.
_rewritten: weakref.WeakKeyDictionary[pm.Model, tuple[Structure, Known]] = (
    weakref.WeakKeyDictionary()
)


def hierarchical_normals(model: pm.Model) -> tuple[str, ...]:
    """Return the names of the free normals whose scale depends on another free variable.

    Those whose parameters depend on rows that are fed are left out, and those with a transform.
    """
    free = set(model.free_RVs)
    return tuple(
        variable.name
        for variable in model.free_RVs
        if isinstance(variable.owner.op, pm.Normal.rv_type)
        and model.rvs_to_transforms[variable] is None
        and not free.isdisjoint(ancestors([_parameters(variable)[1]]))
        and not any(map(takes_rows, _parameters(variable)))
    )


def non_centred_model(model: pm.Model, names: tuple[str, ...], shapes: Shapes) -> NonCentred:
    """Return a model of the same posterior with offsets in the place of hierarchical normals.

    It is the same one until the structure of the model or a shape changes.

    Parameters
    ----------
    model : pymc.Model
        A model of plain tensors, which stays as it is.
    names : tuple of str
        Those of the normals, of :func:`hierarchical_normals`.
    shapes : mapping of str to tuple of int
        The shape of each free variable, by the name of its value variable.
    """
    structure = structure_of(model)
    old_structure, known = _rewritten.get(model, ((), {}))
    if not same_structure(old_structure, structure):
        known = {}
    _rewritten[model] = structure, known
    key = (names, *shapes.items())
    if key in known:
        return known[key]
    rewritten = model
    for name in names:
        # What depends on a variable is built again, other normals too.
        (variable,) = (each for each in rewritten.free_RVs if each.name == name)
        shape = shapes[rewritten.rvs_to_values[variable].name]
        rewritten = _with_offset(rewritten, variable, shape)
    known[key] = NonCentred(rewritten, names)
    return known[key]


def _with_offset(model: pm.Model, variable: TensorVariable, shape: tuple[int, ...]) -> pm.Model:
    mean, scale = _parameters(variable)
    offset = pm.Normal.dist(0, 1, shape=shape)
    centred = mean + scale * offset
    rebuilt = rebuild_variables(model_graphs(model), {variable: centred})
    value = model.rvs_to_values[variable]
    name = variable.name
    new_value = value.type(name=f"{name}{SUFFIX}")
    new_model = rebuild_model(model, rebuilt | {variable: offset, value: new_value})
    offset.name, centred.name = f"{name}{SUFFIX}", name
    new_model.rvs_to_initial_values[offset] = None
    new_model.deterministics.append(centred)
    return new_model


def _parameters(variable: TensorVariable) -> tuple[TensorVariable, TensorVariable]:
    """Return the mean and the standard deviation of a normal."""
    node = variable.owner
    mean, scale = node.op.dist_params(node)
    return mean, scale
