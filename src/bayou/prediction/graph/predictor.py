"""What predicts: made once for a model and what is asked of it, then for any rows and draws."""

from __future__ import annotations

import warnings
import weakref
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.errors import RowsDependError
from bayou.models.interpret import compile_interpreter
from bayou.prediction.graph.engines import generators_at, jax_covers, jax_engine, pytensor_engine
from bayou.prediction.graph.forward_graph import (
    dtype_of,
    fingerprint,
    generators_of,
    needed,
    open_graph,
    predictable,
    random_nodes,
    with_shape,
)
from bayou.prediction.graph.row_dependence import row_shapes, try_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable

    from bayou.prediction.graph.engines import Engine
    from bayou.prediction.graph.forward_graph import Graph
    from bayou.prediction.graph.row_dependence import Rowwise, Shape

type Arrays = Sequence[NDArray[Any]]

# Elements of one output that JAX, and PyTensor, compute at once for a draw.
JAX_ELEMENTS, PYTENSOR_ELEMENTS = 2**10, 2**13
# The number of what is drawn once for all rows, where pieces of rows have theirs.
FOR_ALL_ROWS = 2**32 - 1


@dataclass(frozen=True, eq=False)
class Predictor:
    """Predictions of a model.

    Attributes
    ----------
    given : tuple of str
        The free variables whose draws it takes.
    population : tuple of str
        The free variables that it draws from their distribution given the others, once a draw.
    latent : tuple of str
        Those that it draws for each row.
    dtypes : tuple of str
        Of the predictions.
    fingerprint : str
        Differs between models, whatever their data.
    try_rows : callable
        (values of the parameters for one draw, containers without rows, rows) -> predictions,
        without a compiler: an error if rows do not fit the model, such as an index out of range.
    engine : Engine
        Computes the predictions of rows.
    compiler : str
        What did it: "jax" or "pytensor".
    dependence : str
        What shows that rows depend on each other; "" if they do not. What is below is of rows that
        do not.
    shapes : tuple of Shape
        Of the predictions, for one draw.
    piece_rows : int
        The rows that are computed at once, and whose random numbers start anew.
    call_rows : int
        The rows that the engine takes at most, a multiple of that.
    once : callable
        (values of the parameters, numbers of the draws, containers without rows, rows, seed) ->
        the draws of what is the same for all rows: further parameters, and predictions.
    """

    given: tuple[str, ...]
    population: tuple[str, ...]
    latent: tuple[str, ...]
    dtypes: tuple[str, ...]
    fingerprint: str
    try_rows: Callable[..., list[NDArray[Any]]]
    engine: Engine
    compiler: str = "pytensor"
    dependence: str = ""
    shapes: tuple[Shape, ...] = ()
    piece_rows: int = 0
    call_rows: int = 0
    once: Callable[..., tuple[list[NDArray[Any]], list[NDArray[Any]]]] | None = None


_made: weakref.WeakKeyDictionary[pm.Model, dict[Any, Predictor]] = weakref.WeakKeyDictionary()


def predictor(
    model: pm.Model,
    names: Sequence[str],
    containers: Sequence[Variable],
    row_dims: Sequence[str],
    posterior: Mapping[str, NDArray[Any]],
    others: Mapping[Variable, NDArray[Any]],
    pieces: tuple[Arrays, Arrays],
) -> tuple[Predictor, list[NDArray[Any]]]:
    """Return what predicts, and the values of the containers without rows that it takes.

    The same one is returned for other values of the same shapes.

    Parameters
    ----------
    model : pymc.Model
        Stays as it is.
    names : sequence of str
        What is asked for.
    containers : sequence of Variable
        Those whose rows are new.
    row_dims : sequence of str
        Dims that are as long as there are rows.
    posterior : mapping of str to ndarray, shapes (draws, ...)
        Draws of variables of the model.
    others : mapping of Variable to ndarray
        New values of containers without rows.
    pieces : pair of sequences of ndarray
        Rows to try whether they depend on each other, as :func:`try_rows` takes them.

    Raises
    ------
    ValueError
        If draws of a variable are not of its shape.
    """
    rows = {part: row.shape[1:] for part, row in zip(containers, pieces[0], strict=True)}
    graph = open_graph(model, names, rows, row_dims, others)
    fixed = [
        np.asarray(others[root] if root in others else root.get_value(borrow=True))
        for root in graph.fixed
    ]
    key = (
        tuple(predictable(model)[name] for name in names),
        tuple(rows.items()),
        tuple(row_dims),
        tuple((name, posterior[name].shape[1:]) for name in graph.free if name in posterior),
        tuple(value.shape for value in fixed),
        graph.constants,
    )
    known = _made.setdefault(model, {})
    if key not in known:
        known[key] = _predictor(graph, posterior, fixed, pieces)
    return known[key], fixed


