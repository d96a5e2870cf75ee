"""The check that predictions for a row depend on that row alone, so that rows can go in pieces.

It is an experiment, since the graph of a model may be anything. Two samples of rows, of different
lengths, share some rows, at different positions and beside different ones: what is computed for the
shared rows must be equal in both. Random variables are cut out of the graph for that; their shared
rows get equal values, and their parameters are compared like outputs. Nothing is compiled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pytensor.graph.replace import clone_replace

from bayou.errors import RowsDependError
from bayou.models.interpret import compile_interpreter
from bayou.models.random_variables import RandomNode, draws_in_loops, generators_of, random_nodes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable

    from bayou.prediction.graph.forward_graph import Arrays, ForwardGraph, VariableArrays


# The positions of the shared rows in the short and in the long sample.
SHORT_ROWS, LONG_ROWS = range(1, 4), range(4, 7)
# The lengths of the samples: two that are rarely the length of anything else in a model, and few,
# since some models cost the square of them.
SHORT, LONG = 6, 9


@dataclass(frozen=True)
class RowShape:
    """The shape of a variable for any number of rows.

    Attributes
    ----------
    lengths : tuple of int
        The length of each axis. That of the axis of the rows is arbitrary.
    row_axis : int or None
        The axis of the rows; None for a variable that is the same for all rows.
    """

    lengths: tuple[int, ...]
    row_axis: int | None

    def with_rows(self, num_rows: int) -> tuple[int, ...]:
        """Return the shape for a number of rows."""
        return tuple(
            num_rows if axis == self.row_axis else length
            for axis, length in enumerate(self.lengths)
        )

    @property
    def row_size(self) -> int:
        """The number of elements of one row."""
        return int(np.prod(self.with_rows(1), dtype=np.int64))


@dataclass(frozen=True)
class RowShapes:
    """The shapes of the variables of a graph whose rows do not depend on each other.

    Attributes
    ----------
    outputs : tuple of RowShape
        The shapes of the outputs.
    random : tuple of RowShape
        The shapes of its basic random variables, in the order of
        :func:`bayou.models.random_variables.random_nodes`.
    """

    outputs: tuple[RowShape, ...]
    random: tuple[RowShape, ...]


def two_samples(rows: Arrays) -> tuple[Arrays, Arrays]:
    """Return the samples of rows that are compared, lengths SHORT and LONG.

    Few rows are repeated. The more of them differ, the more the comparison shows.
    """
    count = len(rows[0])
    unshared = [index for index in range(LONG) if index not in LONG_ROWS]
    short, long = np.arange(SHORT), np.empty(LONG, int)
    long[list(LONG_ROWS)] = short[list(SHORT_ROWS)]
    long[unshared] = np.arange(SHORT, SHORT + len(unshared))
    return [row[short % count] for row in rows], [row[long % count] for row in rows]


def free_variable_shapes(
    graph: ForwardGraph, fixed: Arrays, samples: tuple[Arrays, Arrays]
) -> dict[str, RowShape]:
    """Return the shapes of the free variables of a graph, without drawing any of them.

    Raises
    ------
    RowsDependError
        If one has several axes that grow with the rows, or one that grows otherwise.
    """
    names = list(graph.free)
    shapes = [graph.free[name].shape for name in names]
    generators = generators_of(shapes)
    evaluate = compile_interpreter([*graph.data_inputs, *generators], shapes)
    short, long = (
        evaluate(*fixed, *sample, *(np.random.default_rng(0) for _ in generators))
        for sample in samples
    )
    return {
        name: _row_shape(name, tuple(map(int, short_shape)), tuple(map(int, long_shape)))
        for name, short_shape, long_shape in zip(names, short, long, strict=True)
    }


def check_rows(
    graph: ForwardGraph,
    outputs: Sequence[Variable],
    parameters: VariableArrays,
    fixed: Arrays,
    samples: tuple[Arrays, Arrays],
) -> RowShapes:
    """Check that rows do not depend on each other, and return the shapes of the variables.

    Parameters
    ----------
    graph : ForwardGraph
        The graph that the outputs are of.
    outputs : sequence of Variable
        The variables to predict.
    parameters : mapping of Variable to ndarray
        Values of the inputs of the outputs that are not data: of one draw.
    fixed : sequence of ndarray
        The values of the containers without rows.
    samples : pair of sequences of ndarray
        Rows, as :func:`two_samples` returns them.

    Raises
    ------
    RowsDependError
        If rows depend on each other. The message gives the reason.
    """
    if draws_in_loops(outputs):
        raise RowsDependError("random numbers are drawn one after the other, in a loop")
    inputs = [*parameters, *graph.data_inputs]
    nodes = random_nodes(outputs)
    values = [node.value for node in nodes]
    generators = generators_of(outputs)
    draw = compile_interpreter([*inputs, *generators], values)
    compared, names = _compared_variables(nodes, outputs)
    cut = {value: value.type() for value in values}
    compute = compile_interpreter(
        [*inputs, *cut.values()], clone_replace(compared, cut, rebuild_strict=False)
    )
    try:
        short, long = (
            draw(
                *parameters.values(),
                *fixed,
                *sample,
                *(np.random.default_rng(1) for _ in generators),
            )
            for sample in samples
        )
        shapes = [
            _row_shape("a variable", a.shape, b.shape) for a, b in zip(short, long, strict=True)
        ]
        long = [
            _with_shared_rows(shape, *both)
            for shape, *both in zip(shapes, short, long, strict=True)
        ]
        results = [
            compute(*parameters.values(), *fixed, *sample, *drawn)
            for sample, drawn in zip(samples, (short, long), strict=True)
        ]
    # What cannot be computed for a few rows alone may still be computed for all of them.
    # PyTensor raises an AssertionError for a shape that is written into the model.
    except (
        ValueError,
        IndexError,
        ArithmeticError,
        AssertionError,
        np.linalg.LinAlgError,
    ) as error:
        message = str(error).partition("\n")[0]
        raise RowsDependError(f"a few rows by themselves give: {message}") from error
    compared_shapes = [_compare(*part) for part in zip(names, *results, strict=True)]
    for node, shape in zip(nodes, shapes, strict=True):
        _check_drawn_by_row(node, shape, compared_shapes)
        compared_shapes = compared_shapes[len(node.parameters) :]
    return RowShapes(outputs=tuple(compared_shapes), random=tuple(shapes))


def _compared_variables(
    nodes: Sequence[RandomNode], outputs: Sequence[Variable]
) -> tuple[list[Variable], list[str]]:
    """Return the variables whose shared rows must be equal, the parameters first, and names."""
    parameters = [(parameter, _name(node)) for node in nodes for parameter in node.parameters]
    asked = [(output, repr(output.name)) for output in outputs]
    variables, names = zip(*(parameters + asked), strict=True)
    return list(variables), list(names)


def _name(node: RandomNode) -> str:
    return repr(node.value.name) if node.value.name else f"a {node.op.name}"


def _check_drawn_by_row(node: RandomNode, shape: RowShape, parameters: Sequence[RowShape]) -> None:
    """Refuse a random variable of which one draw has several rows, such as an MvNormal of rows."""
    parts = [(shape, node.support_axes), *zip(parameters, node.core_axes, strict=False)]
    for part, core_axes in parts:
        if part.row_axis is not None and part.row_axis >= len(part.lengths) - core_axes:
            raise RowsDependError(f"rows of {_name(node)} are drawn together")


def _compare(name: str, short: NDArray[np.number], long: NDArray[np.number]) -> RowShape:
    """Return the shape of a variable whose shared rows are equal; else raise."""
    shape = _row_shape(name, short.shape, long.shape)
    if shape.row_axis is not None:
        short = np.take(short, SHORT_ROWS, shape.row_axis)
        long = np.take(long, LONG_ROWS, shape.row_axis)
    # Not exactly equal: sums over another number of rows may be in another order.
    if not np.allclose(short, long, rtol=1e-6, atol=1e-12, equal_nan=True):
        raise RowsDependError(f"rows of {name} change with other rows")
    return shape


def _row_shape(name: str, short: tuple[int, ...], long: tuple[int, ...]) -> RowShape:
    """Return the shape of a variable from its shapes for the two samples."""
    axes = [axis for axis, (a, b) in enumerate(zip(short, long, strict=True)) if a != b]
    if [(short[axis], long[axis]) for axis in axes] not in ([], [(SHORT, LONG)]):
        raise RowsDependError(f"{name} does not have one axis for the rows")
    return RowShape(short, axes[0] if axes else None)


def _with_shared_rows[Number: np.generic](
    shape: RowShape, short: NDArray[Number], long: NDArray[Number]
) -> NDArray[Number]:
    """Return the values of the long sample, with those of the short one in the shared rows."""
    if shape.row_axis is None:
        return short
    values = np.array(long)
    target, source = (np.moveaxis(part, shape.row_axis, 0) for part in (values, short))
    target[list(LONG_ROWS)] = source[list(SHORT_ROWS)]
    return values
