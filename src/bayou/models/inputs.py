"""What feeds the graphs of a model: rows that change from step to step, and data that stay.

PyTensor's and PyMC's insides that this takes are touched in this file and in ``program`` alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytensor.tensor as pt
from pymc.data import MinibatchOp
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.traversal import ancestors, walk
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.shape import Shape, Shape_i

from bayou.containers.variables.generator import GeneratorOp
from bayou.containers.variables.random_rows import NumRows, SliceOp
from bayou.containers.variables.source_variable import resident_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayou.sampling.axes import AxisSample


@dataclass(frozen=True, eq=False)
class GraphInputs:
    """What feeds some graphs, and the variables that stand for it as inputs.

    Attributes
    ----------
    fed : tuple of TensorVariable
        What changes from step to step, those that are sampled alike side by side.
    data : tuple of SharedVariable
        What stays.
    counted : tuple of (SharedVariable, int)
        Data whose number of rows is an input, and the axis that they are along.
    lengths : tuple of (SharedVariable, int)
        The whole numbers that are held as constants.
    inputs : list of Variable
        Stand for those fed, the data and the numbers of rows, in this order.
    replacements : dict of Variable to Variable
        From what feeds the graphs, clones of it included, to inputs and constants.
    """

    fed: tuple[TensorVariable, ...]
    data: tuple[SharedVariable, ...]
    counted: tuple[tuple[SharedVariable, int], ...]
    lengths: tuple[tuple[SharedVariable, int], ...]
    inputs: list[Variable]
    replacements: Mapping[Variable, Variable]

    def vary(self, variable: Variable) -> bool:
        """Tell whether a variable depends on what changes from step to step."""
        changing = {root for root in self.replacements if _changes(root)}
        return any(ancestor in changing for ancestor in ancestors([variable]))


def find_inputs(graphs: Sequence[Variable]) -> GraphInputs:
    """Find what feeds some graphs.

    Raises
    ------
    TypeError
        If that is a minibatch of PyMC.
    """
    roots = _roots(graphs)
    fixed = {root: pt.constant(root.get_value()) for root in roots if _fixed(root)}
    places = _placeholders([root for root in roots if root not in fixed])
    firsts = {place: root for root, place in reversed(places.items())}
    fed = _grouped([root for root in reversed(firsts.values()) if _changes(root)])
    stays = [root for root in reversed(firsts.values()) if not _changes(root)]
    counts = [root for root in stays if _counts(root)]
    data = [root for root in stays if not _counts(root)]
    return GraphInputs(
        fed=fed,
        data=tuple(root.owner.inputs[0] if root.owner else root for root in data),
        counted=tuple((root.owner.inputs[0], root.owner.op.axis) for root in counts),
        lengths=tuple((root, int(root.get_value())) for root in fixed),
        inputs=[places[root] for root in (*fed, *data, *counts)],
        replacements=places | fixed,
    )


def sampling_of(variable: TensorVariable) -> tuple[AxisSample, ...]:
    """Return how the axes of a minibatch are sampled; nothing for a generator."""
    return getattr(variable.owner.op, "samples", ())


def group_of(variable: TensorVariable) -> Any:
    """Return what variables that are fed the same rows by one feed have in common."""
    samples = sampling_of(variable)
    if not samples:
        return id(variable)
    resident = resident_of(storage_of(variable))
    return samples, None if resident is None else id(resident.column.source)


def storage_of(variable: TensorVariable) -> SharedVariable:
    """Return the data that a minibatch is a slice of; of a generator, its first item."""
    return variable.owner.inputs[0]


def uncast(variable: Any) -> Any:
    """Return what a variable is a cast of; itself if it is none."""
    while variable.owner is not None and isinstance(variable.owner.op, Elemwise):
        variable = variable.owner.inputs[0]
    return variable


def is_fed(variable: Variable) -> bool:
    """Tell whether a variable, or what it is a cast of, is a minibatch or a generator of bayou."""
    return _is_fed(uncast(variable))


def _is_fed(variable: Variable) -> bool:
    return variable.owner is not None and isinstance(variable.owner.op, SliceOp | GeneratorOp)


def _counts(variable: Variable) -> bool:
    return variable.owner is not None and isinstance(variable.owner.op, NumRows)


def _is_root(variable: Variable) -> bool:
    return _is_fed(variable) or _counts(variable)


def _changes(variable: Variable) -> bool:
    """Tell whether a root changes from step to step; a slice of no axis is all of its data."""
    return _is_fed(variable) and getattr(variable.owner.op, "samples", None) != ()


def _fixed(variable: Variable) -> bool:
    """Whole numbers without axes are lengths and sizes, which JAX needs while it compiles."""
    return (
        isinstance(variable, SharedVariable)
        and variable.type.ndim == 0
        and variable.type.dtype.startswith(("int", "uint"))
    )


def takes_rows(term: Variable) -> bool:
    """Tell whether a variable depends on rows that are fed, and not only on their shapes."""

    def inputs_of(variable: Variable) -> list[Variable]:
        if (
            variable.owner is None
            or _is_root(variable)
            or isinstance(variable.owner.op, Shape | Shape_i)
        ):
            return []
        return list(variable.owner.inputs)

    return any(_changes(variable) for variable in walk([term], inputs_of))


def mark_rows(potential: Any) -> None:
    """Have a potential taken for one with a density for each row, scaled to all of them."""
    potential.tag.is_of_rows = True


def has_row_mark(potential: Any) -> bool:
    """Return whether :func:`mark_rows` was called on a potential."""
    return bool(getattr(potential.tag, "is_of_rows", False))


def _roots(graphs: Sequence[Variable]) -> list[Variable]:
    """Find what feeds the graphs: slices, generators and shared values, clones of each included."""

    def inputs_of(variable: Variable) -> list[Variable]:
        return [] if variable.owner is None or _is_root(variable) else variable.owner.inputs

    roots = []
    for variable in walk(list(graphs), inputs_of, bfs=False):
        if _is_root(variable) or isinstance(variable, SharedVariable):
            roots.append(variable)
        elif variable.owner is not None and isinstance(variable.owner.op, MinibatchOp):
            raise TypeError(
                f"`model` must hold minibatches of bayou, got pm.Minibatch {variable}.\n"
                "Hint: make it with by.Minibatch(data, batch_size)."
            )
    return roots


def _placeholders(roots: Sequence[Variable]) -> dict[Variable, Variable]:
    """Give each root a variable in its place; clones of one slice share theirs."""
    by_node: dict[Any, Variable] = {}
    places = {}
    for root in roots:
        node = (root.owner.op, *root.owner.inputs) if root.owner else root
        places[root] = by_node.setdefault(node, root.type(name=root.name))
    return places


def _grouped(roots: list[TensorVariable]) -> tuple[TensorVariable, ...]:
    """Bring the roots that are sampled alike together, each group where its first root was."""
    groups: dict[Any, list[TensorVariable]] = {}
    for root in roots:
        groups.setdefault(group_of(root), []).append(root)
    return tuple(root for group in groups.values() for root in group)
