"""The compiled predictor of a model: built once for a set of outputs, used for any rows and draws.

It is cached by model and by all that its graphs depend on, so that a second call of ``predict``
compiles nothing. It has one of two forms: rows that do not depend on each other are predicted in
pieces, by JAX or by PyTensor; those that do are predicted together, by PyTensor.
"""

from __future__ import annotations

import logging
import warnings
import weakref
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import jax
import numpy as np
from pytensor.graph.replace import clone_replace

from bayou.errors import RowsDependError
from bayou.models.interpret import compile_interpreter
from bayou.models.random_variables import generators_of, random_nodes
from bayou.prediction.graph.engine import DEFAULT_SIZES, EngineGraph, generators_at
from bayou.prediction.graph.forward_graph import (
    fingerprint,
    forward_graph,
    input_like,
    needed_free_variables,
    predictable,
    prediction_dtype,
)
from bayou.prediction.graph.jax_engine import JaxEngine, jax_covers
from bayou.prediction.graph.parameter_ranges import draw_error, find_range_error
from bayou.prediction.graph.pytensor_engine import PytensorEngine
from bayou.prediction.graph.row_dependence import check_rows, free_variable_shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable

    from bayou.models.posterior_tree import NamedArrays
    from bayou.prediction.graph.engine import Engine, EngineSizes
    from bayou.prediction.graph.forward_graph import Arrays, ForwardGraph, VariableArrays
    from bayou.prediction.graph.row_dependence import RowShape, RowShapes

logger = logging.getLogger(__name__)

# In the place of the number of a piece, in the random numbers that are drawn once for all rows.
FOR_ALL_ROWS = 2**32 - 1
# What PyTensor and JAX raise for a graph that cannot be converted: an operation without a
# conversion, a shape or an index that depends on values.
NOT_CONVERTIBLE = (NotImplementedError, TypeError, jax.errors.JAXIndexError)


@dataclass(frozen=True, eq=False)
class RowPieces:
    """Predictions whose rows do not depend on each other, and are computed in pieces.

    Attributes
    ----------
    shapes : tuple of RowShape
        The shapes of the predictions for one draw.
    piece_rows : int
        The number of rows of a piece. Random numbers start anew with each piece.
    draw_shared : callable
        (parameters, draws, fixed, rows, seed) -> (further parameters, predictions), both of shapes
        (draws, ...): the draws of the random variables, and the predictions, that are the same for
        all rows. A few of the rows are enough.
    are_drawn : bool
        Whether random numbers are drawn for each row.
    """

    shapes: tuple[RowShape, ...]
    piece_rows: int
    draw_shared: Callable[..., tuple[Arrays, Arrays]]
    are_drawn: bool


@dataclass(frozen=True)
class DependentRows:
    """Predictions whose rows depend on each other, and are computed together.

    Attributes
    ----------
    reason : str
        What shows that they depend on each other.
    """

    reason: str


@dataclass(frozen=True, eq=False)
class Predictor:
    """Compiled predictions of a model.

    Attributes
    ----------
    parameter_names : tuple of str
        The free variables whose draws it takes.
    drawn_once : tuple of str
        The free variables that it draws from their distribution given the others, once a draw.
    drawn_by_row : tuple of str
        The free variables that it draws for each row.
    dtypes : tuple of str
        The dtypes of the predictions.
    fingerprint : str
        Digest of the graphs, without the data.
    predict_one : callable
        (parameters of one draw, fixed, rows) -> the predictions of one draw, without a compiler.
        Raises a ValueError for rows that do not fit the model.
    engine : Engine
        Computes the predictions that differ from row to row.
    rows : RowPieces or DependentRows
        Whether rows are computed in pieces, or together.
    """

    parameter_names: tuple[str, ...]
    drawn_once: tuple[str, ...]
    drawn_by_row: tuple[str, ...]
    dtypes: tuple[str, ...]
    fingerprint: str
    predict_one: Callable[..., Arrays]
    engine: Engine
    rows: RowPieces | DependentRows


_cache: weakref.WeakKeyDictionary[pm.Model, dict[Hashable, Predictor]] = weakref.WeakKeyDictionary()


