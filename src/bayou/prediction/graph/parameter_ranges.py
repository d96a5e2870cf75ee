"""The ranges of the parameters of random variables, which no compiler of predictions checks.

NumPy refuses a probability of 1.2, with words of its own. JAX and Numba draw from it all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytensor.tensor as pt
import pytensor.tensor.random.basic as basic

from bayou.models.interpret import compile_interpreter
from bayou.models.random_variables import logit_of, random_nodes
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytensor.graph.basic import Variable
    from pytensor.tensor.random.op import RandomVariable
    from pytensor.tensor.variable import TensorVariable

    from bayou.models.random_variables import RandomNode

# Sums of probabilities are rounded.
ROUNDING = 1e-6


def _negative(value: TensorVariable) -> TensorVariable:
    return value < 0


def _not_positive(value: TensorVariable) -> TensorVariable:
    return value <= 0


def _no_count(value: TensorVariable) -> TensorVariable:
    # Whole numbers show no NaN: it is none here.
    return pt.invert(value >= 0)


def _no_probability(value: TensorVariable) -> TensorVariable:
    return pt.invert((value >= -ROUNDING) & (value <= 1 + ROUNDING))


type _OutOfRange = Callable[[TensorVariable], TensorVariable]

# By distribution: the numbers of parameters, as PyTensor has them, what they may be, and the test.
_SCALE = (1, "a scale of at least 0", _negative)
_RANGES: dict[type[RandomVariable], tuple[tuple[int, str, _OutOfRange], ...]] = {
    basic.NormalRV: (_SCALE,),
    basic.HalfNormalRV: (_SCALE,),
    basic.LogNormalRV: (_SCALE,),
    basic.LaplaceRV: (_SCALE,),
    basic.LogisticRV: (_SCALE,),
    basic.GumbelRV: (_SCALE,),
    basic.CauchyRV: (_SCALE,),
    basic.HalfCauchyRV: (_SCALE,),
    basic.ExponentialRV: ((0, "a scale of at least 0", _negative),),
    basic.StudentTRV: (
        (0, "degrees of freedom above 0", _not_positive),
        (2, "a scale of at least 0", _negative),
    ),
    basic.GammaRV: (
        (0, "a shape above 0", _not_positive),
        (1, "a scale of at least 0", _negative),
    ),
    basic.InvGammaRV: (
        (0, "a shape above 0", _not_positive),
        (1, "a scale of at least 0", _negative),
    ),
    basic.BetaRV: tuple((index, "a shape above 0", _not_positive) for index in (0, 1)),
    basic.WeibullRV: ((0, "a shape above 0", _not_positive),),
    basic.ParetoRV: ((0, "a shape above 0", _not_positive),),
    basic.WaldRV: tuple((index, "a mean and a scale above 0", _not_positive) for index in (0, 1)),
    basic.VonMisesRV: ((1, "a concentration of at least 0", _negative),),
    basic.DirichletRV: ((0, "shapes above 0", _not_positive),),
    basic.PoissonRV: ((0, "a mean of at least 0", _no_count),),
    basic.BernoulliRV: ((0, "a probability from 0 to 1", _no_probability),),
    basic.GeometricRV: ((0, "a probability from 0 to 1", _no_probability),),
    basic.CategoricalRV: ((0, "probabilities from 0 to 1", _no_probability),),
    basic.BinomialRV: (
        (0, "a number of at least 0", _no_count),
        (1, "a probability from 0 to 1", _no_probability),
    ),
    basic.NegBinomialRV: (
        (0, "a number above 0", _not_positive),
        (1, "a probability from 0 to 1", _no_probability),
    ),
    basic.MultinomialRV: (
        (0, "a number of at least 0", _no_count),
        (1, "probabilities from 0 to 1", _no_probability),
    ),
    basic.BetaBinomialRV: (
        (0, "a number of at least 0", _no_count),
        (1, "a shape above 0", _not_positive),
        (2, "a shape above 0", _not_positive),
    ),
}


def is_out_of_range(node: RandomNode) -> Variable | None:
    """Return a scalar that is true if a parameter is out of its range; None if none can be."""
    ranges = _RANGES.get(type(node.op), ())
    if isinstance(node.op, basic.BernoulliRV) and logit_of(*node.parameters) is not None:
        return None
    tests = [test(node.parameters[index]).any() for index, _, test in ranges]
    return pt.stack(tests).any() if tests else None


def range_error(nodes: Sequence[RandomNode], names: Sequence[str]) -> ValueError:
    """Return the error for random variables of some outputs that cannot be drawn for some rows."""
    wanted = dict.fromkeys(
        f"a {node.op.name} takes {' and '.join(dict.fromkeys(text for _, text, _ in ranges))}"
        for node in nodes
        for ranges in (_RANGES[type(node.op)],)
    )
    return _error(f"a parameter that is out of its range: {'; '.join(wanted)}", names)


def draw_error(error: ValueError, names: Sequence[str]) -> ValueError:
    """Return the error for outputs that NumPy or SciPy refused to draw."""
    return _error(f"some for which they cannot be: {str(error).partition('. ')[0]}", names)


def _error(got: str, names: Sequence[str]) -> ValueError:
    return ValueError(
        f"`data` must give parameters that {listed(names)} can be drawn with, got "
        f"{got}.\n"
        "Hint: check the new rows for values far from those that were fitted; or map the "
        "parameter into its range, for example by pm.math.sigmoid or pm.math.exp."
    )


def find_range_error(
    inputs: Sequence[Variable],
    outputs: Sequence[Variable],
    values: Sequence[object],
    names: Sequence[str],
) -> ValueError | None:
    """Return the error for the first random variable with a parameter out of range; None for none.

    Parameters
    ----------
    inputs, outputs : sequence of Variable
        The graph that failed, with its random generators among the inputs.
    values : sequence
        The values that it failed for.
    names : sequence of str
        The names of the outputs.
    """
    for node in random_nodes(outputs):
        test = is_out_of_range(node)
        if test is None:
            continue
        try:
            [is_out] = compile_interpreter(inputs, [test])(*values)
        except (ValueError, IndexError, TypeError, AssertionError):
            # It depends on one that cannot be drawn for another reason.
            return None
        if is_out:
            return range_error([node], names)
    return None
