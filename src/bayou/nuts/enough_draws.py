"""The rule by which chains end once their draws are good: `until="good"`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayou.nuts.convergence.chain_diagnostics import variable_diagnostics
from bayou.nuts.convergence.chain_doubts import LEAST_ESS_OF_A_CHAIN, MAX_RHAT
from bayou.nuts.trace import ChainBatches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayou.nuts.compiled.bound_density import DrawLayout
    from bayou.nuts.trace import NutpieTrace

GOOD = "good"
# The most draws of each chain where the user does not say.
MOST_DRAWS = 10_000
# Effective draws of all chains (Vehtari et al. 2021), whatever their number.
LEAST_ESS = 400


@dataclass(eq=False)
class EnoughDraws:
    """Test of whether all free variables have a good R-hat and effective sample sizes.

    Attributes
    ----------
    names : sequence of str
        The free variables.
    layout : DrawLayout
    num_chains : int
    number : int, optional
        The draws of each chain that were enough; None as long as none were.
    """

    names: Sequence[str]
    layout: DrawLayout
    num_chains: int
    number: int | None = None

    def __call__(self, trace: NutpieTrace, number: int) -> bool:
        """Return whether the first draws are enough, and remember their number if so."""
        batches = ChainBatches.of(trace, number)
        values = self.layout.split(batches.read_draws(self.layout.size, ()).flat)
        least = max(LEAST_ESS, LEAST_ESS_OF_A_CHAIN * self.num_chains)
        for name in self.names:
            found = variable_diagnostics(values[name])
            # NaN, of elements that are constant, does not keep chains from ending.
            if found["rhat"] >= MAX_RHAT or min(found["ess_bulk"], found["ess_tail"]) <= least:
                return False
        self.number = number
        return True


def check_until(until: object, draws: int | None, num_chains: object) -> int:
    """Check the argument `until`, and return the draws of each chain, or the most of them.

    Raises
    ------
    ValueError
        If it is neither "good" nor None, or there is one chain, which has no R-hat.
    """
    if until is None:
        return 1000 if draws is None else draws
    if until != GOOD:
        raise ValueError(
            f"`until` must be 'good' or None, got {until!r}.\n"
            "Hint: until='good' draws until R-hat and effective sample sizes are good."
        )
    if num_chains == 1:
        raise ValueError(
            "`chains` must be at least 2 with until='good', got 1: R-hat compares chains.\n"
            "Hint: leave `chains` out for four, or pass `draws` in the place of `until`."
        )
    return MOST_DRAWS if draws is None else draws