def compiled_predictor(
    model: pm.Model,
    names: Sequence[str],
    containers: Sequence[Variable],
    row_dims: Sequence[str],
    draws: NamedArrays,
    other_values: VariableArrays,
    samples: tuple[Arrays, Arrays],
    sizes: EngineSizes = DEFAULT_SIZES,
) -> tuple[Predictor, Arrays]:
    """Return the predictor of some variables, and the values of the containers without rows.

    It is built once, and returned again for other values of the same shapes.

    Parameters
    ----------
    model : pymc.Model
        It stays as it is.
    names : sequence of str
        The variables to predict.
    containers : sequence of Variable
        The containers whose rows are new.
    row_dims : sequence of str
        The dims that are as long as there are rows.
    draws : mapping of str to ndarray, shapes (draws, ...)
        Draws of free variables; one draw is enough.
    other_values : mapping of Variable to ndarray
        New values of containers without rows.
    samples : pair of sequences of ndarray
        Samples of the rows, as :func:`bayou.prediction.graph.row_dependence.two_samples` has them.
    sizes : EngineSizes, optional
        How much is computed at once.

    Raises
    ------
    ValueError
        If draws of a variable, or the rows, do not have its shape in the model.
    """
    row_shapes = {
        container: row.shape[1:] for container, row in zip(containers, samples[0], strict=True)
    }
    graph = forward_graph(model, names, row_shapes, row_dims, other_values)
    fixed = [
        np.asarray(other_values[root] if root in other_values else root.get_value(borrow=True))
        for root in graph.fixed
    ]
    key = (
        tuple(predictable(model)[name] for name in names),
        tuple(row_shapes.items()),
        tuple(row_dims),
        tuple((name, draws[name].shape[1:]) for name in graph.free if name in draws),
        tuple(value.shape for value in fixed),
        graph.constants,
        sizes,
    )
    cached = _cache.setdefault(model, {})
    if key not in cached:
        cached[key] = _build_predictor(graph, names, draws, fixed, samples, sizes)
    return cached[key], fixed


def _build_predictor(
    graph: ForwardGraph,
    names: Sequence[str],
    draws: NamedArrays,
    fixed: Arrays,
    samples: tuple[Arrays, Arrays],
    sizes: EngineSizes,
) -> Predictor:
    conditioned, drawn_by_row = _conditioned_variables(graph, draws, fixed, samples)
    needed = needed_free_variables(graph, conditioned)
    parameters = {
        name: input_like(graph.free[name], draws[name].shape[1:])
        for name in needed
        if name in conditioned
    }
    outputs = clone_replace(
        list(graph.outputs),
        {graph.free[name]: parameter for name, parameter in parameters.items()},
        rebuild_strict=False,
    )
    inputs = list(parameters.values())
    predictor = partial(
        Predictor,
        parameter_names=tuple(parameters),
        drawn_once=tuple(name for name in needed if name not in conditioned | drawn_by_row),
        drawn_by_row=tuple(name for name in needed if name in drawn_by_row),
        dtypes=tuple(map(prediction_dtype, outputs)),
        fingerprint=fingerprint(outputs),
        predict_one=_one_prediction(graph, names, inputs, outputs),
    )
    first_draw = {parameter: draws[name][0] for name, parameter in parameters.items()}
    try:
        shapes = check_rows(graph, outputs, first_draw, fixed, samples)
    except RowsDependError as error:
        generators = generators_of(outputs)
        values = [*first_draw.values(), *fixed, *samples[0], *generators_at(len(generators), 0)]
        out_of_range = find_range_error(
            [*inputs, *graph.data_inputs, *generators], outputs, values, names
        )
        if out_of_range is not None:
            raise out_of_range from error
        graphs = EngineGraph(
            graph, tuple(inputs), tuple(names), tuple(outputs), tuple(range(len(outputs))), {}
        )
        return predictor(engine=PytensorEngine(graphs), rows=DependentRows(str(error)))
    shared_draws = {
        index: input_like(node.value, shape.lengths)
        for index, (node, shape) in enumerate(
            zip(random_nodes(outputs), shapes.random, strict=True)
        )
        if shape.row_axis is None
    }
    graphs = EngineGraph(
        graph,
        (*inputs, *shared_draws.values()),
        tuple(names),
        tuple(outputs),
        tuple(i for i, shape in enumerate(shapes.outputs) if shape.row_axis is not None),
        shared_draws,
    )
    engine, piece_rows = _choose_engine(graphs, shapes, sizes)
    draw_shared = _shared_draws(graph, names, inputs, outputs, shapes)
    are_drawn = any(shape.row_axis is not None for shape in shapes.random)
    rows = RowPieces(shapes.outputs, piece_rows, draw_shared, are_drawn)
    return predictor(engine=engine, rows=rows)


def _conditioned_variables(
    graph: ForwardGraph,
    draws: NamedArrays,
    fixed: Arrays,
    samples: tuple[Arrays, Arrays],
) -> tuple[set[str], set[str]]:
    """Return the free variables whose draws are taken, and those with a value for each row.

    The latter have draws of other rows, if any, and are drawn anew.
    """
    try:
        shapes = free_variable_shapes(graph, fixed, samples)
    except RowsDependError:
        # check_rows finds it too, for the outputs; until then none is taken for one of rows.
        shapes = {}
    drawn_by_row = {name for name, shape in shapes.items() if shape.row_axis is not None}
    conditioned = {name for name in graph.free if name in draws} - drawn_by_row
    for name in conditioned & shapes.keys():
        if draws[name].shape[1:] != shapes[name].lengths:
            raise ValueError(
                f"Draws of {name!r} must have the shape that it has in the model, "
                f"{shapes[name].lengths}, got {draws[name].shape[1:]}.\n"
                "Hint: pass the model that was fitted; or leave the variable out, "
                f"tree.posterior.to_dataset().drop_vars({name!r}), to draw it from its "
                "distribution given the others."
            )
    return conditioned, drawn_by_row


