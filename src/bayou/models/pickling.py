"""Densities that are registered in this process alone, which models take to others with them.

PyMC makes a class for each pm.CustomDist and registers its density for that class. Elsewhere the
class arrives as another one, for which nothing is registered; so do classes of a notebook.
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

REGISTRIES: dict[str, Any] = {
    "logp": _logprob,
    "logcdf": _logcdf,
    "support_point": _support_point,
    "change_size": _change_dist_size,
}


def carry_densities(model: pm.Model) -> None:
    """Have what is registered for distributions of a model pickled with them, from now on.

    Parameters
    ----------
    model : pymc.Model
        Any model.
    """
    for operation in _operations([*model.basic_RVs, *model.deterministics, *model.potentials]):
        kind = type(operation)
        if _registered(kind) and not _is_importable(kind):
            copyreg.pickle(kind, _reduced)


def _operations(outputs: Sequence[Variable]) -> Iterator[Any]:
    """Yield all that is applied in graphs, and in the graphs that are applied there."""
    for node in applys_between([], outputs):
        yield node.op
        # Before PyTensor 3.3 an operation had one graph.
        own = {"": node.op.fgraph} if hasattr(node.op, "fgraph") else {}
        for graph in getattr(node.op, "inner_graphs", own).values():
            yield from _operations(graph.outputs)


def _registered(kind: type) -> dict[str, Callable[..., Any]]:
    """Return what is registered for a class itself."""
    return {
        name: registry.registry[kind]
        for name, registry in REGISTRIES.items()
        if kind in registry.registry
    }


def _is_importable(kind: type) -> bool:
    """Tell whether other processes find a class by its name, with what is registered for it."""
    module = sys.modules.get(kind.__module__)
    return kind.__module__ != "__main__" and getattr(module, kind.__qualname__, None) is kind


def _reduced(operation: Any) -> Any:
    """Return how an operation is made again: as any object, and what is registered for it."""
    make, arguments, *state = operation.__reduce_ex__(4)
    return _made, (_registered(type(operation)), make, arguments), *state


def _made(
    registered: dict[str, Callable[..., Any]], make: Callable[..., Any], arguments: tuple[Any, ...]
) -> Any:
    """Make an operation, and register what is not registered for its class yet."""
    operation = make(*arguments)
    kind = type(operation)
    for name in registered.keys() - _registered(kind).keys():
        REGISTRIES[name].register(kind, registered[name])
    return operation
