"""JAX rules for special functions of PyTensor, where JAX's or PyTensor's own fall short.

Importing this registers them with PyTensor, for all graphs that are compiled with JAX.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from pymc.distributions.dist_math import SplineWrapper
from pytensor.link.jax.dispatch import jax_funcify
from pytensor.scalar.loop import ScalarLoop
from pytensor.scalar.math import Erfcx, Ive, Softplus

if TYPE_CHECKING:
    from collections.abc import Callable

    type Elementwise = Callable[[jax.Array], jax.Array]
    type Outputs = jax.Array | tuple[jax.Array, ...]
    # The number of steps done, whether the loop has ended, and its states.
    type Carry = tuple[jax.Array, jax.Array, tuple[jax.Array, ...]]

# The power series is used up to this argument, where its terms peak at the 80th, and the asymptotic
# one beyond it; both are within 1e-11 of SciPy's values for orders up to 40.
LARGEST_OF_SERIES = 160.0
NUM_TERMS = 128
NUM_ASYMPTOTIC_TERMS = 40
MAX_ORDER = 40.0


@jax_funcify.register(Erfcx)
def _jax_erfcx(op: Erfcx, **kwargs: object) -> Elementwise:
    """Return exp(x^2) erfc(x), which distribution functions of the normal are computed with."""
    # JAX 0.12 mixes arrays with a scalar in its second derivative, and fails for all but scalars.
    return jnp.vectorize(jax.scipy.special.erfcx)


@jax_funcify.register(Softplus)
def _jax_softplus(op: Softplus, **kwargs: object) -> Elementwise:
    """Return log(1 + exp(x)), with a derivative that is finite where exp(x) is not."""

    def softplus(x: jax.Array) -> jax.Array:
        # The formulas are those of PyTensor's own rule, so values and derivatives have the same
        # bits. JAX takes the derivatives of all of them: unless each is kept near its own
        # range, that of one not selected is 0 * inf. At a bound itself JAX halves derivatives, so
        # 19 and 17 lie outside of the ranges.
        small = jnp.exp(jnp.minimum(x, 19.0))
        large = x + jnp.exp(-jnp.maximum(x, 17.0))
        above = jnp.where(x < 33.3, large, x)
        return jnp.where(x < -37.0, small, jnp.where(x < 18.0, jnp.log1p(small), above))

    return softplus


@jax_funcify.register(ScalarLoop)
def _jax_scalar_loop(op: ScalarLoop, **kwargs: object) -> Callable[..., Outputs]:
    """Return a loop over numbers, by which PyTensor differentiates incomplete beta functions."""
    step = jax_funcify(op.fgraph.unfreeze())
    dtypes = [output.dtype for output in op.outputs]
    num_states = len(dtypes) - op.is_while

    def loop(num_steps: jax.Array, *arguments: jax.Array) -> Outputs:
        constants = arguments[num_states:]

        def goes_on(carry: Carry) -> jax.Array:
            count, is_done, _ = carry
            proceeds: jax.Array = (count < num_steps) & ~is_done
            return proceeds

        def advance(carry: Carry) -> Carry:
            count, _, states = carry
            outputs = [
                jnp.asarray(output, dtype)
                for output, dtype in zip(step(*states, *constants), dtypes, strict=True)
            ]
            is_done = outputs[num_states] if op.is_while else jnp.asarray(False)
            return count + 1, is_done, tuple(outputs[:num_states])

        first = tuple(map(jnp.asarray, arguments[:num_states], dtypes))
        begin = (jnp.zeros_like(num_steps), jnp.asarray(False), first)
        _, is_done, states = jax.lax.while_loop(goes_on, advance, begin)
        # A loop of no step has come to its end, and not been cut short.
        outputs = (*states, is_done | (num_steps <= 0)) if op.is_while else states
        return outputs if len(outputs) > 1 else outputs[0]

    return jnp.vectorize(loop)


@jax_funcify.register(SplineWrapper)
def _jax_spline(op: SplineWrapper, **kwargs: object) -> Elementwise:
    """Return a spline of SciPy's, which densities of pm.Interpolated are computed with."""
    # SciPy's splines take 3 MB and 0.1 s to import, and hardly a model has one.
    from scipy.interpolate import PPoly

    pieces = PPoly.from_spline(op.spline._eval_args)
    # Repeated knots at the ends are pieces without length.
    is_piece = np.diff(pieces.x) > 0
    starts, coefficients = pieces.x[:-1][is_piece], pieces.c[:, is_piece]
    first, last = pieces.x[0], pieces.x[-1]
    is_zero_outside = op.spline.ext == 1

    def spline(x: jax.Array) -> jax.Array:
        piece = jnp.clip(jnp.searchsorted(starts, x, side="right") - 1, 0, len(starts) - 1)
        value = jnp.polyval(jnp.asarray(coefficients)[:, piece], x - jnp.asarray(starts)[piece])
        return jnp.where((x < first) | (x > last), 0.0, value) if is_zero_outside else value

    return spline


@jax_funcify.register(Ive)
def _jax_ive(op: Ive, **kwargs: object) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Return exp(-|x|) I_v(x) for whole orders; NaN for others, and where neither series holds.

    Periodic Gaussian processes need it. PyTensor's own rule needs tensorflow-probability.
    """
    return jnp.vectorize(_scaled_bessel)


@jax.custom_jvp
def _scaled_bessel(order: jax.Array, x: jax.Array) -> jax.Array:
    order, size = jnp.abs(order), jnp.abs(x)
    value = jnp.where(
        size <= LARGEST_OF_SERIES,
        _power_series(order, jnp.minimum(size, LARGEST_OF_SERIES)),
        _asymptotic_series(order, jnp.maximum(size, LARGEST_OF_SERIES)),
    )
    is_odd = jnp.mod(order, 2) == 1
    is_known = (order == jnp.floor(order)) & ((order <= MAX_ORDER) | (size <= LARGEST_OF_SERIES))
    return jnp.where(is_known, jnp.where(is_odd & (x < 0), -value, value), jnp.nan)


@_scaled_bessel.defjvp
def _scaled_bessel_jvp(
    primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """Return the value and the change with `x`; orders are constants."""
    order, x = primals
    value = _scaled_bessel(order, x)
    neighbours = (_scaled_bessel(order - 1, x) + _scaled_bessel(order + 1, x)) / 2
    return value, (neighbours - jnp.sign(x) * value) * tangents[1]


def _power_series(order: jax.Array, x: jax.Array) -> jax.Array:
    """Return the sum of terms that are all positive, so that tiny values are exact too."""
    index = jnp.arange(NUM_TERMS)
    powers = jax.scipy.special.xlogy(2 * index + order, x / 2)
    factorials = jax.lax.lgamma(index + 1.0) + jax.lax.lgamma(index + order + 1.0)
    return jnp.exp(powers - factorials - x).sum()


def _asymptotic_series(order: jax.Array, x: jax.Array) -> jax.Array:
    """Return the expansion of Hankel for large arguments."""
    index = jnp.arange(1, NUM_ASYMPTOTIC_TERMS)
    factors = -(4 * order**2 - (2 * index - 1) ** 2) / (8 * index * x)
    return (1 + jnp.cumprod(factors).sum()) / jnp.sqrt(2 * jnp.pi * x)