def _one_prediction(
    graph: ForwardGraph,
    names: Sequence[str],
    inputs: Sequence[Variable],
    outputs: Sequence[Variable],
) -> Callable[..., Arrays]:
    """Return a function of one draw, as :attr:`Predictor.predict_one` is."""
    generators = generators_of(outputs)
    all_inputs = [*inputs, *graph.data_inputs, *generators]
    evaluate = compile_interpreter(all_inputs, outputs)

    def predict_one(parameters: Arrays, fixed: Arrays, rows: Arrays) -> Arrays:
        arguments: list[object] = [*parameters, *fixed, *rows]
        try:
            values = evaluate(*arguments, *generators_at(len(generators), 0))
        except (ValueError, IndexError, TypeError, AssertionError) as error:
            arguments += generators_at(len(generators), 0)
            out_of_range = find_range_error(all_inputs, outputs, arguments, names)
            if out_of_range is not None:
                raise out_of_range from error
            message = str(error).partition("\n")[0]
            raise ValueError(
                "`data` must fit the model, got rows that it cannot be computed for: "
                f"{message}\n"
                "Hint: integers that index a dim must be below its length, and parameters in the "
                "range of their distribution. Values that the model has as plain arrays, "
                "`observed=` included, keep their number of rows: put them into a by.Data."
            ) from error
        return [np.asarray(part) for part in values]

    return predict_one


def _choose_engine(
    graphs: EngineGraph, shapes: RowShapes, sizes: EngineSizes
) -> tuple[Engine, int]:
    """Return the engine, by JAX if it can compute all outputs, and the rows of a piece."""
    row_shapes = [shapes.outputs[index] for index in graphs.row_outputs]
    largest = max((shape.row_size for shape in row_shapes), default=1)
    if jax_covers([graphs.outputs[index] for index in graphs.row_outputs]):
        piece_rows = max(1, sizes.jax_elements // largest)
        try:
            with warnings.catch_warnings():
                # What JAX cannot check while it runs was checked when rows were tried.
                warnings.filterwarnings("ignore", "Skipping .* Op")
                return JaxEngine(graphs, shapes, piece_rows, sizes), piece_rows
        except NOT_CONVERTIBLE as error:
            logger.info("JAX cannot compute the predictions; PyTensor compiles them: %s", error)
        except Exception:
            # Slower predictions are better than none, but this is a fault to be reported.
            logger.exception("JAX failed to compile the predictions; PyTensor compiles them")
    piece_rows = max(1, sizes.pytensor_elements // largest)
    return PytensorEngine(graphs, piece_rows), piece_rows


def _shared_draws(
    graph: ForwardGraph,
    names: Sequence[str],
    inputs: Sequence[Variable],
    outputs: Sequence[Variable],
    shapes: RowShapes,
) -> Callable[..., tuple[Arrays, Arrays]]:
    """Return a function of what is the same for all rows, as :attr:`RowPieces.draw_shared` is."""
    random = [
        node.value
        for node, shape in zip(random_nodes(outputs), shapes.random, strict=True)
        if shape.row_axis is None
    ]
    predictions = [
        output
        for output, shape in zip(outputs, shapes.outputs, strict=True)
        if shape.row_axis is None
    ]
    computed = [*random, *predictions]
    generators = generators_of(computed)
    all_inputs = [*inputs, *graph.data_inputs, *generators]
    evaluate = compile_interpreter(all_inputs, computed)

    def draw_shared(
        parameters: Arrays, draws: NDArray[np.int64], fixed: Arrays, rows: Arrays, seed: int
    ) -> tuple[Arrays, Arrays]:
        results = []
        for index, draw in enumerate(draws.tolist() if computed else ()):
            arguments: list[object] = [value[index] for value in parameters] + [*fixed, *rows]
            position = (len(generators), seed, draw, FOR_ALL_ROWS)
            try:
                results.append(evaluate(*arguments, *generators_at(*position)))
            except ValueError as error:
                arguments += generators_at(*position)
                found = find_range_error(all_inputs, computed, arguments, names)
                raise (found or draw_error(error, names)) from error
        stacked = [np.stack(parts) for parts in zip(*results, strict=True)]
        return stacked[: len(random)], stacked[len(random) :]

    return draw_shared
