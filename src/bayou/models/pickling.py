"""Pickled models that take the densities of their distributions with them.

PyMC makes a class for each pm.CustomDist and registers its density for that class. In another
process the class arrives as another one, for which nothing is registered; so do classes that were
written in a notebook. Ray and other process pools pickle models.
"""

from __future__ import annotations

import copyreg
import sys
from typing import TYPE_CHECKING, Any

from pymc.distributions.distribution import _support_point
from pymc.distributions.shape_utils import _change_dist_size
from pymc.logprob.abstract import _logcdf, _logprob
from pytensor.graph.traversal import applys_between

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pymc as pm
    from pytensor.graph.basic import Variable
    from pytensor.graph.op import Op

# PyMC's functions that look up their implementation by the class of a distribution's operation.
REGISTRIES: dict[str, Any] = {
    "logp": _logprob,
    "logcdf": _logcdf,
    "support_point": _support_point,
    "change_size": _change_dist_size,
}

type Implementations = dict[str, Callable[..., object]]
"""Functions registered for a class, by the keys of ``REGISTRIES``."""


def carry_densities(model: pm.Model) -> None:
    """Have the densities of a model's distributions pickled with them from now on.

    Parameters
    ----------
    model : pymc.Model
        Any model.
    """
    for operation in _operations([*model.basic_RVs, *model.deterministics, *model.potentials]):
        kind = type(operation)
        if _registered(kind) and not _is_importable(kind):
            copyreg.pickle(kind, _reduce)


def _operations(outputs: Sequence[Variable]) -> Iterator[Op]:
    """Yield the operations of graphs, and those of the graphs inside of operations."""
    for node in applys_between([], outputs):
        yield node.op
        # Before PyTensor 3.3 an operation had one inner graph.
        one_graph = {"": node.op.fgraph} if hasattr(node.op, "fgraph") else {}
        for graph in getattr(node.op, "inner_graphs", one_graph).values():
            yield from _operations(graph.outputs)


def _registered(kind: type) -> Implementations:
    """Return the functions registered for a class itself, not for its bases."""
    return {
        name: registry.registry[kind]
        for name, registry in REGISTRIES.items()
        if kind in registry.registry
    }


def _is_importable(kind: type) -> bool:
    """Return whether another process gets a class by importing its module.

    The import registers the densities too.
    """
    module = sys.modules.get(kind.__module__)
    return kind.__module__ != "__main__" and getattr(module, kind.__qualname__, None) is kind


def _reduce(operation: Op) -> tuple[Any, ...]:
    """Reduce an operation for pickle as usual, with what is registered for its class."""
    make, arguments, *state = operation.__reduce_ex__(4)
    # The name of this function is in pickles that were stored.
    return _made, (_registered(type(operation)), make, arguments), *state


def _made(
    registered: Implementations, make: Callable[..., Op], arguments: tuple[object, ...]
) -> Op:
    """Restore an operation, and register what is not registered for its class yet."""
    operation = make(*arguments)
    kind = type(operation)
    for name in registered.keys() - _registered(kind).keys():
        REGISTRIES[name].register(kind, registered[name])
    return operation
