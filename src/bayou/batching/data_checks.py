"""Checks of the data that feed a model, before a fit of it compiles anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from pytensor.graph.traversal import ancestors, walk
from pytensor.tensor.shape import Shape, Shape_i

from bayou.containers.variables.imputation import ImputedVariable
from bayou.containers.variables.random_rows import NumRows
from bayou.containers.variables.source_variable import check_complete, resident_of, window_of
from bayou.models.inputs import is_fed, sampling_of, storage_of
from bayou.models.missing_values import imputed_names
from bayou.models.total_size import has_total_size, minibatch_scales

if TYPE_CHECKING:
    import pymc as pm
    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayou.containers.variables.resident_rows import Resident
    from bayou.density.program import Program
    from bayou.feeding.source_feed import AnyOrder
    from bayou.sampling.axes import AxisSample


def check_rows(model: pm.Model, program: Program, order: AnyOrder) -> None:
    """Refuse minibatches that are not scaled to all rows, or whose rows cannot be aligned.

    Raises
    ------
    ValueError
        Says which.
    """
    check_complete(program.data)
    if order != "epoch" and (program.feeds_all_rows or not program.fed):
        name = order if isinstance(order, str) else type(order).__name__
        raise ValueError(
            f"`order` must come with rows in batches, got {name!r} for a fit of all rows at each "
            "step.\nHint: pass a batch_size, or leave it out."
        )
    _check_weights(program, order)
    _check_scales(model)
    lengths: dict[Any, tuple[int, int | None]] = {}
    samplings: dict[int, tuple[AxisSample, ...]] = {}
    for variable in program.fed:
        resident = resident_of(storage_of(variable))
        if resident is not None:
            source = id(resident.column.source)
            if samplings.setdefault(source, sampling_of(variable)) != sampling_of(variable):
                raise ValueError(
                    "Minibatches of one source must have one batch_size and random_seed, got "
                    f"others for {variable.name!r}.\n"
                    "Hint: its fields are fed the same rows; open the source twice to have others."
                )
        for sample in sampling_of(variable):
            length = _length(variable, sample, resident)
            if order == "epoch" and sample.size > length:
                raise ValueError(
                    "Batches must have at most as many rows as the data under "
                    f'order="epoch", got {sample.size} of {length} rows ({variable.name!r}).\n'
                    "Hint: a batch of an epoch holds no row twice; take a smaller batch_size, or "
                    'draw with replacement by order="uniform".'
                )
            windowed = None
            if resident is not None and not resident.is_complete:
                of = resident.column.source
                windowed = None if of.random_access else id(of)
            stream = (sample.size, sample.seed, sample.stream)
            known = lengths.setdefault(stream, (length, windowed))
            if known[0] != length:
                raise ValueError(
                    f"Minibatches of one size and seed must be of data of one length, got "
                    f"{known[0]} and {length} rows ({variable.name!r}).\n"
                    "Hint: set the values of all of them, or give them seeds of their own."
                )
            if known[1] != windowed:
                raise ValueError(
                    "Minibatches of one size and seed must be fed the same rows, got an array or "
                    f"another source beside one that is read in windows ({variable.name!r}).\n"
                    "Hint: bring them into one source, or give one of them a seed of its own if "
                    "its rows need not be those of the other."
                )


def check_imputed(model: pm.Model) -> None:
    """Refuse missing values that are imputed where the model computes with them, or as integers.

    Raises
    ------
    TypeError
        If a variable of integers is observed with missing values.
    ValueError
        If a container with missing values is of more than what is observed; says which.
    """
    parts = imputed_names(model)
    whole = [
        name
        for variable in model.free_RVs
        if (name := variable.name.removesuffix("_unobserved")) in parts
        and np.dtype(variable.dtype).kind != "f"
    ]
    if whole:
        raise TypeError(
            "`model` must have continuous free variables alone, but missing values of "
            f"{whole[0]!r} are imputed, and are whole numbers.\n"
            'Hint: leave their rows out, by.Data(..., missing="drop"), or use pm.sample.'
        )
    values = [model.rvs_to_values[v] for v in model.observed_RVs if v.name not in parts]
    for found in walk([*model.basic_RVs, *model.potentials, *values], _inputs_with_values):
        if isinstance(found, ImputedVariable):
            raise ValueError(
                f'`missing="impute"` must be of what is observed alone, got {found.name!r}, which '
                "the model computes with.\n"
                'Hint: leave such rows out, missing="drop", or observe them as a variable with a '
                "prior, x = pm.Normal('x', ..., observed=data), and compute with that."
            )


def _inputs_with_values(variable: Variable) -> list[Variable]:
    """Return what a variable is computed from, unless it is no more than a length."""
    if variable.owner is None or isinstance(variable.owner.op, Shape | Shape_i | NumRows):
        return []
    return list(variable.owner.inputs)


def _length(variable: TensorVariable, sample: AxisSample, resident: Resident | None) -> int:
    if resident is not None:
        return resident.num_rows
    length: int = storage_of(variable).get_value(borrow=True).shape[sample.axis]
    return length


def _check_weights(program: Program, order: AnyOrder) -> None:
    if isinstance(order, str):
        return
    alike = len(set(map(sampling_of, program.fed))) == 1
    if not alike or not program.takes_weights or program.latent is not None:
        raise ValueError(
            "`order` must be by name unless one minibatch, or several that are aligned, feed what "
            f"observes them alone, got {type(order).__name__}.\n"
            "Hint: weights are of the likelihood of each row; observe rows, and leave potentials "
            "and variables with a value for each row out."
        )


def _check_scales(model: pm.Model) -> None:
    """Refuse observed minibatches without a total_size, and with one that a source contradicts."""
    scales: dict[str, float] = {}
    for variable in model.observed_RVs:
        value = model.rvs_to_values[variable]
        if not is_fed(value):
            continue
        if not has_total_size(variable):
            raise ValueError(
                f"`total_size` must be given for {variable.name!r}, which observes a minibatch.\n"
                "Hint: pass total_size=len(data), or the fit would be of one batch alone."
            )
        for resident in filter(None, map(window_of, ancestors([value]))):
            scales = scales or minibatch_scales(model)
            total = scales[variable.name] * resident.size
            if not np.isclose(total, resident.num_rows, rtol=1e-9):
                raise ValueError(
                    f"`total_size` of {variable.name!r} must be the number of rows of its source, "
                    f"{resident.num_rows}, got {total:.0f}.\n"
                    "Hint: pass total_size=source.num_rows."
                )


def check_integers(program: Program) -> None:
    """Refuse integers that JAX would wrap around.

    Raises
    ------
    ValueError
        Names what holds them.
    """
    if jax.dtypes.canonicalize_dtype(np.int64) == np.int64:
        return
    held = [storage_of(variable) for variable in program.fed]
    for variable in held:
        resident = window_of(variable)
        if resident is not None and resident.column.dtype in (np.int64, np.uint64, np.uint32):
            raise ValueError(
                f"`floatX` must be float64 for {resident.column.dtype} of which a part is in "
                f"memory, got {variable.name!r}, whose values may need 64 bits.\n"
                'Hint: pass dtype="int32" if none does, or set pytensor.config.floatX.'
            )
    for variable in (*held, *program.data):
        values = variable.get_value(borrow=True)
        if values.dtype.kind in "iu" and values.size:
            low, high = int(values.min()), int(values.max())
            if low < -(2**31) or high >= 2**31:
                raise ValueError(
                    f"`floatX` must be float64 for integers that need 64 bits, got {low} to {high} "
                    f"in {variable.name!r}.\n"
                    "Hint: number the values from 0, or set pytensor.config.floatX before the "
                    "model is made."
                )
