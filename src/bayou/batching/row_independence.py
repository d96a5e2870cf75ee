"""Whether the log-likelihood is a sum over rows, so that the model can be fitted in batches.

A fit in batches estimates the log-likelihood of all rows by that of a few of them. If the density
of a row depends on the others in its batch, as after a cumulative sum, the fit would be of another
model, and nothing in its result would show that. So densities of random batches are compared with
those of the same rows among all rows in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytensor

from bayou.batching.row_mixing import (
    distribution_name,
    has_joint_density,
    has_joint_transform,
    mixing_operations,
)
from bayou.batching.row_terms import EvaluationError, RowTerms, num_rows_in_memory
from bayou.batching.total_size_checks import check_has_total_size
from bayou.errors import warn
from bayou.models.inputs import sampling_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.tensor.variable import TensorVariable

    from bayou.batching.row_terms import RowNumbers
    from bayou.density.program import Program

# The check of a logistic regression of 20 columns took 0.06 s with so many rows on two busy cores,
# and 0.25 s with ten times as many. A dependence between rows shows with few of them.
MOST_ROWS = 5_000
HALF_ROWS = 500
NUM_BATCHES = 3
# Two orders of summation differ by rounding alone.
RELATIVE = {"float64": 1e-8, "float32": 1e-4}
PAGE = "docs/explanation/batching.md says why."
GENERAL_HINT = (
    "leave `batch_size` out, which fits all rows at once, or write the model so that the density "
    "of a row depends only on that row and on free variables."
)


class DependenceError(ValueError):
    """The error for a likelihood that is no product over rows.

    Attributes
    ----------
    is_evaluated : bool
        Whether the likelihood of a part of the rows could be evaluated at all.
    """

    def __init__(self, message: str, *, is_evaluated: bool) -> None:
        super().__init__(message)
        self.is_evaluated = is_evaluated


@dataclass(frozen=True)
class Dependence:
    """Why a likelihood is no product over rows.

    Attributes
    ----------
    reason : str
        Names the variable, and continues "The likelihood must be ..., but".
    hint : str or None
        What to do; None for the general hint.
    is_evaluated : bool
        Whether the likelihood of a part of the rows could be evaluated at all.
    """

    reason: str
    hint: str | None = None
    is_evaluated: bool = True

    def error(self) -> DependenceError:
        """Return the error to raise."""
        return DependenceError(
            "The likelihood must be a product over rows to be fitted in batches, but "
            f"{self.reason}.\nHint: {self.hint or GENERAL_HINT} {PAGE}",
            is_evaluated=self.is_evaluated,
        )


def check_row_independence(model: pm.Model, program: Program, *, hint: str = GENERAL_HINT) -> None:
    """Check that each row has the same density in a batch as among all rows in memory.

    Batches of one row, of the size of a batch and of half of up to 5,000 random rows are compared,
    at a position near the start and at three drawn from the prior. A dependence that shows at none
    of these is not found.

    Parameters
    ----------
    model : pymc.Model
        The model in minibatches.
    program : Program
        Its program.
    hint : str
        What to do if a batch cannot be evaluated at all.

    Raises
    ------
    ValueError
        Names the variable, and the reason.
    """
    dependence = find_dependence(model, program, hint)
    if dependence is not None:
        raise dependence.error()


def warn_unchecked() -> None:
    """Warn that a model is fitted in batches without :func:`check_row_independence`."""
    warn(
        "`validate=False`: it is not checked that the log likelihood of a row does not depend on "
        "the other rows of its batch.\n"
        "Hint: leave `validate` out, unless you are sure of that: if it does depend on them, the "
        "fit is wrong."
    )


def check_likelihood(model: pm.Model, program: Program, *, validate: bool) -> None:
    """Check a model that is written with minibatches, as far as it shows which rows are whose.

    Rows of one axis that are all drawn alike are checked. Items of a generator, several axes and
    potentials of a batch, which the user scales, are not.

    Parameters
    ----------
    model : pymc.Model
        The model.
    program : Program
        Its program.
    validate : bool
        False to warn that the likelihood is not checked.

    Raises
    ------
    ValueError
        If the likelihood is no product over rows, or not scaled to all of them: names the variable.
    """
    samplings = set(map(sampling_of, program.fed))
    if len(samplings) != 1 or len(samplings.pop()) != 1 or program.potentials_of_batches:
        return
    check_has_total_size(model, program.terms_of_rows)
    if validate:
        check_row_independence(model, program)
    else:
        warn_unchecked()


def check_one_density_each(variables: Sequence[TensorVariable]) -> None:
    """Check that no variable has one distribution over all rows.

    Raises
    ------
    ValueError
        Names the variable and its distribution.
    """
    for variable in variables:
        if has_joint_density(variable):
            raise Dependence(
                f"{variable.name!r} has one distribution over all rows, "
                f"{distribution_name(variable)}"
            ).error()


def check_one_transform_each(model: pm.Model, names: Sequence[str]) -> None:
    """Check that no free variable has one transform over all rows, such as an order of them.

    Raises
    ------
    ValueError
        Names the variable and its transform.
    """
    for name in names:
        transform = model.rvs_to_transforms[model[name]]
        if has_joint_transform(model[name], transform):
            raise Dependence(
                f"{name!r} has one transform over all rows, {transform.name!r}"
            ).error()


def rows_are_independent(model: pm.Model, program: Program) -> bool:
    """Return whether :func:`check_row_independence` would pass."""
    return find_dependence(model, program) is None


def find_dependence(
    model: pm.Model, program: Program, hint: str = GENERAL_HINT
) -> Dependence | None:
    """Return why a likelihood is no product over rows; None if nothing shows that.

    Parameters
    ----------
    model, program
        The model in minibatches.
    hint : str
        What to do if a batch cannot be evaluated at all.
    """
    try:
        return _compare_batches(model, program)
    except EvaluationError as error:
        return Dependence(str(error), hint, is_evaluated=False)


def _compare_batches(model: pm.Model, program: Program) -> Dependence | None:
    # One seed, so that a model is always refused or never.
    generator = np.random.default_rng(0)
    num_rows = num_rows_in_memory(program)
    rows = np.sort(generator.choice(num_rows, min(num_rows, MOST_ROWS), replace=False))
    [sample] = sampling_of(program.fed[0])
    half = max(1, min(HALF_ROWS, len(rows) // 2))
    sizes = [1, 1, 1, half, *(min(sample.size, len(rows)),) * NUM_BATCHES]
    row_terms = RowTerms(model, program, rows, generator)
    nowhere_finite = set(program.terms_of_rows)
    first: NDArray[np.floating] | None = None
    for position, all_terms in row_terms.positions():
        first = position if first is None else first
        # PyMC gives no row a density where a parameter of one row is out of its range.
        void = {name for name in program.terms_of_rows if not np.isfinite(all_terms[name]).any()}
        nowhere_finite &= void
        for size in sizes:
            batch = generator.choice(len(rows), size, replace=False)
            batch_terms = row_terms.of_batch(position, batch)
            for name, term in all_terms.items():
                if name in void:
                    continue
                dependence = _compare_term(model, program, name, term, batch_terms[name], batch)
                if dependence is not None:
                    return dependence
    if first is not None:
        for name in sorted(nowhere_finite):
            _check_each_row(row_terms, name, first, rows)
    return None


def _check_each_row(
    row_terms: RowTerms, name: str, position: NDArray[np.floating], rows: RowNumbers
) -> None:
    """Check that no row by itself takes the density of all rows away.

    Raises
    ------
    ValueError
        Names the variable and the row.
    """
    at_fault = np.arange(len(rows))
    while len(at_fault) > 1:
        half = at_fault[: len(at_fault) // 2]
        is_in_half = not np.isfinite(row_terms.of_batch(position, half)[name]).any()
        at_fault = half if is_in_half else at_fault[len(half) :]
    others = np.delete(np.arange(len(rows)), at_fault)
    if len(others) and np.isfinite(row_terms.of_batch(position, others[:1])[name]).any():
        raise ValueError(
            f"The log density must be finite in each row, got none for {name!r} in row "
            f"{rows[at_fault[0]]}, where the model starts.\n"
            "Hint: look at that row for a parameter out of its range, such as a standard deviation "
            "of 0, and for a value outside of the support of the likelihood."
        )


def _compare_term(
    model: pm.Model,
    program: Program,
    name: str,
    of_all: NDArray[np.floating],
    of_batch: NDArray[np.floating],
    batch: RowNumbers,
) -> Dependence | None:
    """Compare a term on many rows, shape (num_rows, ...), with that on a batch of them."""
    if name in program.potentials_of_batches:
        return Dependence(
            f"the potential {name!r} is one number for all rows",
            "leave the sum over rows out of the potential, so that it has one value for each row.",
        )
    if name not in program.terms_of_rows:
        if of_all.shape == of_batch.shape and _are_close(of_all, of_batch).all():
            return None
        cause = _likely_cause(model, name)
        return Dependence(f"the density of {name!r} depends on which rows are in the batch{cause}")
    if of_batch.shape[:1] != batch.shape or of_all.shape[1:] != of_batch.shape[1:]:
        cause = _likely_cause(model, name)
        return Dependence(f"{name!r} has no separate density for each row{cause}")
    # Each is scaled to all rows, by the number of those that it is of.
    differs = ~_are_close(of_all[batch] * len(of_all), of_batch * len(batch))
    if not differs.any():
        return None
    share = differs.reshape(len(batch), -1).any(axis=1).mean()
    return Dependence(
        f"the density of {name!r} in a batch differs from that among all rows, in {share:.0%} of "
        f"rows{_likely_cause(model, name)}"
    )


def _are_close(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return where two arrays are equal but for rounding."""
    relative = RELATIVE["float64" if pytensor.config.floatX == "float64" else "float32"]
    finite = one[np.isfinite(one)]
    largest = float(np.abs(finite).max()) if finite.size else 1.0
    close: NDArray[np.bool_] = np.isclose(
        # A small difference of large terms is rounding too.
        one, other, relative, 1e-3 * relative * largest, equal_nan=True,
    )  # fmt: skip
    return close


def _likely_cause(model: pm.Model, name: str) -> str:
    """Return the end of a reason: what in the graph takes rows together, if that is known."""
    operations = mixing_operations(model, name)
    return f", because of {' and '.join(operations)}" if operations else ""
