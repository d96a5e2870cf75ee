"""The choice between nutpie, one data set after another, and blackjax, many at once."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayou.containers.data_change import plan_change
from bayou.many.vectorised.blackjax_nuts import check_vectorized, is_installed
from bayou.many.vectorised.padding import NoRowProgram, row_program
from bayou.nuts.compiled.compiled_density import values_by_container

if TYPE_CHECKING:
    import pymc as pm

SAMPLERS = ("auto", "nutpie", "blackjax")
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BlackjaxLimits:
    """The limits within which "auto" takes blackjax: there it is faster as a rule.

    Attributes
    ----------
    data_sets_per_parameter : int
        At least so many data sets for each parameter, so that compiling pays.
    parameters : int
        At most so many: more make trajectories longer.
    rows : int
        At most so many in the first data set.
    """

    data_sets_per_parameter: int = 1000
    parameters: int = 2
    rows: int = 32


# Within these, on one core, blackjax takes 25 to 60 ms for a data set of 20 rows and 4 chains of
# 1,000 draws, nutpie 65 to 90 ms (benchmarks/many.py): less than two thirds.
LIMITS = BlackjaxLimits()


def check_sampler(sampler: object) -> None:
    """Check the name of a sampler.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if sampler not in SAMPLERS:
        raise ValueError(
            f"`sampler` must be one of {SAMPLERS}, got {sampler!r}.\n"
            'Hint: leave it out for "auto", the one that is faster as a rule.'
        )


def choose_sampler(
    sampler: str,
    model: pm.Model,
    number: int | None,
    first: object,
    limits: BlackjaxLimits = LIMITS,
) -> str:
    """Return the sampler of a call: "nutpie" or "blackjax".

    Parameters
    ----------
    sampler : {"auto", "nutpie", "blackjax"}
    model : pymc.Model
    number : int or None
        The number of data sets, None if it is not known.
    first : object
        The new data of one of them, which stand for those of all.
    limits : BlackjaxLimits, optional

    Raises
    ------
    ImportError
        If `sampler` is "blackjax", and that is not installed.
    TypeError
        If `sampler` is "blackjax", and the model cannot be vectorised.
    """
    if sampler == "blackjax":
        check_vectorized(model)
    if sampler != "auto":
        return sampler
    if number is None or not is_installed():
        return "nutpie"
    return "blackjax" if _is_faster(model, number, first, limits) else "nutpie"


def _is_faster(model: pm.Model, number: int, first: object, limits: BlackjaxLimits) -> bool:
    """Return whether blackjax is faster, as far as the model and one data set show."""
    if number < limits.data_sets_per_parameter:
        return False
    # A container without axes may be a whole number that the program is compiled with.
    if any(variable.ndim == 0 for variable in model.root.data_vars):
        return False
    program = row_program(model)
    if isinstance(program, NoRowProgram) or not program.is_of_columns:
        return False
    if program.size > min(limits.parameters, number // limits.data_sets_per_parameter):
        return False
    try:
        lane = program.lane(
            values_by_container(plan_change(model, first, count_labels=True).arrays)
        )
        program.check(program.program.start(0), lane)
    # The table will have this error, of one data set, whatever it is.
    except Exception as error:
        logger.debug("nutpie is chosen, since the first data set has an error: %s", error)
        return False
    return lane.num_rows <= limits.rows
