"""Which sampler runs many data sets: nutpie, one after another, or blackjax, many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bayou.containers.data_change import plan_change
from bayou.many.vectorised.blackjax_nuts import is_installed, vectorised
from bayou.many.vectorised.padding import row_program
from bayou.nuts.compiled_density import held_of

if TYPE_CHECKING:
    import pymc as pm

    from bayou.many.data_sets import DataSets

SAMPLERS = ("auto", "nutpie", "blackjax")
# Where blackjax takes less than two thirds of the time of a CPU that nutpie takes, compiling apart,
# and compiles in less than it saves: at least so many data sets for each parameter.
LEAST_NUMBER = 1000
MOST_PARAMETERS = 2
MOST_ROWS = 32


def check_sampler(sampler: Any) -> None:
    """Refuse a name that is none of a sampler."""
    if sampler not in SAMPLERS:
        raise ValueError(
            f"`sampler` must be one of {SAMPLERS}, got {sampler!r}.\n"
            'Hint: leave it out for the one that is faster as a rule, "auto".'
        )


def chosen_sampler(sampler: str, model: pm.Model, data_sets: DataSets) -> str:
    """Return the sampler that a name means for a model and data sets: "nutpie" or "blackjax".

    Raises
    ------
    ImportError
        If blackjax is asked for and not installed.
    TypeError
        If it is asked for, and the model cannot be vectorised.
    """
    if sampler == "blackjax":
        vectorised(model)
    if sampler != "auto":
        return sampler
    return "blackjax" if _is_faster(model, data_sets) else "nutpie"


def _is_faster(model: pm.Model, data_sets: DataSets) -> bool:
    """Tell whether blackjax is faster, as far as the model and the first data set tell."""
    if data_sets.number is None or data_sets.number < LEAST_NUMBER or not is_installed():
        return False
    # A whole number may be one that lanes cannot change.
    if any(variable.ndim == 0 for variable in model.root.data_vars):
        return False
    program = row_program(model)
    if isinstance(program, str) or not program.is_of_columns:
        return False
    if program.size > min(MOST_PARAMETERS, data_sets.number // LEAST_NUMBER):
        return False
    try:
        lane = program.lane(held_of(plan_change(model, data_sets.first, count_labels=True).arrays))
        program.check(program.program.start(0), lane)
    except Exception:  # Of one data set, which the table tells later.
        return False
    return lane.num_rows <= MOST_ROWS
