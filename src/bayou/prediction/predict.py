"""The public function for predictions of rows that a model was not fitted to.

New rows are matched to the containers of the model by name. A predictor, compiled once for the
model, takes them piece by piece, and a sink writes the predictions: to memory, a Zarr store or a
Parquet file. Pieces are predicted on threads of this process, or on the workers of a cluster.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayou.arguments import check_progressbar, seed_number, whole_number
from bayou.cluster.ray import resolve_cluster
from bayou.compression.compress_option import check_compress
from bayou.containers.data_access import reading_data
from bayou.feeding.memory import free_memory
from bayou.models.missing_values import imputed_names
from bayou.models.pickling import carry_densities
from bayou.prediction.chunks import ChunkSizes
from bayou.prediction.cluster_run import OnCluster
from bayou.prediction.disk_output import DiskOutput, check_summarized
from bayou.prediction.draws import fitted_names, parameter_draws, predicted_model
from bayou.prediction.graph.forward_graph import predictable, unobserved_outcomes
from bayou.prediction.graph.predictor import DependentRows, compiled_predictor
from bayou.prediction.graph.row_dependence import LONG, SHORT, two_samples
from bayou.prediction.output.zarr_sink import CHUNK_BYTES
from bayou.prediction.plan import (
    MEMORY_SHARE,
    check_memory,
    choose_rows,
    plan_predictions,
    repetition_error,
)
from bayou.prediction.row_matching import check_levels, new_rows
from bayou.prediction.run import on_threads, write_predictions

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Sequence

    import pymc as pm
    import xarray as xr

    from bayou.arguments import RandomSeed
    from bayou.cluster.ray import Ray
    from bayou.containers.context import ModelLike
    from bayou.fitting.result.fit_result import Fit
    from bayou.prediction.graph.predictor import Predictor
    from bayou.prediction.plan import PredictionPlan
    from bayou.sources.base.source import Source

# The most rows of a chunk by default: beyond some ten thousand, larger ones read no faster.
MAX_CHUNK_ROWS = 2**16


def predict(
    fit_or_datatree: Fit | xr.DataTree | xr.Dataset,
    data: object,
    *,
    var_names: str | Sequence[str] | None = None,
    draws: int | None = None,
    model: ModelLike | None = None,
    random_seed: RandomSeed | None = None,
    cluster: str | Ray | None = None,
    out: str | os.PathLike[str] | None = None,
    chunk_rows: int | None = None,
    compress: bool | str = "auto",
    progressbar: bool = True,
) -> xr.DataTree | Source:
    """Draw from the posterior predictive distribution for new rows.

    Columns are matched by name. The model does not change. Later calls reuse the compiled code, for
    any number of rows and draws.

    Parameters
    ----------
    fit_or_datatree : Fit, xarray.DataTree or xarray.Dataset
        A result of :func:`bayou.fit`, :func:`bayou.sample` or ``pm.sample``: a fit, a tree with the
        group ``posterior``, or that group alone. From results for many data sets, select one:
        ``tree.posterior.sel(dataset="north")``.
    data : frame, dataset, Source, or mapping of str to array_like
        The new rows. Either a table with the columns that the containers of the model were built
        from, in any order; other columns are ignored. Or a mapping of the names of containers and
        minibatches to new values, with their axes as in the model. Data that the model uses only as
        ``observed=`` are not needed.
    var_names : str or sequence of str, optional
        The variables to predict: observed variables, deterministics, and free variables without
        draws, such as the outcome in a model to which ``pm.observe`` was not yet applied. By
        default, all observed variables. If the model has none, the free variables without draws on
        which no other variable depends. To predict a free variable that has a value for each row,
        add a :class:`pymc.Deterministic` of it to the model.
    draws : int, optional
        For a fit, the number of draws, by default 1000. For a posterior, the number of draws to use
        from each chain, evenly spaced; by default all.
    model : pymc.Model or model of a library, optional
        The model; by default the model of the fit, or of the context.
    random_seed : int, sequence of int, numpy.random.Generator or RandomState, optional
        The seed of the random numbers. The same seed and data give the same predictions, whatever
        `chunk_rows` and `cluster` are, and whether a run was interrupted or not. By default, the
        seed of the interrupted run that is resumed, or a new one.
    cluster : str or Ray, optional
        Where rows are predicted, as for :func:`bayou.sample_many`; by default in this process. The
        workers get the draws of the parameters once, and then rows in turn. This process reads the
        rows and writes the predictions.
    out : path, optional
        A new path. If it ends in ".zarr", all draws are written to it. If it ends in ".parquet",
        summaries are written: one row for each row of `data`. Until it is complete, the results are
        in a folder beside it whose name ends in ".partial". After an interruption, repeat the same
        call to continue.
    chunk_rows : int, optional
        The number of rows to read at a time; it may be rounded up. By default as many as fit in the
        free memory, at most 65,536. At most two such chunks are in memory at a time; with
        `cluster`, at most two parts of a chunk for each worker.
    compress : {"auto", True, False}, default "auto"
        Predict the distinct rows once, and repeat their predictions. This is only possible for
        variables without random numbers of their own for each row, such as deterministics. If there
        are such random numbers, all rows are predicted. "auto" compresses if `data` has at least
        10,000 rows, all in memory, and at most half are distinct. The attribute ``compression``
        says whether it was done. With True, it is an error if this is not possible.
    progressbar : bool, default True
        Show how many rows are done.

    Returns
    -------
    xarray.DataTree or Source
        A tree with the group ``predictions``. Its variables have the dims chain, draw and those
        that they have in the model. Their dtypes are those of the model, except that Bernoulli
        variables are int8. Values in a Zarr store are read when they are used. For a Parquet file,
        a :class:`bayou.Source` of its rows. Its columns are ``row`` (from 0), the labels of the
        rows if a container exports its index, and for each variable such as ``late`` the mean
        ``late_mean``, the standard deviation ``late_sd`` and the quantiles ``late_q2.5``,
        ``late_q25``, ``late_q50``, ``late_q75`` and ``late_q97.5`` of its draws.

    Raises
    ------
    TypeError
        If there is no model, it cannot be sent to workers, or `fit_or_datatree` is of another type.
    ValueError
        If `var_names` cannot be predicted, as a pm.CustomDist without `random`; if `data` lack
        columns or containers, or have no rows, missing values or unknown categories; if the
        posterior has fewer draws than `draws`, is of another model or has other labels; if `out`
        exists, or was begun with other arguments; if the predictions do not fit in memory; or if
        the rows cannot be divided among the workers of a `cluster`.
    ConnectionError, ImportError, RuntimeError
        If there is no cluster at the address, Ray is not installed, the cores of the cluster are
        not free, or all workers died on the same rows.

    Notes
    -----
    A free variable that the posterior lacks is drawn from its prior given the other variables, once
    for each draw. So to predict for new groups, drop the group effects from the posterior: they are
    then drawn from the population distribution. A free variable with a value for each row is drawn
    from its prior for the new rows. The attribute ``drawn_from_prior`` of the predictions names
    both kinds.

    If the data of a model have two dims, such as (area, date), the new rows are along the dim whose
    length or labels differ from those of the model. If the lengths are equal, pass
    ``xarray.DataArray(values, coords=...)``, so that the labels differ. If neither differs, the
    rows are along a dim that no variable with draws has; if there is no such dim, a ValueError is
    raised. Variables that were fitted along the other dim keep their draws.

    Draws are matched to the model by the labels of its dims. The same labels in another order are
    reordered, other labels are an error. Draws of a dim without labels are matched by position.

    Missing values are an error, also in a container that was built with ``missing="drop"``: drop
    such rows first. In a container that was built with ``unknown="other"``, all unknown categories
    become "other" and share its effect.

    First, a few rows are used to test whether the predictions of a row depend on other rows, as in
    a random walk over rows or if the model subtracts the mean of a column. If they do, all rows are
    computed at once, one draw after another, and the attribute ``rows_depend`` gives the reason.

    Models whose distributions need no rejection sampling, such as normal, Bernoulli, categorical
    and mixtures of these, are computed by JAX. All others are compiled by PyTensor, which computes
    one draw after another. The attribute ``compiler`` says which was used. Their random numbers
    differ.

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
    check_progressbar(progressbar)
    check_compress(compress)
    ray = resolve_cluster(cluster)
    if compress is True and out is not None:
        raise repetition_error("are written to the disk, by `out`")
    output = None if out is None else DiskOutput.at(out)
    seed = _seed(random_seed, output)
    used_model = predicted_model(fit_or_datatree, model)
    fitted = fitted_names(fit_or_datatree)
    with reading_data(used_model):
        names = _predicted_names(used_model, var_names, fitted)
        rows = new_rows(used_model, names, data, fitted)
        parameters = parameter_draws(fit_or_datatree, draws, seed, used_model, rows.row_dims)
        parameters = parameters.aligned(names, rows.row_dims)
        check_levels(used_model, rows)
        samples = two_samples(rows.first(SHORT + LONG))
        build = partial(
            compiled_predictor,
            used_model,
            names,
            rows.containers,
            rows.row_dims,
            parameters.first,
            rows.other_values,
            samples,
        )
        try:
            predictor, fixed = build()
        except NotImplementedError as error:
            raise _no_draws_error(names, error) from error
        parameters.check_names(predictor.parameter_names, predictor.drawn_once, names)
        if ray is not None:
            _check_divisible(predictor)
            carry_densities(used_model)
        plan = plan_predictions(parameters, names, rows, predictor, fixed, samples[0], seed)
        execute = on_threads if ray is None else OnCluster(ray, build)
        if output is None:
            sizes = _chunk_sizes(plan, chunk_rows, 0)
            plan, memory = choose_rows(compress, plan)
            write_predictions(plan, memory, sizes, execute, progressbar=progressbar)
            return memory.tree
        if output.is_parquet:
            check_summarized(plan)
        chunk_rows = output.chunk_rows if chunk_rows is None else chunk_rows
        sizes = _chunk_sizes(plan, chunk_rows, CHUNK_BYTES)
        sink, done = output.begin(plan, sizes)
        note = partial(output.note, plan, sizes)
        write_predictions(plan, sink, sizes, execute, progressbar=progressbar, done=done, note=note)
        return output.finish()


