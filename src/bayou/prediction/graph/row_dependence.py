"""Whether what a model predicts for a row depends on that row alone, so that rows can go in pieces.

It is tried on two pieces, of other lengths, that have some rows in common, at other places and
among other rows: what is predicted for these must be the same in both. Random variables are taken
out of the graph for that, their values for these rows are the same too. Nothing is compiled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.errors import RowsDependError
from bayou.models.interpret import compile_interpreter
from bayou.prediction.graph.forward_graph import (
    RandomNode,
    draws_in_loops,
    generators_of,
    random_nodes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable

    from bayou.prediction.graph.forward_graph import Graph

type Arrays = Sequence[NDArray[Any]]

# Where the rows that two pieces have in common are in the short and in the long one.
SHORT_ROWS, LONG_ROWS = range(1, 4), range(4, 7)
SHORT, LONG = 6, 9


@dataclass(frozen=True)
class Shape:
    """The shape of a variable, and which of its axes is that of the rows; None if none is.

    The length along that axis is of no meaning.
    """

    lengths: tuple[int, ...]
    row_axis: int | None

    def of(self, num_rows: int) -> tuple[int, ...]:
        """Return the shape for so many rows."""
        return tuple(
            num_rows if axis == self.row_axis else length
            for axis, length in enumerate(self.lengths)
        )

    @property
    def row_size(self) -> int:
        """The number of elements of a row."""
        return int(np.prod(self.of(1), dtype=np.int64))


@dataclass(frozen=True)
class Rowwise:
    """What was found of a graph whose rows do not depend on each other.

    Attributes
    ----------
    outputs : tuple of Shape
        Of what is asked for.
    nodes : tuple of Shape
        Of its basic random variables, in their order.
    """

    outputs: tuple[Shape, ...]
    nodes: tuple[Shape, ...]


def row_shapes(graph: Graph, fixed: Arrays, pieces: tuple[Arrays, Arrays]) -> dict[str, Shape]:
    """Return the shapes of the free variables of a graph, from rows of two pieces."""
    names = list(graph.free)
    shapes = [graph.free[name].shape for name in names]
    inputs = [*graph.rows, *graph.fixed.values()]
    generators = generators_of(shapes)
    evaluate = compile_interpreter([*inputs, *generators], shapes)
    found = [
        evaluate(*piece, *fixed, *(np.random.default_rng(0) for _ in generators))
        for piece in pieces
    ]
    return {
        name: _shape(name, tuple(map(int, short)), tuple(map(int, long)))
        for name, short, long in zip(names, *found, strict=True)
    }


def try_rows(
    graph: Graph,
    outputs: Sequence[Variable],
    given: Mapping[Variable, NDArray[Any]],
    fixed: Arrays,
    pieces: tuple[Arrays, Arrays],
) -> Rowwise:
    """Try whether rows depend on each other.

    Parameters
    ----------
    graph : Graph
        What the outputs are of.
    outputs : sequence of Variable
        What is asked for.
    given : mapping of Variable to ndarray
        Values of the inputs of the outputs that are no data.
    fixed : sequence of ndarray
        What the containers hold that have no rows.
    pieces : pair of sequences of ndarray, lengths SHORT and LONG
        Rows, of which those at SHORT_ROWS and LONG_ROWS are the same.

    Raises
    ------
    RowsDependError
        If they do.
    """
    if draws_in_loops(outputs):
        raise RowsDependError("random numbers are drawn one after the other, in a loop")
    inputs = [*given, *graph.rows, *graph.fixed.values()]
    nodes = random_nodes(outputs)
    values = [node.value for node in nodes]
    generators = generators_of(outputs)
    draw = compile_interpreter([*inputs, *generators], values)
    parts, names = _parts(nodes, outputs)
    cut = {value: value.type() for value in values}
    compute = compile_interpreter([*inputs, *cut.values()], graph.replaced(parts, cut))
    try:
        short, long = (
            draw(*given.values(), *piece, *fixed, *(np.random.default_rng(1) for _ in generators))
            for piece in pieces
        )
        shapes = [_shape("a variable", a.shape, b.shape) for a, b in zip(short, long, strict=True)]
        long = [
            _with_shared(shape, *both) for shape, *both in zip(shapes, short, long, strict=True)
        ]
        results = [
            compute(*given.values(), *piece, *fixed, *drawn)
            for piece, drawn in zip(pieces, (short, long), strict=True)
        ]
    # Whatever cannot be computed for a few rows may be for all of them.
    except (ValueError, IndexError, ArithmeticError, np.linalg.LinAlgError) as error:
        message = str(error).partition("\n")[0]
        raise RowsDependError(f"a few rows by themselves give: {message}") from error
    found = [_compare(*part) for part in zip(names, *results, strict=True)]
    for node, shape in zip(nodes, shapes, strict=True):
        _check_core(node, shape, found)
        found = found[len(node.parameters) :]
    return Rowwise(outputs=tuple(found), nodes=tuple(shapes))


def _parts(
    nodes: Sequence[RandomNode], outputs: Sequence[Variable]
) -> tuple[list[Variable], list[str]]:
    """Return all that must be equal: the parameters of each node, then the outputs."""
    parameters = [(parameter, _name(node)) for node in nodes for parameter in node.parameters]
    asked = [(output, repr(output.name)) for output in outputs]
    variables, names = zip(*(parameters + asked), strict=True)
    return list(variables), list(names)


def _name(node: RandomNode) -> str:
    return repr(node.value.name) if node.value.name else f"a {node.op.name}"


def _check_core(node: RandomNode, shape: Shape, parameters: Sequence[Shape]) -> None:
    """Refuse a draw of which several rows are a part."""
    parts = [(shape, node.support_axes), *zip(parameters, node.core_axes, strict=False)]
    for part, core in parts:
        if part.row_axis is not None and part.row_axis >= len(part.lengths) - core:
            raise RowsDependError(f"rows of {_name(node)} are drawn together")


def _compare(name: str, short: NDArray[Any], long: NDArray[Any]) -> Shape:
    """Return the shape of what is the same for the rows that two pieces share."""
    shape = _shape(name, short.shape, long.shape)
    if shape.row_axis is not None:
        short = np.take(short, SHORT_ROWS, shape.row_axis)
        long = np.take(long, LONG_ROWS, shape.row_axis)
    if not np.allclose(short, long, rtol=1e-6, atol=1e-12, equal_nan=True):
        raise RowsDependError(f"rows of {name} change with other rows")
    return shape


def two_pieces(rows: Arrays) -> tuple[Arrays, Arrays]:
    """Return the pieces that are tried, of rows the more of which differ, the better."""
    count = len(rows[0])
    others = [place for place in range(LONG) if place not in LONG_ROWS]
    short, long = np.arange(SHORT), np.empty(LONG, int)
    long[list(LONG_ROWS)] = short[list(SHORT_ROWS)]
    long[others] = np.arange(SHORT, SHORT + len(others))
    return [row[short % count] for row in rows], [row[long % count] for row in rows]


def _shape(name: str, short: tuple[int, ...], long: tuple[int, ...]) -> Shape:
    axes = [axis for axis, (a, b) in enumerate(zip(short, long, strict=True)) if a != b]
    if [(short[axis], long[axis]) for axis in axes] not in ([], [(SHORT, LONG)]):
        raise RowsDependError(f"{name} does not have one axis for the rows")
    return Shape(short, axes[0] if axes else None)


def _with_shared(shape: Shape, short: NDArray[Any], long: NDArray[Any]) -> NDArray[Any]:
    """Return values of the long piece that are those of the short one where they share rows."""
    if shape.row_axis is None:
        return short
    shared = np.array(long)
    moved, source = (np.moveaxis(part, shape.row_axis, 0) for part in (shared, short))
    moved[list(LONG_ROWS)] = source[list(SHORT_ROWS)]
    return shared
