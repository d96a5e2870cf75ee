"""The plan of a prediction: its dataset without values, the predictor of rows, and what is shared.

Predictions and random variables that are the same for all rows are computed here, before the rows
go by. So are all predictions, if rows depend on each other.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from bayou.compression.compressed_model import LEAST_ROWS
from bayou.compression.repetition import MOST_DISTINCT, sample_repeats
from bayou.feeding.memory import free_memory
from bayou.prediction.graph.predictor import DependentRows
from bayou.prediction.graph.row_dependence import RowShape
from bayou.prediction.output.memory_sink import MemorySink
from bayou.prediction.output.repeating_sink import RepeatingSink
from bayou.prediction.output.template import PredictedVariable, PredictionTemplate
from bayou.prediction.row_predictor import RowPredictor
from bayou.storage.storable_labels import check_dim_names, storable_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pymc as pm

    from bayou.prediction.draws import ParameterDraws
    from bayou.prediction.graph.forward_graph import Arrays
    from bayou.prediction.graph.predictor import Predictor
    from bayou.prediction.new_rows import NewRows

# The part of the free memory that predictions may take: the other half is for what is done with
# them afterwards.
MEMORY_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class PredictionPlan:
    """All that is known of predictions before rows are predicted.

    Attributes
    ----------
    template : PredictionTemplate
        The dataset without values.
    rows : NewRows
        The rows.
    predictor : RowPredictor
        Predicts rows, unless these depend on each other.
    shared : sequence of ndarray, shapes (draws, ...)
        The predictions that are the same for all rows.
    joint : sequence of ndarray, shapes (draws, ...), or None
        If rows depend on each other, the predictions that differ from row to row.
    identity : dict
        Differs between predictions of another model, other draws, or another seed.
    """

    template: PredictionTemplate
    rows: NewRows
    predictor: RowPredictor
    shared: Arrays
    joint: Arrays | None
    identity: dict[str, object]


def plan_predictions(
    draws: ParameterDraws,
    names: Sequence[str],
    rows: NewRows,
    predictor: Predictor,
    fixed: Arrays,
    sample: Arrays,
    seed: int,
) -> PredictionPlan:
    """Return the plan, with all predictions that are not computed piece by piece.

    Parameters
    ----------
    draws : ParameterDraws
        The draws of the parameters.
    names : sequence of str
        The variables to predict.
    rows : NewRows
        The rows.
    predictor : Predictor
        The compiled predictor of these variables.
    fixed : sequence of ndarray
        The values of the containers without rows.
    sample : sequence of ndarray
        A few of the rows.
    seed : int
        The seed of the random numbers.

    Raises
    ------
    ValueError
        If rows that depend on each other do not fit the model or the memory.
    """
    parameters = [draws.values[name] for name in predictor.parameter_names]
    joint: Arrays | None = None
    if isinstance(predictor.rows, DependentRows):
        reason, piece_rows = predictor.rows.reason, rows.num_rows
        shapes, predictions = _predict_jointly(
            draws, names, rows, predictor, reason, parameters, fixed, seed
        )
        joint = _only(predictions, shapes, by_row=True)
        shared: Arrays = _only(predictions, shapes, by_row=False)
        dependence = {"rows_depend": reason}
    else:
        shapes, piece_rows = predictor.rows.shapes, predictor.rows.piece_rows
        drawn, shared = predictor.rows.draw_shared(parameters, draws.numbers, fixed, sample, seed)
        parameters += drawn
        dependence = {}
    attrs = {
        "inference_library": "bayou",
        "inference_library_version": version("bayou"),
        "random_seed": seed,
        "compiler": predictor.engine.compiler,
        "drawn_from_prior": [
            name for name in (*predictor.drawn_once, *predictor.drawn_by_row) if name not in names
        ],
        **draws.attrs,
        **dependence,
    }
    return PredictionPlan(
        template=_template(draws, names, rows, predictor.dtypes, shapes, attrs),
        rows=rows,
        predictor=RowPredictor(
            predictor=predictor,
            parameters=parameters,
            draw_numbers=draws.numbers,
            fixed=fixed,
            shapes=tuple(shape for shape in shapes if shape.row_axis is not None),
            piece_rows=piece_rows,
            seed=seed,
        ),
        shared=shared,
        joint=joint,
        # Written to the manifest of an interrupted run: names and values stay as they are.
        identity={
            "model": predictor.fingerprint,
            "posterior": _array_digest([*parameters, *fixed, draws.numbers]),
            "var_names": list(names),
            "rows": rows.num_rows,
            "random_seed": seed,
        },
    )


def choose_rows(compress: bool | str, plan: PredictionPlan) -> tuple[PredictionPlan, MemorySink]:
    """Return the plan of the rows that are predicted, and the sink in memory for all rows.

    Parameters
    ----------
    compress : bool or "auto"
        True to predict the distinct rows once, or raise; "auto" to do so where at most half are.
    plan : PredictionPlan
        Of all rows.

    Raises
    ------
    ValueError
        If `compress` is True, and each row must be predicted.
    """
    rows, pieces = plan.rows, plan.predictor.predictor.rows
    obstacle = None
    if isinstance(pieces, DependentRows):
        obstacle = f"depend on each other, since {pieces.reason}"
    elif pieces.are_drawn:
        obstacle = "have random numbers of their own"
    elif not rows.has_values:
        obstacle = "have no values of their own"
    if compress is True and obstacle is not None:
        raise repetition_error(obstacle)
    is_tried = compress is True or (compress == "auto" and rows.num_rows >= LEAST_ROWS)
    if obstacle is not None or not is_tried:
        return plan, MemorySink(plan.template)
    # Predictions in memory take more than the rows that they are of.
    rows = rows.in_memory()
    plan = replace(plan, rows=rows)
    if compress == "auto" and not sample_repeats(list(rows.arrays.values())):
        return plan, MemorySink(plan.template)
    distinct, codes = rows.distinct()
    if compress == "auto" and distinct.num_rows > MOST_DISTINCT * rows.num_rows:
        return plan, MemorySink(plan.template)
    text = f"{rows.num_rows:,} rows as {distinct.num_rows:,} distinct, each repeated"
    template = replace(plan.template, attrs={**plan.template.attrs, "compression": text})
    of_distinct = replace(template, num_rows=distinct.num_rows)
    return replace(plan, rows=distinct, template=of_distinct), RepeatingSink(template, codes)


def repetition_error(obstacle: str) -> ValueError:
    """Return the error for rows that must each be predicted, with what is in the way."""
    return ValueError(
        "`compress=True` must have rows that can be predicted once and repeated, got rows that "
        f"{obstacle}.\n"
        'Hint: leave it at "auto"; or name deterministics in `var_names`, for rows in memory.'
    )


def _only(predictions: Arrays, shapes: Sequence[RowShape], *, by_row: bool) -> Arrays:
    """Return the predictions that differ from row to row, or those that do not."""
    return [
        array
        for array, shape in zip(predictions, shapes, strict=True)
        if (shape.row_axis is not None) == by_row
    ]


def _predict_jointly(
    draws: ParameterDraws,
    names: Sequence[str],
    rows: NewRows,
    predictor: Predictor,
    reason: str,
    parameters: Arrays,
    fixed: Arrays,
    seed: int,
) -> tuple[tuple[RowShape, ...], Arrays]:
    """Predict all rows together; return the shapes of one draw, and all draws."""
    [all_rows] = rows.pieces(rows.num_rows)
    # One draw first: it shows whether rows fit the model, and how much memory all draws take.
    one_draw = predictor.predict_one([value[0] for value in parameters], fixed, all_rows)
    check_memory(sum(part.nbytes for part in one_draw) * len(draws.numbers), reason)
    shapes = tuple(
        RowShape(part.shape, _row_axis(draws.model, name, part.shape, rows))
        for name, part in zip(names, one_draw, strict=True)
    )
    return shapes, predictor.engine(parameters, draws.numbers, fixed, all_rows, 0, seed)


def _row_axis(model: pm.Model, name: str, shape: tuple[int, ...], rows: NewRows) -> int | None:
    """Return the axis of the rows: by its dim, or by its length if there are no dims."""
    dims = model.named_vars_to_dims.get(name)
    if dims and rows.row_dims:
        return next((axis for axis, dim in enumerate(dims) if dim in rows.row_dims), None)
    return next((axis for axis, length in enumerate(shape) if length == rows.num_rows), None)


def _template(
    draws: ParameterDraws,
    names: Sequence[str],
    rows: NewRows,
    dtypes: Sequence[str],
    shapes: Sequence[RowShape],
    attrs: Mapping[str, object],
) -> PredictionTemplate:
    model = draws.model
    variables = tuple(
        PredictedVariable(
            name=name,
            dtype=np.dtype(dtype),
            shape=shape.with_rows(rows.num_rows),
            dims=tuple(
                dim or f"{name}_dim_{axis}"
                for axis, dim in enumerate(
                    model.named_vars_to_dims.get(name, (None,) * len(shape.lengths))
                )
            ),
            row_axis=shape.row_axis,
        )
        for name, dtype, shape in zip(names, dtypes, shapes, strict=True)
    )
    lengths = {
        dim: length
        for variable in variables
        for dim, length in zip(variable.dims, variable.shape, strict=True)
    }
    check_dim_names(lengths)
    known = {dim: model.coords.get(dim) for dim in lengths if dim not in rows.row_dims}
    row_labels = {} if rows.labels is None else dict.fromkeys(rows.row_dims, rows.labels)
    return PredictionTemplate(
        variables=variables,
        chains=draws.chains,
        draws=draws.draws,
        coords={
            dim: storable_labels(known[dim])
            if len(known.get(dim) or ()) == length
            else np.arange(length)
            for dim, length in lengths.items()
        },
        num_rows=rows.num_rows,
        attrs=attrs,
        row_labels={
            dim: storable_labels(labels) for dim, labels in row_labels.items() if dim in lengths
        },
    )


def check_memory(num_bytes: int, dependence: str | None = None) -> None:
    """Check that predictions take no more than their share of the free memory.

    Parameters
    ----------
    num_bytes : int
        The size of the predictions.
    dependence : str, optional
        What shows that rows depend on each other, so that they cannot be written piece by piece.

    Raises
    ------
    ValueError
        If they take more.
    """
    free = free_memory()
    if num_bytes > MEMORY_SHARE * free:
        hint = 'write them to the disk: out="predictions.zarr", or ask for fewer draws'
        if dependence is not None:
            hint = f"ask for fewer draws, or rows; all are computed at once, since {dependence}"
        raise ValueError(
            f"Predictions must fit in half of the free memory, {free / 2e9:.1f} GB, got "
            f"{num_bytes / 1e9:.1f} GB.\nHint: {hint}."
        )


def _array_digest(arrays: Arrays) -> str:
    """Return the digest of arrays as manifests of interrupted runs have it."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(str((array.dtype, array.shape)).encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()[:32]
