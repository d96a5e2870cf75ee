"""What went wrong when a density is not finite: the step, and the variables at fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from bayou.errors import DivergenceError
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayou.density.program import Inputs, Program
    from bayou.feeding.extremes import Extremes


def check_start(
    program: Program, position: Any, inputs: Inputs, held: Sequence[tuple[str, Extremes]] = ()
) -> None:
    """Raise if the density is not finite where a fit starts.

    Parameters
    ----------
    program : Program
        The model.
    position : ndarray, shape (size,)
        Where it starts.
    inputs : tuple of array
        The rows that it starts with.
    held : sequence of (str, Extremes), optional
        The whole numbers that all rows hold, by what holds them.

    Raises
    ------
    IndexError
        If a variable is indexed out of its range.
    ValueError
        Names the variables whose log density is not finite.
    """
    try:
        at_fault = _not_finite(program.interpreted_terms(position, inputs))
    except IndexError as error:
        rows = "; ".join(f"{name!r} holds {found}" for name, found in held)
        raise IndexError(
            "Whole numbers that index a variable must be at least 0 and below its length: "
            f"{str(error).splitlines()[0]}{'; ' + rows if rows else ''}.\n"
            "Hint: check the least and the largest value of the containers that the model indexes "
            "by."
        ) from None
    if at_fault:
        raise ValueError(
            f"The log density must be finite where the fit starts, got {_listed(at_fault)}.\n"
            "Hint: check the observed values against the support of the likelihood, or give "
            "`initval=` to the variables that it depends on."
        )


def divergence(program: Program, step: int, positions: Any, inputs: Inputs) -> Exception:
    """Return the error for a loss that is not finite at a step, where positions were drawn."""
    for position in positions:
        at_fault = faulty_terms(program, position, inputs)
        if at_fault:
            break
    found = _listed(at_fault) if at_fault else f"a gradient that is not finite near {positions[0]}"
    error = DivergenceError(
        f"The loss must be finite, got {found} at step {step}.\n"
        "Hint: lower the learning rate, tighten the priors, or check the rows of that step."
    )
    error.names = tuple(at_fault)
    return error


def faulty_terms(program: Program, position: Any, inputs: Inputs) -> dict[str, Any]:
    """Return the variables whose log density is not finite, each with its first such value."""
    names: list[str] = []

    def evaluate(position: Any, inputs: Inputs) -> list[Any]:
        terms = program.terms(position, inputs)
        names.extend(terms)
        return list(terms.values())

    values = [np.asarray(value) for value in jax.jit(evaluate)(position, inputs)]
    return _not_finite(dict(zip(names, values, strict=True)))


def _not_finite(terms: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value[~np.isfinite(value)][0]
        for name, value in terms.items()
        if not np.isfinite(value).all()
    }


def _listed(at_fault: dict[str, Any]) -> str:
    return listed([f"{value} from {name!r}" for name, value in at_fault.items()], form=str)
