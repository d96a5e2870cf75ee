"""Whether a likelihood is one of rows: the density of each must be the same in any company.

A fit in minibatches takes the log-likelihood for a sum over rows. Where a row's density depends on
the others of its batch, the fit would be of another model, and nothing would tell.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
from pytensor.graph.traversal import ancestors
from pytensor.tensor.basic import Join
from pytensor.tensor.elemwise import CAReduce
from pytensor.tensor.extra_ops import CumOp
from pytensor.tensor.sort import ArgSortOp, SortOp
from pytensor.tensor.special import LogSoftmax, Softmax
from pytensor.tensor.subtensor import AdvancedSubtensor, Subtensor

from bayou.density.non_finite import check_start
from bayou.feeding.extremes import array_extremes
from bayou.models.initial_point import start_function
from bayou.models.inputs import sampling_of, storage_of, takes_rows
from bayou.models.total_size import has_total_size, without_total_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pymc as pm
    from numpy.typing import NDArray

    from bayou.density.program import Inputs, Program

    type Terms = dict[str, NDArray[Any]]

# More rows than this would make the check take longer than it tells.
MOST_ROWS = 5_000
HALF_ROWS = 500
NUM_BATCHES = 3
NUM_PRIOR = 3
RELATIVE = 1e-8 if pytensor.config.floatX == "float64" else 1e-4
# Where the density is not finite, positions nearer to the start are tried.
JITTERS = (1.0, 0.1, 0.01, 0.0)
# What an evaluation ends in where lengths do not fit, or matrices have no factors.
FAILURES = (ValueError, IndexError, TypeError, AssertionError, ArithmeticError, NotImplementedError)
HINT = "leave `batch_size` out, or write the model such that each row stands alone."


def check_validity(
    model: pm.Model, program: Program, *, validate: bool = True, hint: str = HINT
) -> None:
    """Check that rows have the same density in a batch as among all of the rows in memory.

    It compares batches of one row, of the size of a batch and of half of up to 5,000 random rows,
    at a position near the start and at some that are drawn from the prior: what shows at none of
    these is not found.

    Parameters
    ----------
    model : pymc.Model
        The model in minibatches.
    program : Program
        Its program.
    validate : bool
        False to warn that nothing is checked.
    hint : str
        What to do where a batch cannot be evaluated at all.

    Raises
    ------
    ValueError
        Names the variable, and the reason.

    Warns
    -----
    UserWarning
        If nothing is checked.
    """
    if not validate:
        warnings.warn(
            "`validate=False`: it is not checked that the likelihood of a row is the same whatever "
            "rows it comes with.\nHint: leave it out, unless you know that it is.",
            UserWarning,
            stacklevel=4,
        )
        return
    try:
        fault = _compare(model, program)
    except _EvaluationError as error:
        raise invalid(str(error), hint) from None
    if fault is not None:
        raise invalid(fault)


def check_likelihood(model: pm.Model, program: Program, *, validate: bool) -> None:
    """Check a model that is written with minibatches, as far as it shows which rows are whose.

    Rows of one axis that are all drawn alike are checked; items of a generator, several axes and
    potentials of a batch, which are scaled by hand, are not.

    Raises
    ------
    ValueError
        If the likelihood is none of rows, or is not scaled to all of them; names the variable.
    """
    samplings = set(map(sampling_of, program.fed))
    if len(samplings) == 1 and len(samplings.pop()) == 1 and not program.potentials_of_batches:
        _check_scaled(model, program)
        check_validity(model, program, validate=validate)


def _check_scaled(model: pm.Model, program: Program) -> None:
    """Refuse what is observed in batches and not scaled to all rows, of which PyMC only warns."""
    for variable in model.observed_RVs:
        if variable.name in program.terms_of_rows and not has_total_size(variable):
            raise ValueError(
                f"`total_size` must be given for {variable.name!r}, which is observed in batches, "
                "got none: the likelihood would be that of a batch.\n"
                "Hint: pass total_size=len(data), the number of all rows, to the distribution."
            )


def invalid(fault: str, hint: str = HINT) -> ValueError:
    """Return the error for a likelihood that is none of rows."""
    return ValueError(
        f"The likelihood must be a product over rows to be fitted in batches, but {fault}.\n"
        f"Hint: {hint}"
    )


class _EvaluationError(Exception):
    """A density that cannot be evaluated on a part of the rows; says why."""


def check_joint(variables: Sequence[Any]) -> None:
    """Refuse variables whose distribution is one over all rows.

    Raises
    ------
    ValueError
        Names the variable and its distribution.
    """
    for variable in variables:
        if _num_joint(variable) >= variable.ndim > 0:
            raise invalid(
                f"{variable.name!r} has one distribution over all rows, {_distribution(variable)}"
            )


def is_valid(model: pm.Model, program: Program) -> bool:
    """Tell whether a likelihood is one of rows."""
    try:
        return _compare(model, program) is None
    except _EvaluationError:
        return False


def _compare(model: pm.Model, program: Program) -> str | None:
    """Return what keeps a likelihood from being one of rows, with the name of the variable."""
    generator = np.random.default_rng(0)
    num_rows = min(_length(variable) for variable in program.fed)
    rows = np.sort(generator.choice(num_rows, min(num_rows, MOST_ROWS), replace=False))
    [sample] = sampling_of(program.fed[0])
    half = max(1, min(HALF_ROWS, len(rows) // 2))
    sizes = [1, 1, 1, half, *(min(sample.size, len(rows)),) * NUM_BATCHES]
    latent = _latent(program, generator, len(rows))
    for position, whole in _positions(model, program, generator, rows, latent):
        for size in sizes:
            batch = generator.choice(len(rows), size, replace=False)
            of_batch = tuple(values[batch] for values in latent)
            part = _terms(program, position, rows[batch], of_batch)
            for name, term in whole.items():
                fault = _fault(model, program, name, term, part[name], batch)
                if fault:
                    return fault
    return None


def _latent(program: Program, generator: np.random.Generator, num_rows: int) -> Inputs:
    """Return values of the latent variables of rows, each row with its own."""
    return tuple(
        start + generator.uniform(-0.5, 0.5, size=start.shape)
        for start in program.latent_start(num_rows)
    )


def _positions(
    model: pm.Model,
    program: Program,
    generator: np.random.Generator,
    rows: NDArray[np.int64],
    latent: Inputs,
) -> Iterator[tuple[NDArray[Any], Terms]]:
    """Yield positions around the start and drawn from the prior, with the densities on all rows."""
    direction = generator.uniform(-1, 1, size=program.layout.size)
    for jitter in JITTERS:
        position = program.start(0) + jitter * direction
        terms = _terms(program, position, rows, latent)
        if all(np.isfinite(term).all() for term in terms.values()):
            break
    yield position, terms
    draw = start_function(model, jitter=False, prior=True)
    names = [value.name for value in model.value_vars]
    for seed in range(NUM_PRIOR):
        try:
            values = dict(zip(names, draw(seed), strict=True))
        except FAILURES:
            # Some distributions have a density alone.
            return
        position = np.concatenate([np.ravel(values[name]) for name in program.layout.names])
        yield position, _terms(program, position, rows, latent)


def _length(variable: Any) -> int:
    [sample] = sampling_of(variable)
    length: int = storage_of(variable).get_value(borrow=True).shape[sample.axis]
    return length


def _terms(
    program: Program, position: NDArray[Any], rows: NDArray[np.int64], latent: Inputs
) -> Terms:
    """Return the densities on some rows."""
    inputs = _fed(program, rows) + program.data_values() + latent
    try:
        return program.interpreted_terms(position, inputs)
    except FAILURES:
        for name in program.term_names:
            try:
                program.interpreted_terms(position, inputs, name)
            except IndexError as error:
                every = np.arange(min(map(_length, program.fed)))
                inputs = _fed(program, every) + program.data_values()
                numbers = [
                    (variable.name or "", array_extremes(storage_of(variable).get_value()))
                    for variable in program.fed
                    if variable.dtype.startswith(("int", "uint"))
                ]
                check_start(program, position, inputs + program.latent_start(len(every)), numbers)
                raise _EvaluationError(
                    f"an index in {name!r} points at other rows: with some of them alone, "
                    f"{_first_line(error)}"
                ) from None
            except FAILURES as error:
                raise _EvaluationError(
                    f"{name!r} cannot be evaluated on some of the rows ({_first_line(error)})"
                ) from None
        raise


def _fed(program: Program, rows: NDArray[np.int64]) -> Inputs:
    return tuple(
        np.take(storage_of(variable).get_value(borrow=True), rows, sampling_of(variable)[0].axis)
        for variable in program.fed
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].strip().rstrip(".")


def _fault(
    model: pm.Model,
    program: Program,
    name: str,
    whole: NDArray[Any],
    part: NDArray[Any],
    batch: NDArray[np.int64],
) -> str | None:
    """Compare a term on many rows with the same term on a batch of them."""
    if name in program.potentials_of_batches:
        return (
            f"the potential {name!r} is one number for all rows; a potential with a value for each "
            "row is one of rows"
        )
    if name not in program.terms_of_rows:
        if whole.shape == part.shape and _close(whole, part).all():
            return None
        return f"the density of {name!r} depends on which rows are there{_by(model, name)}"
    if part.shape[:1] != batch.shape or whole.shape[1:] != part.shape[1:]:
        return f"{name!r} has no density of its own for each row{_by(model, name)}"
    # Each is scaled up to all rows.
    wrong = ~_close(whole[batch] * len(whole), part * len(batch))
    if not wrong.any():
        return None
    share = wrong.reshape(len(batch), -1).any(axis=1).mean()
    return (
        f"{name!r} gives {share:.0%} of the rows another density in a batch than among all "
        f"rows{_by(model, name)}"
    )


def _close(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    finite = one[np.isfinite(one)]
    size = float(np.abs(finite).max()) if finite.size else 1.0
    absolute = 1e-3 * RELATIVE * size
    close: NDArray[np.bool_] = np.isclose(one, other, RELATIVE, absolute, equal_nan=True)
    return close


def _by(model: pm.Model, name: str) -> str:
    """Say by what rows are mixed, as far as the graph of a variable shows it."""
    variables = (*model.basic_RVs, *model.potentials)
    [variable] = [variable for variable in variables if variable.name == name]
    found = list(dict.fromkeys(_mixing(variable)))
    return f": by {' and '.join(found)}" if found else ""


def _mixing(variable: Any) -> Iterator[str]:
    for ancestor in ancestors([variable]):
        node = ancestor.owner
        if node is None or not node.inputs or not takes_rows(node.inputs[0]):
            continue
        match node.op:
            case CumOp():
                yield "a cumulative sum or product"
            case Softmax() | LogSoftmax():
                yield "a softmax"
            case CAReduce() if node.op.axis is None or 0 in node.op.axis:
                yield "a sum, mean or other reduction over rows"
            case SortOp() | ArgSortOp():
                yield "a sort"
            case AdvancedSubtensor():
                yield "an index into the rows"
            case Subtensor() | Join():
                yield "a shift of rows"
            case _:
                pass


def _num_joint(variable: Any) -> int:
    """Return how many of its last axes a variable has one density for."""
    return getattr(without_total_size(variable).owner.op, "ndim_supp", 0)


def _distribution(variable: Any) -> str:
    operation = without_total_size(variable).owner.op
    names = getattr(operation, "_print_name", None)
    return str(names[0] if names else type(operation).__name__)
