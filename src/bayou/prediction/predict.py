"""Predictions for rows that a model was not fitted to, in memory or onto the disk."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.arguments import whole_number
from bayou.cluster.ray import resolve_cluster
from bayou.feeding.memory import free_memory
from bayou.models.missing_values import imputed_names
from bayou.models.pickling import carry_densities
from bayou.prediction.draws import parameter_draws
from bayou.prediction.graph.forward_graph import predictable
from bayou.prediction.graph.predictor import predictor
from bayou.prediction.graph.row_dependence import LONG, SHORT, two_pieces
from bayou.prediction.new_rows import first_rows, new_rows
from bayou.prediction.output.datatree import CHUNK_BYTES, InMemory, InZarr, open_predictions
from bayou.prediction.output.parquet_summaries import InParquet
from bayou.prediction.plan import SHARE, check_memory, make_task
from bayou.sources.open import scan
from bayou.storage.resumable_output import ResumableOutput

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import pymc as pm
    import xarray as xr

    from bayou.cluster.ray import Ray
    from bayou.fitting.fit_result import Fit
    from bayou.prediction.graph.predictor import Predictor
    from bayou.prediction.plan import Task
    from bayou.sources.base.source import Source

# The rows of a chunk at most, unless more are asked for.
MOST_ROWS = 2**16


def predict(
    fit_or_datatree: Fit | xr.DataTree | xr.Dataset,
    data: Any,
    *,
    var_names: str | Sequence[str] | None = None,
    draws: int | None = None,
    model: pm.Model | None = None,
    random_seed: int | None = None,
    cluster: str | Ray | None = None,
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
        ``posterior``, or that group alone, with the dims chain and draw. Of many data sets one:
        ``tree.posterior.sel(dataset="north")``.
    data : frame, dataset, Source, or mapping of str to array_like
        The rows: a table with the columns that the model's containers were built from, in any
        order and with others besides; or new values by the names of containers and minibatches,
        rows first. What only feeds ``observed=`` is not needed.
    var_names : str or sequence of str, optional
        Observed variables and deterministics; by default all that is observed. A free variable
        with a value for each row cannot be had by its own name, but through a
        :class:`pymc.Deterministic` of it.
    draws : int, optional
        Of a fit the number of draws, by default 1000; of a tree the number of each chain, by
        default all, spread evenly over those that there are.
    model : pymc.Model, optional
        The model; by default that of the fit, or of the context.
    random_seed : int, optional
        Decides what is drawn: the same seed and data give the same predictions, whatever
        `chunk_rows` is, on a cluster or not, and whether a run was interrupted.
    cluster : str or Ray, optional
        Where it runs, as for :func:`bayou.sample_many`: workers are sent the draws of the
        parameters once, and then rows in turn, which this process reads, and whose predictions it
        keeps or writes.
    out : path, optional
        A new file: with the ending ".zarr" all draws are written, with ".parquet" a row of
        summaries for each row of `data`. What is unfinished lies beside it, in a folder that ends
        in ".partial"; the same call goes on with it.
    chunk_rows : int, optional
        Rows that are read, predicted and written before the next ones, rounded up to those that
        are computed at once; by default as many as memory is free for, and 65,536 at most. A
        `cluster` is sent them in the parts that are put at once: at most two of each worker, rows
        or predictions, are on their way or wait for an earlier one.
    progressbar : bool, default True
        Show the rows that are done.

    Returns
    -------
    xarray.DataTree or Source
        A tree with the group ``predictions``, of the dims chain, draw and those that the variables
        have in the model, in their dtypes, but int8 for Bernoulli variables; for a Zarr store its
        values stay on the disk until they are asked for.
        For a Parquet file the :class:`bayou.Source` of it: ``row``, the labels of the rows where a
        container exports its index, and for each prediction such as ``late`` ``late_mean``,
        ``late_sd`` and the quantiles ``late_q2.5``, ``late_q25``, ``late_q50``, ``late_q75`` and
        ``late_q97.5`` of its draws.

    Raises
    ------
    TypeError
        If there is no model, it cannot be sent to workers, or there are no draws of its variables.
    ValueError
        If `var_names` are none of the model, `data` lack columns or containers, have no rows,
        missing values or codes of no category, there are fewer draws, the posterior is of another
        model or of other labels, `out` is taken or was begun with something else, all of it does
        not fit in memory, or there is nothing that differs from row to row and could be shared out
        to a `cluster`.
    ConnectionError, ImportError, RuntimeError
        If there is no cluster at the address, no Ray here, the cluster has no cores free, or some
        rows end all workers that are given them.

    Notes
    -----
    Free variables that have no draws are drawn from their distribution given the others, such as
    the effect of a new group from its population: leave them out of the posterior for that. So are
    those that have a value for each row, since these are others. The attribute
    ``drawn_from_prior`` of the predictions names them.

    Draws go to the labels of the model's dims: the same labels in another order are put in order,
    others are refused. Draws without labels, as of a dim that the posterior has no coords for, go
    by their place.

    No row is left out: missing values are refused, also where a container was built with
    ``missing="drop"``; filter such rows first. All categories that a container built with
    ``unknown="other"`` does not know share that one level, and its effect, rather than having one
    each.

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
    where = resolve_cluster(cluster)
    place = None if out is None else ResumableOutput(_path(out))
    noted = None if place is None else place.read_manifest()
    seed = _seed(random_seed, noted)
    posterior = parameter_draws(fit_or_datatree, draws, seed, model)
    names = _names(posterior.model, var_names)
    rows = new_rows(posterior.model, names, data)
    posterior = posterior.in_order(names, rows.row_dims)
    some = first_rows(rows, SHORT + LONG)
    # Of the draws of parameters, a predictor is made for their shapes and those of the first one.
    one = {name: values[:1] for name, values in posterior.values.items()}
    make = partial(
        predictor,
        posterior.model,
        names,
        rows.containers,
        rows.row_dims,
        one,
        rows.others,
        two_pieces(some),
    )
    found, fixed = make()
    posterior.check(found.given, found.population)
    if where is not None:
        _check_shared_out(found)
    task = make_task(posterior, names, rows, found, fixed, some, seed)
    if where is not None:
        carry_densities(posterior.model)
        task = task.on(where, make)
    if place is None:
        sink = InMemory(task.plan)
        return sink.finish(task.into(sink, *_sizes(task, chunk_rows, 0), progressbar))
    return _onto_disk(task, place, noted, chunk_rows, progressbar)


def _check_shared_out(found: Predictor) -> None:
    """Refuse to use a cluster where rows cannot be shared out."""
    why = found.dependence and f"are computed at once, since {found.dependence}"
    if not why and all(shape.row_axis is None for shape in found.shapes):
        why = "are the same for all rows"
    if why:
        raise ValueError(
            f"`cluster` must be left out where rows cannot be shared out, got predictions that "
            f"{why}.\nHint: leave it out."
        )


def _sizes(task: Task, chunk_rows: int | None, unit_bytes: int) -> tuple[int, int]:
    """Return the rows of a chunk, and those of it that are put at once."""
    piece = task.run.piece_rows
    unit = min(MOST_ROWS, unit_bytes // max(1, task.plan.row_bytes)) // piece * piece or piece
    if chunk_rows is None:
        free = int(SHARE * free_memory()) // max(1, 2 * task.run.rows.row_bytes)
        chunk_rows = min(MOST_ROWS, free)
    else:
        whole_number("chunk_rows", chunk_rows, 1, "it counts rows that are predicted in one go.")
    unit = min(unit, -(-chunk_rows // piece) * piece)
    if not unit_bytes:
        check_memory(task.plan.row_bytes * task.plan.num_rows)
    return max(1, -(-chunk_rows // unit)) * unit, unit


def _onto_disk(
    task: Task,
    place: ResumableOutput,
    noted: Mapping[str, Any] | None,
    chunk_rows: int | None,
    progressbar: bool,
) -> xr.DataTree | Source:
    """Write predictions beside a place, from where that was interrupted, then move them to it."""
    summarised = place.path.suffix == ".parquet"
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
        place.write_manifest({"identity": identity, "done": num_rows, "digest": digest})

    if noted is None:
        note(0, "")
    path = place.folder / f"data{place.path.suffix}"
    sink = (
        InParquet(task.plan, place.folder / "parts")
        if summarised
        else InZarr(task.plan, path, unit)
    )
    single = task.into(sink, chunk, unit, progressbar, done=(done, digest), note=note)
    if isinstance(sink, InParquet):
        sink.finish(path)
        place.finish(path)
        return scan(place.path)
    sink.finish(single)
    place.finish(path)
    return open_predictions(place.path)


def _check_same(
    identity: Mapping[str, Any], noted: Mapping[str, Any], place: ResumableOutput
) -> None:
    for name, value in identity.items():
        if noted.get(name) != value:
            raise ValueError(
                f"`out` must be gone on with as it was begun, got a change of {name}: "
                f"{noted.get(name)!r} in {str(place.folder)!r}, {value!r} now.\n"
                "Hint: pass what it was begun with, remove that folder, or choose another path."
            )


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
    else:
        names = [var_names] if isinstance(var_names, str) else list(dict.fromkeys(var_names))
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        got = "None for a model that observes nothing" if var_names is None else unknown or names
        raise ValueError(
            f"`var_names` must be among {list(known)}, got {got}.\n"
            "Hint: those are what the model observes and its deterministics. Draws of free "
            "variables are in the posterior; of one with a value for each row, which new rows have "
            "others of, make a pm.Deterministic in the model and ask for that."
        )
    parted = [name for name in names if name in imputed_names(model)]
    if parted:
        raise ValueError(
            f"`var_names` must not be of variables with imputed values, got {parted}, which PyMC "
            "parted by the rows that it was given.\n"
            "Hint: ask for a deterministic, such as its mean; or pass, as `model`, one that was "
            "made of rows without missing values."
        )
    return names
