"""Predictions for rows that a model was not fitted to, in memory or onto the disk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.arguments import whole_number
from bayou.feeding.memory import free_memory
from bayou.inference.forward import predictable
from bayou.inference.new_rows import first_rows, new_rows
from bayou.inference.parameter_draws import parameter_draws
from bayou.inference.prediction_run import Run
from bayou.inference.predictor import predictor
from bayou.inference.rowwise import LONG, SHORT, Shape, two_pieces
from bayou.results.predictions import (
    CHUNK_BYTES,
    InMemory,
    InZarr,
    Plan,
    Prediction,
    open_predictions,
)
from bayou.results.summaries import InParquet
from bayou.results.unfinished import Unfinished
from bayou.sources.open import scan

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import pymc as pm
    import xarray as xr
    from numpy.typing import NDArray

    from bayou.inference.new_rows import NewRows
    from bayou.inference.parameter_draws import ParameterDraws
    from bayou.inference.predictor import Predictor
    from bayou.results.fit import Fit
    from bayou.sources.source import Source

type Arrays = Sequence[NDArray[Any]]

# The part of the free memory that predictions may take, and the rows of a chunk at most.
SHARE, MOST_ROWS = 0.5, 2**16


def predict(
    fit_or_datatree: Fit | xr.DataTree | xr.Dataset,
    data: Any,
    *,
    var_names: str | Sequence[str] | None = None,
    draws: int | None = None,
    model: pm.Model | None = None,
    random_seed: int | None = None,
    out: str | os.PathLike[str] | None = None,
    chunk_rows: int | None = None,
    progressbar: bool = True,
) -> xr.DataTree | Source:
    """Predict what a model says of rows that it was not fitted to.

    Columns are matched by name. The model is left as it is; a second call compiles nothing,
    whatever the rows and the draws are.

    Parameters
    ----------
    fit_or_datatree : Fit, xarray.DataTree or xarray.Dataset
        What :func:`bayou.fit`, :func:`bayou.sample` or ``pm.sample`` returned; of a tree the group
        ``posterior``, or that group alone, with the dims chain and draw.
    data : frame, dataset, Source, or mapping of str to array_like
        The rows: a table with the columns that the model's containers were built from, in any
        order and with others besides; or new values by the names of containers and minibatches,
        rows first. What only feeds ``observed=`` is not needed.
    var_names : str or sequence of str, optional
        Observed variables and deterministics; by default all that is observed.
    draws : int, optional
        Of a fit the number of draws, by default 1000; of a tree the number of each chain, by
        default all, spread evenly over those that there are.
    model : pymc.Model, optional
        The model; by default that of the fit, or of the context.
    random_seed : int, optional
        Decides what is drawn: the same seed and data give the same predictions, whatever
        `chunk_rows` is, and whether a run was interrupted.
    out : path, optional
        A new file: with the ending ".zarr" all draws are written, with ".parquet" a row of
        summaries for each row of `data`. What is unfinished lies beside it, in a folder that ends
        in ".partial"; the same call goes on with it.
    chunk_rows : int, optional
        Rows that are read, predicted and written before the next ones, rounded up to those that
        are computed at once; by default as many as memory is free for, and 65,536 at most.
    progressbar : bool, default True
        Show the rows that are done.

    Returns
    -------
    xarray.DataTree or Source
        A tree with the group ``predictions``, of the dims chain, draw and those that the variables
        have in the model; for a Zarr store its values stay on the disk until they are asked for.
        For a Parquet file the :class:`bayou.Source` of it: ``row``, the labels of the rows where a
        container exports its index, and for each prediction such as ``late`` ``late_mean``,
        ``late_sd`` and the quantiles ``late_q2.5``, ``late_q25``, ``late_q50``, ``late_q75`` and
        ``late_q97.5`` of its draws.

    Raises
    ------
    TypeError
        If there is no model, or no draws of its variables.
    ValueError
        If `var_names` are none of the model, `data` lack columns or containers, there are fewer
        draws, the posterior is of another model, `out` is taken or was begun with something else,
        or all of it does not fit in memory.

    Notes
    -----
    Free variables that have no draws are drawn from their distribution given the others, such as
    the effect of a new group from its population: leave them out of the posterior for that. So are
    those that have a value for each row, since these are others. The attribute
    ``drawn_from_prior`` of the predictions names them.

    Before anything is computed, it is tried on a few rows whether what is predicted for a row
    depends on that row alone. Where it does not (a random walk over rows, rows centred by their own
    mean), all rows are computed at once, a draw after the other; the attribute ``rows_depend`` says
    what showed it.

    JAX draws what takes no rejection, such as normal, Bernoulli or categorical variables and their
    mixtures; for others, PyTensor's default compiler does, a draw at a time. The attribute
    ``compiler`` says which; their random numbers differ.

    Examples
    --------
    >>> flights = {
    ...     "distance": np.array([0.1, 0.9, 0.5, 0.3]),
    ...     "late": np.array([0.3, 2.1, 1.2, 0.8]),
    ... }
    >>> with pm.Model() as model:
    ...     distance = by.Data("distance", flights, columns="distance", dims="flight")
    ...     late = by.Data("late", flights, columns="late", dims="flight")
    ...     slope = pm.Normal("slope")
    ...     y = pm.Normal("y", slope * distance, 0.1, observed=late, dims="flight")
    ...     fit = by.fit(random_seed=1, progressbar=False)
    >>> tree = by.predict(fit, {"distance": [0.2, 0.4]}, random_seed=1, progressbar=False)
    >>> dict(tree.predictions["y"].sizes)
    {'chain': 1, 'draw': 1000, 'flight': 2}
    """
    place = None if out is None else Unfinished(_path(out))
    noted = None if place is None else place.begun()
    seed = _seed(random_seed, noted)
    posterior = parameter_draws(fit_or_datatree, draws, seed, model)
    names = _names(posterior.model, var_names)
    rows = new_rows(posterior.model, names, data)
    some = first_rows(rows, SHORT + LONG)
    found, fixed = predictor(
        posterior.model,
        names,
        rows.containers,
        rows.row_dims,
        posterior.values,
        rows.others,
        two_pieces(some),
    )
    posterior.check(found.given, found.drawn)
    task = _task(posterior, names, rows, found, fixed, some, seed)
    if place is None:
        sink = InMemory(task.plan)
        return sink.finish(_run(task, sink, *_sizes(task, chunk_rows, 0), progressbar))
    return _onto_disk(task, place, noted, chunk_rows, progressbar)


@dataclass(frozen=True, eq=False)
class _Task:
    """What is to be computed: piece by piece, or what was computed at once."""

    plan: Plan
    run: Run
    single: Arrays
    at_once: Arrays | None
    identity: dict[str, Any]


def _task(
    posterior: ParameterDraws,
    names: Sequence[str],
    rows: NewRows,
    found: Predictor,
    fixed: Arrays,
    some: Arrays,
    seed: int,
) -> _Task:
    values = [posterior.values[name] for name in found.given]
    at_once = None
    if found.dependence:
        shapes, at_once = _at_once(posterior, names, rows, found, values, fixed, seed)
        single = [
            array for array, shape in zip(at_once, shapes, strict=True) if shape.row_axis is None
        ]
    else:
        assert found.once is not None
        shapes = found.shapes
        few = two_pieces(some)[0]
        more, single = found.once(values, posterior.numbers, fixed, few, seed)
        values += more
    attrs = {
        "inference_library": "bayou",
        "inference_library_version": version("bayou"),
        "random_seed": seed,
        "compiler": found.compiler,
        "drawn_from_prior": list(found.drawn),
    }
    if found.dependence:
        attrs["rows_depend"] = found.dependence
    plan = _plan(posterior, names, rows, found, shapes, attrs)
    of_rows = tuple(shape for shape in shapes if shape.row_axis is not None)
    return _Task(
        plan=plan,
        run=Run(found, values, posterior.numbers, fixed, rows, of_rows, seed),
        single=single,
        at_once=at_once,
        identity={
            "model": found.fingerprint,
            "posterior": _digest([*values, *fixed, posterior.numbers]),
            "var_names": list(names),
            "rows": rows.num_rows,
            "random_seed": seed,
        },
    )


def _at_once(
    posterior: ParameterDraws,
    names: Sequence[str],
    rows: NewRows,
    found: Predictor,
    values: Arrays,
    fixed: Arrays,
    seed: int,
) -> tuple[tuple[Shape, ...], Arrays]:
    """Predict rows that depend on each other; return the shapes of a draw, and all draws."""
    numbers = posterior.numbers
    [whole] = rows.pieces(rows.num_rows)
    try:
        first = found.engine([value[:1] for value in values], numbers[:1], fixed, whole, 0, seed)
    except (ValueError, IndexError, TypeError) as error:
        message = str(error).partition("\n")[0]
        raise ValueError(
            f"`data` must fit the model, which cannot be computed for them: {message}\n"
            "Hint: rows that the model holds as plain arrays, `observed=` included, keep their "
            "number; put them into a by.Data."
        ) from error
    _check_memory(sum(part.nbytes for part in first) * len(numbers), found.dependence)
    shapes = tuple(
        Shape(part.shape[1:], _row_axis(posterior.model, name, part.shape[1:], rows))
        for name, part in zip(names, first, strict=True)
    )
    return shapes, found.engine(values, numbers, fixed, whole, 0, seed)


def _row_axis(model: pm.Model, name: str, shape: tuple[int, ...], rows: NewRows) -> int | None:
    """Return the axis of the rows: by its dim, or by its length where no dim tells."""
    dims = model.named_vars_to_dims.get(name)
    if dims and rows.row_dims:
        return next((axis for axis, dim in enumerate(dims) if dim in rows.row_dims), None)
    return next((axis for axis, length in enumerate(shape) if length == rows.num_rows), None)


def _plan(
    posterior: ParameterDraws,
    names: Sequence[str],
    rows: NewRows,
    found: Predictor,
    shapes: Sequence[Shape],
    attrs: Mapping[str, Any],
) -> Plan:
    """Say of what shape predictions are, and how their axes are labelled."""
    model = posterior.model
    predictions = tuple(
        Prediction(
            name=name,
            dtype=np.dtype(dtype),
            shape=shape.of(rows.num_rows),
            dims=tuple(
                dim or f"{name}_dim_{axis}"
                for axis, dim in enumerate(
                    model.named_vars_to_dims.get(name, (None,) * len(shape.lengths))
                )
            ),
            row_axis=shape.row_axis,
        )
        for name, dtype, shape in zip(names, found.dtypes, shapes, strict=True)
    )
    lengths = {
        dim: length
        for part in predictions
        for dim, length in zip(part.dims, part.shape, strict=True)
    }
    known = {dim: model.coords.get(dim) for dim in lengths if dim not in rows.row_dims}
    labels = {} if rows.labels is None else dict.fromkeys(rows.row_dims, rows.labels)
    return Plan(
        predictions=predictions,
        chains=posterior.chains,
        draws=posterior.draws,
        coords={
            dim: known[dim] if len(known.get(dim) or ()) == length else range(length)
            for dim, length in lengths.items()
        },
        num_rows=rows.num_rows,
        attrs=attrs,
        row_labels={dim: found for dim, found in labels.items() if dim in lengths},
    )


def _run(
    task: _Task, sink: Any, chunk_rows: int, unit_rows: int, progressbar: bool, **resumed: Any
) -> Arrays:
    """Put all predictions into a sink; return those that are the same for all rows."""
    if task.at_once is None:
        if task.plan.of_rows:
            task.run.into(sink, chunk_rows, unit_rows, progressbar, **resumed)
        return task.single
    axes = [part.row_axis for part in task.plan.predictions]
    of_rows = [array for array, axis in zip(task.at_once, axes, strict=True) if axis is not None]
    sink.put(0, task.plan.num_rows, of_rows)
    sink.reached(task.plan.num_rows)
    return task.single


def _sizes(task: _Task, chunk_rows: int | None, unit_bytes: int) -> tuple[int, int]:
    """Return the rows of a chunk, and those of it that are put at once."""
    piece = task.run.piece_rows
    unit = min(MOST_ROWS, unit_bytes // max(1, task.plan.row_bytes)) // piece * piece or piece
    if chunk_rows is None:
        free = int(SHARE * free_memory()) // max(1, task.run.rows.row_bytes)
        chunk_rows = min(MOST_ROWS, free)
    else:
        whole_number("chunk_rows", chunk_rows, 1, "it counts rows that are predicted in one go.")
    unit = min(unit, -(-chunk_rows // piece) * piece)
    if not unit_bytes:
        _check_memory(task.plan.row_bytes * task.plan.num_rows)
    return max(1, -(-chunk_rows // unit)) * unit, unit


def _onto_disk(
    task: _Task,
    place: Unfinished,
    noted: Mapping[str, Any] | None,
    chunk_rows: int | None,
    progressbar: bool,
) -> xr.DataTree | Source:
    """Write predictions beside a place, from where that was interrupted, then move them to it."""
    summarised = place.place.suffix == ".parquet"
    if summarised and task.plan.single:
        names = [part.name for part in task.plan.single]
        raise ValueError(
            f"`var_names` must differ from row to row for a Parquet file, got {names}.\n"
            "Hint: leave them out, or write to a path that ends in .zarr."
        )
    if noted is not None and chunk_rows is None:
        chunk_rows = noted["identity"]["chunk_rows"]
    chunk, unit = _sizes(task, chunk_rows, CHUNK_BYTES)
    identity = task.identity | {"chunk_rows": chunk}
    if noted is not None:
        _check_same(identity, noted["identity"], place)
    done, digest = (0, "") if noted is None else (noted["done"], noted["digest"])

    def note(num_rows: int, digest: str) -> None:
        place.note({"identity": identity, "done": num_rows, "digest": digest})

    if noted is None:
        note(0, "")
    path = place.folder / f"data{place.place.suffix}"
    sink = (
        InParquet(task.plan, place.folder / "parts")
        if summarised
        else InZarr(task.plan, path, unit)
    )
    single = _run(task, sink, chunk, unit, progressbar, done=(done, digest), note=note)
    if isinstance(sink, InParquet):
        sink.finish(path)
        place.finish(path)
        return scan(place.place)
    sink.finish(single)
    place.finish(path)
    return open_predictions(place.place)


def _check_same(identity: Mapping[str, Any], noted: Mapping[str, Any], place: Unfinished) -> None:
    for name, value in identity.items():
        if noted.get(name) != value:
            raise ValueError(
                f"`out` must be gone on with as it was begun, got another {name}: "
                f"{noted.get(name)!r} in {str(place.folder)!r}, {value!r} now.\n"
                "Hint: pass what it was begun with, remove that folder, or choose another path."
            )


def _check_memory(num_bytes: int, dependence: str = "") -> None:
    free = free_memory()
    if num_bytes > SHARE * free:
        hint = 'write them to the disk: out="predictions.zarr", or ask for fewer draws'
        if dependence:
            hint = f"ask for fewer draws, or rows; all are computed at once, since {dependence}"
        raise ValueError(
            f"Predictions must fit in half of the free memory, {free / 2e9:.1f} GB, got "
            f"{num_bytes / 1e9:.1f} GB.\nHint: {hint}."
        )


def _digest(arrays: Arrays) -> str:
    found = hashlib.sha256()
    for array in arrays:
        found.update(str((array.dtype, array.shape)).encode())
        found.update(np.ascontiguousarray(array))
    return found.hexdigest()[:32]


def _path(out: str | os.PathLike[str]) -> Path:
    path = Path(out).expanduser()
    if path.suffix not in (".zarr", ".parquet"):
        raise ValueError(
            f'`out` must end in ".zarr" or ".parquet", got {str(out)!r}.\n'
            'Hint: "predictions.zarr" keeps all draws, "predictions.parquet" summaries of them.'
        )
    if not path.parent.is_dir():
        raise ValueError(
            f"`out` must be in a folder that is there, got {str(out)!r}.\n"
            "Hint: make the folder first."
        )
    return path


def _seed(random_seed: int | None, noted: Mapping[str, Any] | None) -> int:
    """Return the seed; where none is given, that of the run that was interrupted, or a new one."""
    if random_seed is not None:
        return whole_number("random_seed", random_seed, 0, "the same one gives the same draws.")
    if noted is not None:
        return int(noted["identity"]["random_seed"])
    return int(np.random.SeedSequence().generate_state(1)[0])


def _names(model: pm.Model, var_names: str | Sequence[str] | None) -> list[str]:
    known = predictable(model)
    if var_names is None:
        names = [variable.name for variable in model.observed_RVs]
        if not names:
            raise ValueError(
                "`var_names` must be given for a model that observes nothing, got None.\n"
                f"Hint: its deterministics are {list(known)}."
            )
        return names
    names = [var_names] if isinstance(var_names, str) else list(dict.fromkeys(var_names))
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ValueError(
            f"`var_names` must be among {list(known)}, got {unknown or names}.\n"
            "Hint: those are what the model observes and its deterministics; draws of free "
            "variables are in the posterior."
        )
    return names
