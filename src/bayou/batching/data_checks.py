"""Checks of the data that feed a model, before a fit of it compiles anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np
from pytensor.graph.traversal import walk

from bayou.batching.total_size_checks import check_minibatch_total_sizes
from bayou.containers.variables.imputation import ImputedVariable
from bayou.containers.variables.source_variable import check_complete, resident_of, window_of
from bayou.models.inputs import sampling_of, storage_of, value_inputs
from bayou.models.missing_values import imputed_names

if TYPE_CHECKING:
    import pymc as pm
    from pytensor.tensor.variable import TensorVariable

    from bayou.containers.variables.resident_rows import Resident
    from bayou.density.program import Program
    from bayou.feeding.source_batches import AnyOrder
    from bayou.sampling.axes import AxisSample


class _Stream(NamedTuple):
    """The stream that rows are drawn by: minibatches of one stream get the same row numbers."""

    size: int
    seed: int
    number: int


class _Rows(NamedTuple):
    """The rows that a stream is of: their number, and the source if it is read in windows.

    A window is the part of a source's rows that is in memory at a time.
    """

    num_rows: int
    windowed_source: int | None


def check_minibatches(model: pm.Model, program: Program, order: AnyOrder) -> None:
    """Check that minibatches are scaled to all rows, and that rows of one batch belong together.

    Parameters
    ----------
    model : pymc.Model
        The model in minibatches.
    program : Program
        Its program.
    order : str or order
        The order of rows that the fit was asked for.

    Raises
    ------
    ValueError
        Names the container or variable and the reason.
    """
    check_complete(program.data)
    _check_order(program, order)
    check_minibatch_total_sizes(model)
    _check_one_sampling(program.fed)
    known: dict[_Stream, _Rows] = {}
    for variable in program.fed:
        resident = resident_of(storage_of(variable))
        for sample in sampling_of(variable):
            rows = _Rows(_num_rows(variable, sample, resident), _windowed_source(resident))
            if order == "epoch" and sample.size > rows.num_rows:
                raise ValueError(
                    '`batch_size` must be at most the number of rows with order="epoch", got '
                    f"{sample.size} for {rows.num_rows} rows{_of(variable)}.\n"
                    "Hint: in this order no batch has a row twice; pass a smaller batch_size, or "
                    'order="uniform", which draws with replacement.'
                )
            stream = _Stream(sample.size, sample.seed, sample.stream)
            # The first minibatch of a stream says what rows the stream is of.
            _check_aligned(variable, rows, known.setdefault(stream, rows))


def check_imputed_values(model: pm.Model) -> None:
    """Check that missing values are imputed in observed variables alone, and are no integers.

    Raises
    ------
    TypeError
        If a variable of integers is observed with missing values.
    ValueError
        If the model computes with a container that has missing values: names it.
    """
    parts = imputed_names(model)
    integers = [
        name
        for variable in model.free_RVs
        if (name := variable.name.removesuffix("_unobserved")) in parts
        and np.dtype(variable.dtype).kind != "f"
    ]
    if integers:
        raise TypeError(
            "`model` must have only continuous free variables, but missing values of "
            f"{integers[0]!r} are imputed, and are whole numbers.\n"
            'Hint: leave their rows out, by.Data(..., missing="drop"), or use pm.sample.'
        )
    values = [model.rvs_to_values[v] for v in model.observed_RVs if v.name not in parts]
    for variable in walk([*model.basic_RVs, *model.potentials, *values], value_inputs):
        if isinstance(variable, ImputedVariable):
            raise ValueError(
                '`missing="impute"` must be for data that are only observed, got '
                f"{variable.name!r}, which the model also computes with.\n"
                'Hint: leave such rows out, missing="drop", or observe them as a variable with a '
                "prior, x = pm.Normal('x', ..., observed=data), and compute with that."
            )


def check_integers(program: Program) -> None:
    """Check that integers fit into 32 bits where JAX has no more.

    Raises
    ------
    ValueError
        Names the container.
    """
    # PyTensor's floatX decides whether JAX has 64 bits. Without, it wraps larger integers around.
    if jax.dtypes.canonicalize_dtype(np.int64) == np.int64:
        return
    for variable in program.fed:
        window = window_of(storage_of(variable))
        # Rows that are not in memory yet cannot be looked at.
        if window is not None and window.column.dtype in (np.int64, np.uint64, np.uint32):
            raise ValueError(
                f"`floatX` must be float64 for {window.column.dtype} of which a part is in "
                f"memory, got {variable.name!r}, whose values may need 64 bits.\n"
                'Hint: pass dtype="int32" if none does, or set pytensor.config.floatX.'
            )
    for variable in (*program.fed, *program.data):
        values = storage_of(variable).get_value(borrow=True)
        if values.dtype.kind in "iu" and values.size:
            low, high = int(values.min()), int(values.max())
            if low < -(2**31) or high >= 2**31:
                raise ValueError(
                    f"`floatX` must be float64 for integers that need 64 bits, got {low} to {high} "
                    f"in {variable.name!r}.\n"
                    "Hint: number the values from 0, or set pytensor.config.floatX before the "
                    "model is built."
                )


def _num_rows(variable: TensorVariable, sample: AxisSample, resident: Resident | None) -> int:
    if resident is not None:
        return resident.num_rows
    length: int = storage_of(variable).get_value(borrow=True).shape[sample.axis]
    return length


def _windowed_source(resident: Resident | None) -> int | None:
    """Return what tells a source apart that is read in windows; None for any other rows.

    A source with random access is fed by row numbers, as an array is.
    """
    if resident is None or resident.is_complete or resident.column.source.random_access:
        return None
    return id(resident.column.source)


def _check_order(program: Program, order: AnyOrder) -> None:
    """Check that an order of rows, and weights of rows, have an effect that is right."""
    if order != "epoch" and (program.feeds_all_rows or not program.fed):
        name = order if isinstance(order, str) else type(order).__name__
        raise ValueError(
            f"`order` must come with rows in batches, got {name!r} for a fit of all rows at each "
            "step.\nHint: pass a batch_size, or leave `order` out."
        )
    if isinstance(order, str):
        return
    # An order that is an object draws rows with weights, which one likelihood of rows can take.
    are_aligned = len(set(map(sampling_of, program.fed))) == 1
    if not are_aligned or not program.takes_weights or program.latent is not None:
        raise ValueError(
            "`order` must be by name unless one minibatch, or several that are aligned, feed what "
            f"observes them alone, got {type(order).__name__}.\n"
            "Hint: weights are of the likelihood of each row; observe rows, and leave potentials "
            "and variables with a value for each row out."
        )


def _check_one_sampling(fed: tuple[TensorVariable, ...]) -> None:
    """Check that the minibatches of one source are sampled alike."""
    samplings: dict[int, tuple[AxisSample, ...]] = {}
    for variable in fed:
        resident = resident_of(storage_of(variable))
        if resident is None:
            continue
        source, sampling = id(resident.column.source), sampling_of(variable)
        if samplings.setdefault(source, sampling) != sampling:
            raise ValueError(
                "Minibatches of one source must have one batch_size and random_seed, got "
                f"others for {variable.name!r}.\n"
                "Hint: its fields are fed the same rows; open the source twice for different rows."
            )


def _of(variable: TensorVariable) -> str:
    """Return the name of a minibatch in brackets; nothing for one without a name."""
    return f" ({variable.name!r})" if variable.name else ""


def _check_aligned(variable: TensorVariable, rows: _Rows, first: _Rows) -> None:
    """Check that a minibatch is of the same rows as the first one with its size and seed."""
    if first.num_rows != rows.num_rows:
        raise ValueError(
            "Minibatches of one size and seed must be of data of one length, got "
            f"{first.num_rows} and {rows.num_rows} rows{_of(variable)}.\n"
            "Hint: set the values of all of them, or give them different seeds."
        )
    if first.windowed_source != rows.windowed_source:
        raise ValueError(
            "Minibatches of one size and seed must be fed the same rows, got an array or another "
            f"source beside one that is read in windows{_of(variable)}.\n"
            "Hint: bring them into one source, or give one of them another seed if its rows need "
            "not be those of the other. A window is the part of a source that is in memory at a "
            "time."
        )
