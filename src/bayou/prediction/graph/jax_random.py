"""How JAX draws from distributions: those of which each value costs the same, whatever it becomes.

They are drawn by a key and nothing else. Distributions that take rejection (gamma, Poisson and what
is made of them) are not here: under JAX on a CPU they cost tens of times what NumPy takes for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import pytensor.tensor as pt
import pytensor.tensor.random.basic as basic
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.jax.dispatch import jax_funcify

from bayou.models.random_variables import logit_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytensor.graph.basic import Variable

    from bayou.models.random_variables import RandomNode

# From a key, the shape of the draws and the parameters, to draws.
type Sampler = Callable[..., jax.Array]


def _normal(key: Any, shape: Any, mean: Any, std: Any) -> Any:
    return mean + std * jax.random.normal(key, shape, _float(mean, std))


def _uniform(key: Any, shape: Any, low: Any, high: Any) -> Any:
    return low + (high - low) * jax.random.uniform(key, shape, _float(low, high))


def _exponential(key: Any, shape: Any, scale: Any) -> Any:
    return scale * jax.random.exponential(key, shape, _float(scale))


def _weibull(key: Any, shape: Any, power: Any) -> Any:
    return jax.random.exponential(key, shape, _float(power)) ** (1 / power)


def _pareto(key: Any, shape: Any, power: Any, scale: Any) -> Any:
    return scale * jnp.exp(jax.random.exponential(key, shape, _float(power)) / power)


def _triangular(key: Any, shape: Any, left: Any, mode: Any, right: Any) -> Any:
    chance = jax.random.uniform(key, shape, _float(left, mode, right))
    width = right - left
    rising = left + jnp.sqrt(chance * width * (mode - left))
    falling = right - jnp.sqrt((1 - chance) * width * (right - mode))
    return jnp.where(chance * width < mode - left, rising, falling)


def _bernoulli(key: Any, shape: Any, chance: Any) -> Any:
    return jax.random.uniform(key, shape, _float(chance)) < chance


def _bernoulli_of_logit(key: Any, shape: Any, logit: Any) -> Any:
    # As below a chance of 1 / (1 + exp(-logit)), without the division.
    return jax.random.uniform(key, shape, _float(logit)) * (1 + jnp.exp(-logit)) < 1


def _categorical(key: Any, shape: Any, chances: Any) -> Any:
    sums = jnp.cumsum(chances, axis=-1)
    level = jax.random.uniform(key, shape, sums.dtype)[..., None] * sums[..., -1:]
    return (level >= sums[..., :-1]).sum(axis=-1)


def _geometric(key: Any, shape: Any, chance: Any) -> Any:
    rate = -jnp.log1p(-chance)
    number = jnp.ceil(jax.random.exponential(key, shape, _float(chance)) / rate)
    return jnp.maximum(number, 1)


def _multivariate_normal(key: Any, shape: Any, mean: Any, covariance: Any) -> Any:
    factor = jnp.linalg.cholesky(covariance)
    standard = jax.random.normal(key, shape, _float(mean, covariance))
    return mean + jnp.einsum("...ij,...j->...i", factor, standard)


def _located(draw: Callable[..., Any]) -> Sampler:
    def sampler(key: Any, shape: Any, location: Any, scale: Any) -> Any:
        return location + scale * draw(key, shape, _float(location, scale))

    return sampler


def _positive(draw: Callable[..., Any]) -> Sampler:
    def sampler(key: Any, shape: Any, location: Any, scale: Any) -> Any:
        return location + scale * jnp.abs(draw(key, shape, _float(location, scale)))

    return sampler


def _float(*parameters: Any) -> Any:
    return jnp.result_type(*parameters, jnp.float32)


SAMPLERS: dict[type, Sampler] = {
    basic.NormalRV: _normal,
    basic.HalfNormalRV: _positive(jax.random.normal),
    basic.LogNormalRV: lambda *arguments: jnp.exp(_normal(*arguments)),
    basic.UniformRV: _uniform,
    basic.ExponentialRV: _exponential,
    basic.LaplaceRV: _located(jax.random.laplace),
    basic.LogisticRV: _located(jax.random.logistic),
    basic.GumbelRV: _located(jax.random.gumbel),
    basic.CauchyRV: _located(jax.random.cauchy),
    basic.HalfCauchyRV: _positive(jax.random.cauchy),
    basic.WeibullRV: _weibull,
    basic.ParetoRV: _pareto,
    basic.TriangularRV: _triangular,
    basic.BernoulliRV: _bernoulli,
    basic.CategoricalRV: _categorical,
    basic.GeometricRV: _geometric,
    basic.MvNormalRV: _multivariate_normal,
}


class Draw(Op):
    """A draw by a key: inputs the key and the parameters, output of a shape that is known."""

    __props__ = ("sampler", "index", "shape", "dtype")

    def __init__(self, sampler: Sampler, index: int, shape: tuple[int, ...], dtype: str) -> None:
        self.sampler = sampler
        self.index = index
        self.shape = shape
        self.dtype = dtype

    def make_node(self, key: Variable, *parameters: Variable) -> Apply[Any]:
        """Apply the operation."""
        return Apply(self, [key, *parameters], [pt.TensorType(self.dtype, shape=self.shape)()])

    def perform(self, node: Any, inputs: Any, output_storage: Any) -> None:
        """Refuse to work outside of JAX."""
        raise NotImplementedError("only JAX draws by keys")


def draw_by_key(node: RandomNode, key: Variable, index: int, shape: tuple[int, ...]) -> Variable:
    """Return what draws as a node does, in the graph of the node, by a key and its number."""
    sampler, parameters = SAMPLERS[type(node.op)], node.parameters
    if sampler is _bernoulli:
        logit = logit_of(*parameters)
        if logit is not None:
            sampler, parameters = _bernoulli_of_logit, (logit,)
    draw = Draw(sampler, index, shape, node.value.type.dtype)
    return draw(key, *parameters)


@jax_funcify.register(Draw)
def _jax_draw(op: Draw, **kwargs: Any) -> Any:
    def draw(key: Any, *parameters: Any) -> Any:
        values = op.sampler(jax.random.fold_in(key, op.index), op.shape, *parameters)
        return values.astype(jax.dtypes.canonicalize_dtype(op.dtype))

    return draw
