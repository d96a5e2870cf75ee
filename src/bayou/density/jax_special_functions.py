"""JAX rules for special functions of PyTensor, where JAX's or PyTensor's own fall short.

Importing this registers them with PyTensor, for all graphs that are compiled with JAX.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from pytensor.link.jax.dispatch import jax_funcify
from pytensor.scalar.math import Erfcx, Softplus

if TYPE_CHECKING:
    from collections.abc import Callable

    type Elementwise = Callable[[jax.Array], jax.Array]

# PyTensor's own rule, which is one for all of its operations of this type.
_softplus_rule = jax_funcify.dispatch(Softplus)


@jax_funcify.register(Erfcx)
def _jax_erfcx(op: Erfcx, **kwargs: Any) -> Elementwise:
    """Return exp(x^2) erfc(x), which distribution functions of the normal are computed with."""
    # JAX 0.12 mixes arrays with a scalar in its second derivative, and fails for all but scalars.
    return jnp.vectorize(jax.scipy.special.erfcx)  # type: ignore[no-any-return]


@jax_funcify.register(Softplus)
def _jax_softplus(op: Softplus, **kwargs: Any) -> Elementwise:
    """Return log(1 + exp(x)), with a derivative that is finite where exp(x) is not."""
    # PyTensor selects among formulas, and JAX takes the derivatives of all of them: 0 * inf.
    softplus = jax.custom_jvp(_softplus_rule(op, **kwargs))
    softplus.defjvps(lambda tangent, answer, x: jax.nn.sigmoid(x) * tangent)
    return softplus  # type: ignore[no-any-return]