def _predictor(
    graph: Graph,
    posterior: Mapping[str, NDArray[Any]],
    fixed: Arrays,
    pieces: tuple[Arrays, Arrays],
) -> Predictor:
    given, latent = _given(graph, posterior, fixed, pieces)
    wanted = needed(graph, given)
    places = {
        name: with_shape(graph.free[name], posterior[name].shape[1:])
        for name in wanted
        if name in given
    }
    outputs = graph.replaced(
        graph.outputs, {graph.free[name]: place for name, place in places.items()}
    )
    inputs = list(places.values())
    described: dict[str, Any] = {
        "given": tuple(places),
        "population": tuple(name for name in wanted if name not in places and name not in latent),
        "latent": tuple(name for name in wanted if name in latent),
        "dtypes": tuple(map(dtype_of, outputs)),
        "fingerprint": fingerprint(outputs),
        "try_rows": _trial(graph, inputs, outputs),
    }
    values = {place: posterior[name][0] for name, place in places.items()}
    every = range(len(outputs))
    try:
        found = try_rows(graph, outputs, values, fixed, pieces)
    except RowsDependError as error:
        engine = pytensor_engine(graph, inputs, outputs, every, {})
        return Predictor(**described, dependence=str(error), engine=engine)
    single = {
        index: with_shape(node.value, shape.lengths)
        for index, (node, shape) in enumerate(zip(random_nodes(outputs), found.nodes, strict=True))
        if shape.row_axis is None
    }
    of_rows = [index for index in every if found.outputs[index].row_axis is not None]
    return Predictor(
        **described,
        **_engine(graph, [*inputs, *single.values()], outputs, of_rows, single, found),
        shapes=found.outputs,
        once=_once(graph, inputs, outputs, found),
    )


def _trial(
    graph: Graph, inputs: Sequence[Variable], outputs: Sequence[Variable]
) -> Callable[..., list[NDArray[Any]]]:
    generators = generators_of(outputs)
    arguments = [*inputs, *graph.fixed.values(), *graph.rows, *generators]
    evaluate = compile_interpreter(arguments, outputs)

    def trial(values: Arrays, fixed: Arrays, rows: Arrays) -> list[NDArray[Any]]:
        try:
            found = evaluate(*values, *fixed, *rows, *generators_at(len(generators), 0))
        except (ValueError, IndexError, TypeError) as error:
            message = str(error).partition("\n")[0]
            raise ValueError(
                f"`data` must fit the model, which cannot be computed for them: {message}\n"
                "Hint: whole numbers that index levels must be among these; rows that the model "
                "holds as plain arrays, `observed=` included, keep their number: put them into a "
                "by.Data."
            ) from error
        return [np.asarray(part) for part in found]

    return trial


def _given(
    graph: Graph,
    posterior: Mapping[str, NDArray[Any]],
    fixed: Arrays,
    pieces: tuple[Arrays, Arrays],
) -> tuple[set[str], set[str]]:
    """Return the free variables whose draws are taken, and those that have a value for each row."""
    try:
        shapes = row_shapes(graph, fixed, pieces)
    except RowsDependError:
        shapes = {}
    latent = {name for name, shape in shapes.items() if shape.row_axis is not None}
    given = {name for name in graph.free if name in posterior} - latent
    for name in given & shapes.keys():
        if posterior[name].shape[1:] != shapes[name].lengths:
            raise ValueError(
                f"Draws of {name!r} must have the shape that it has in the model, "
                f"{shapes[name].lengths}, got {posterior[name].shape[1:]}.\n"
                "Hint: pass the model that was fitted; or leave the variable out, "
                f"tree.posterior.to_dataset().drop_vars({name!r}), to draw it from its "
                "distribution given the others."
            )
    return given, latent


def _engine(
    graph: Graph,
    inputs: Sequence[Variable],
    outputs: Sequence[Variable],
    of_rows: Sequence[int],
    single: Mapping[int, Variable],
    found: Rowwise,
) -> dict[str, Any]:
    """Return the faster compiler that covers the outputs, and what it makes of them."""
    largest = max((found.outputs[index].row_size for index in of_rows), default=1)
    if jax_covers([outputs[index] for index in of_rows]):
        rows = max(1, JAX_ELEMENTS // largest)
        # PyTensor translates most of what it knows to JAX, but not all, and not for all shapes.
        with suppress(Exception), warnings.catch_warnings():
            # What it cannot check while it runs was checked when rows were tried.
            warnings.filterwarnings("ignore", "Skipping .* Op")
            engine, most = jax_engine(graph, inputs, outputs, of_rows, single, found, rows)
            return {"compiler": "jax", "piece_rows": rows, "call_rows": most, "engine": engine}
    rows = max(1, PYTENSOR_ELEMENTS // largest)
    engine = pytensor_engine(graph, inputs, outputs, of_rows, single)
    return {"compiler": "pytensor", "piece_rows": rows, "call_rows": rows, "engine": engine}


def _once(
    graph: Graph, inputs: Sequence[Variable], outputs: Sequence[Variable], found: Rowwise
) -> Callable[..., tuple[list[NDArray[Any]], list[NDArray[Any]]]]:
    """Return a function of what is drawn and computed once for all rows, without a compiler."""
    nodes = [
        node.value
        for node, shape in zip(random_nodes(outputs), found.nodes, strict=True)
        if shape.row_axis is None
    ]
    single = [
        output
        for output, shape in zip(outputs, found.outputs, strict=True)
        if shape.row_axis is None
    ]
    wanted = [*nodes, *single]
    generators = generators_of(wanted)
    evaluate = compile_interpreter(
        [*inputs, *graph.fixed.values(), *graph.rows, *generators], wanted
    )

    def once(
        values: Arrays, draws: NDArray[Any], fixed: Arrays, rows: Arrays, seed: int
    ) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        results = []
        for place, draw in enumerate(draws.tolist() if wanted else ()):
            numbers = generators_at(len(generators), seed, draw, FOR_ALL_ROWS)
            results.append(evaluate(*(value[place] for value in values), *fixed, *rows, *numbers))
        stacked = [np.stack(parts) for parts in zip(*results, strict=True)]
        return stacked[: len(nodes)], stacked[len(nodes) :]

    return once