def _no_draws_error(names: Sequence[str], error: NotImplementedError) -> ValueError:
    """Return the error for a distribution that PyMC has a density of, and no random draws."""
    reason = str(error).splitlines()[0].split(". ")[0].rstrip(".")
    return ValueError(
        f"`var_names` must be of variables that can be drawn, got {list(names)}: {reason}.\n"
        "Hint: pass `random` to pm.CustomDist; or leave such variables out of `var_names`."
    )


def _check_divisible(predictor: Predictor) -> None:
    """Check that the rows can be divided among the workers of a cluster."""
    if isinstance(predictor.rows, DependentRows):
        reason = f"are computed at once, since {predictor.rows.reason}"
    elif all(shape.row_axis is None for shape in predictor.rows.shapes):
        reason = "are the same for all rows"
    else:
        return
    raise ValueError(
        "`cluster` must be left out where rows cannot be divided among workers, got predictions "
        f"that {reason}.\nHint: leave it out."
    )


def _chunk_sizes(plan: PredictionPlan, chunk_rows: int | None, unit_bytes: int) -> ChunkSizes:
    """Return how many rows are read at once, and how many of them are predicted at once.

    Parameters
    ----------
    plan : PredictionPlan
        The predictions.
    chunk_rows : int or None
        The rows to read at once, rounded up to units; by default as many as memory is free for.
    unit_bytes : int
        The size of the predictions of a unit on the disk, about; 0 for predictions in memory, all
        of which must fit there.
    """
    piece = plan.predictor.piece_rows
    unit = min(MAX_CHUNK_ROWS, unit_bytes // max(1, plan.template.row_bytes))
    unit = unit // piece * piece or piece
    if chunk_rows is None:
        # Two chunks are in memory at a time.
        free_rows = int(MEMORY_SHARE * free_memory()) // max(1, 2 * plan.rows.row_bytes)
        chunk_rows = min(MAX_CHUNK_ROWS, free_rows)
    else:
        whole_number("chunk_rows", chunk_rows, 1, "it counts rows that are read at once.")
    unit = min(unit, -(-chunk_rows // piece) * piece)
    if not unit_bytes:
        check_memory(plan.template.row_bytes * plan.template.num_rows)
    return ChunkSizes(chunk=max(1, -(-chunk_rows // unit)) * unit, unit=unit)


def _seed(random_seed: RandomSeed | None, output: DiskOutput | None) -> int:
    """Return the seed as a number: by default that of the interrupted run, or a new one."""
    seed = seed_number(random_seed)
    if seed is not None:
        # JAX takes it as an integer of 64 bits with a sign.
        return seed % 2**63
    if output is not None and output.random_seed is not None:
        return output.random_seed
    return int(np.random.SeedSequence().generate_state(1)[0])


def _is_names(var_names: object) -> bool:
    return isinstance(var_names, Iterable) and all(isinstance(name, str) for name in var_names)


def _predicted_names(
    model: pm.Model, var_names: str | Sequence[str] | None, fitted: Collection[str]
) -> list[str]:
    """Return the names of the variables to predict, all of which can be predicted."""
    known = [name for name in predictable(model) if name not in fitted]
    if not known:
        raise ValueError(
            "`model` must have an observed variable or a deterministic to predict, got none.\n"
            "Hint: a potential has no random draws; add a pm.Deterministic of what you want of new "
            "rows, or write the likelihood as pm.CustomDist(..., observed=...)."
        )
    if var_names is None:
        names = [variable.name for variable in model.observed_RVs] or unobserved_outcomes(
            model, fitted
        )
    elif not isinstance(var_names, str) and not _is_names(var_names):
        raise TypeError(
            f"`var_names` must be a name or a sequence of names, got {var_names!r}.\n"
            "Hint: pass names of the model, such as var_names=['y']."
        )
    else:
        names = [var_names] if isinstance(var_names, str) else list(dict.fromkeys(var_names))
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        got = str(unknown or names)
        if var_names is None:
            got = "None for a model without observed variables"
        raise ValueError(
            f"`var_names` must be among {known}, got {got}.\n"
            "Hint: observed variables and deterministics can be predicted. Draws of free variables "
            "are in the posterior; for one with a value for each row, which is different for new "
            "rows, add a pm.Deterministic of it to the model and ask for that."
        )
    split = [name for name in names if name in imputed_names(model)]
    if split:
        raise ValueError(
            f"`var_names` must not be of variables with imputed values, got {split}, which PyMC "
            "split by the rows that were missing.\n"
            "Hint: ask for a deterministic, such as its mean; or pass, as `model`, one that was "
            "built from rows without missing values."
        )
    return names
