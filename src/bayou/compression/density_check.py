"""Whether a model of distinct rows has the log density of all rows, each term at some positions.

What is compressed is a product over rows by the checks of ``bayou.batching``, and what takes the
place of its rows follows from the graph. This is the net under both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytensor
import pytensor.tensor as pt

from bayou.models.initial_point import StartCandidates
from bayou.models.interpret import compile_interpreter
from bayou.models.log_density import log_density_terms

if TYPE_CHECKING:
    import pymc as pm
    from numpy.typing import NDArray

    type Sums = dict[str, tuple[float, float]]

# Another order of summation differs by 1e-15 to 1e-13 of the sum of absolute terms.
RELATIVE = {"float64": 1e-10, "float32": 1e-4}
# The start of the model, moved, and a draw from the prior.
ATTEMPTS = (0, 1 + StartCandidates.EACH)
JITTER = 0.1


def differing_term(model: pm.Model, of_distinct: pm.Model) -> str | None:
    """Return the name of a variable or potential whose log density differs; None if all agree.

    Parameters
    ----------
    model : pymc.Model
        The model of all rows.
    of_distinct : pymc.Model
        A model of the same variables, which has the distinct rows in the place of all.
    """
    candidates = StartCandidates(model, jitter=False)
    generator = np.random.default_rng(0)
    functions = [_TermSums(each) for each in (model, of_distinct)]
    for attempt in ATTEMPTS:
        position = [
            value + JITTER * generator.uniform(-1, 1, size=np.shape(value))
            for value in candidates(0, attempt=attempt)
        ]
        one, other = (function(position) for function in functions)
        for name, (total, size) in one.items():
            if not _is_close(total, other[name][0], size):
                return name
    return None


class _TermSums:
    """The sums of each term of a log density over its elements, without a compiler."""

    def __init__(self, model: pm.Model) -> None:
        self._names = [variable.name for variable in (*model.basic_RVs, *model.potentials)]
        terms = log_density_terms(model)
        sums = [total for term in terms for total in (pt.sum(term), pt.sum(pt.abs(term)))]
        self._function = compile_interpreter(model.value_vars, sums)

    def __call__(self, position: list[NDArray[np.float64]]) -> Sums:
        with np.errstate(all="ignore"):
            values = [float(value) for value in self._function(*position)]
        return dict(zip(self._names, zip(values[::2], values[1::2], strict=True), strict=True))


def _is_close(total: float, other: float, size: float) -> bool:
    """Return whether two sums are equal but for rounding; those that are not finite are."""
    if not np.isfinite(total):
        return not np.isfinite(other)
    return abs(total - other) <= RELATIVE[pytensor.config.floatX] * size
