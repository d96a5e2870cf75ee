"""Densities that are not finite: the step at which it happened, and the variables at fault."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import numpy as np

from bayou.density.compiled_functions import FunctionKey
from bayou.errors import DivergenceError
from bayou.models.initial_point import StartCandidates

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from bayou.density.evaluator import Block
    from bayou.density.program import Inputs, Program
    from bayou.feeding.integer_ranges import Extremes


@dataclass(frozen=True)
class _AllTerms(FunctionKey):
    """The unsummed log densities of a program."""


def find_start(
    program: Program,
    seed: int,
    inputs: Inputs,
    extremes: Sequence[tuple[str, Extremes]] = (),
) -> NDArray[np.float64]:
    """Return a position to start a fit from, at which the density is finite.

    It is the model's own starting point, unless the density is not finite there. The arguments,
    and errors for the model's own starting point, are those of :func:`check_start`.
    """
    first = program.start(seed)
    try:
        check_start(program, first, inputs, extremes)
    except ValueError as error:
        for attempt in range(1, StartCandidates.COUNT):
            position = program.start(seed, attempt)
            # No compiled code: where the first start does, no attempt costs a compilation.
            if not _not_finite(program.interpreted_terms(position, inputs)):
                return position
        raise error
    return first


def check_start(
    program: Program,
    position: NDArray[np.floating],
    inputs: Inputs,
    extremes: Sequence[tuple[str, Extremes]] = (),
) -> None:
    """Check that the density is finite where a fit starts.

    Parameters
    ----------
    program : Program
        The model.
    position : ndarray, shape (size,)
        The position that the fit starts from.
    inputs : tuple of array
        The rows that it starts with.
    extremes : sequence of (str, Extremes), optional
        The least and the largest whole numbers in all rows, by the names of their containers.

    Raises
    ------
    IndexError
        If a variable is indexed out of its range: gives the extremes.
    ValueError
        Names the variables whose log density is not finite.
    """
    try:
        faults = _not_finite(program.interpreted_terms(position, inputs))
    except IndexError as error:
        ranges = "".join(f"; {name!r} holds {values}" for name, values in extremes)
        raise IndexError(
            "Whole numbers that index a variable must be at least 0 and below its length: "
            f"{str(error).splitlines()[0]}{ranges}.\n"
            "Hint: check the least and the largest value of the containers that the model indexes "
            "by."
        ) from None
    # NaN and inf of a density come without an exception, also from the interpreter.
    if faults:
        raise _start_error(_described(faults))


def check_all_rows(
    program: Program, position: NDArray[np.floating], blocks: Iterable[Block]
) -> None:
    """Check that the density is finite where a fit starts, in each of all rows.

    Parameters
    ----------
    program : Program
        The model.
    position : ndarray, shape (size,)
        The position that the fit starts from.
    blocks : iterable of Block
        All rows, in their order.

    Raises
    ------
    ValueError
        Names the variables whose log density is not finite, and the first row at fault.
    """
    first_row = 0
    for block in blocks:
        terms = program.interpreted_terms(position, block.inputs)
        faults = _not_finite(terms)
        if faults:
            row = row_at_fault(terms[name] for name in program.terms_of_rows if name in faults)
            of_all = "" if row is None else f", first in row {first_row + row}"
            raise _start_error(f"{_described(faults)}{of_all}")
        first_row += block.num_rows


def row_at_fault(terms: Iterable[NDArray[np.floating]]) -> int | None:
    """Return the first row of the first term that is not finite; None without such a term.

    Parameters
    ----------
    terms : iterable of ndarray, shape (num_rows, ...)
        Log densities of rows.
    """
    for term in terms:
        rows = np.flatnonzero(~np.isfinite(term.reshape(len(term), -1)).all(axis=1))
        if len(rows):
            return int(rows[0])
    return None


def _start_error(value: str) -> ValueError:
    return ValueError(
        f"The log density must be finite where the fit starts, got {value}.\n"
        "Hint: check the observed values against the support of the likelihood, or give `initval=` "
        "to the variables that it depends on."
    )


def divergence_error(
    program: Program, step: int, positions: Iterable[NDArray[np.floating]], inputs: Inputs
) -> DivergenceError:
    """Return the error for a loss that is not finite.

    Parameters
    ----------
    program : Program
        The model.
    step : int
        The number of the step.
    positions : iterable of ndarray, shape (size,)
        The positions that the step drew. The first with a density that is not finite names the
        variables.
    inputs : tuple of array
        The rows of the step.
    """
    positions = list(positions)
    of_each = (non_finite_terms(program, position, inputs) for position in positions)
    faults = next(filter(None, of_each), {})
    value = _described(faults) if faults else f"a gradient that is not finite near {positions[0]}"
    error = DivergenceError(
        f"The loss must be finite, got {value} at step {step}.\n"
        "Hint: lower the learning rate, tighten the priors, or check the rows of that step."
    )
    error.names = tuple(faults)
    return error


def non_finite_terms(
    program: Program, position: NDArray[np.floating], inputs: Inputs
) -> dict[str, np.floating]:
    """Return the variables whose log density is not finite, each with its first such value."""
    # By compiled code, which may overflow where the interpreter does not.
    terms = program.compiled.get_or_compile(_AllTerms(), lambda: jax.jit(program.terms))
    values = terms(position, inputs)
    return _not_finite({name: np.asarray(values[name]) for name in program.term_names})


def _not_finite(terms: dict[str, NDArray[np.floating]]) -> dict[str, np.floating]:
    return {
        name: value[~np.isfinite(value)][0]
        for name, value in terms.items()
        if not np.isfinite(value).all()
    }


def _described(faults: dict[str, np.floating]) -> str:
    return ", ".join(f"{value} from {name!r}" for name, value in faults.items())
