"""PyMC's model with two features of PyMC3's: ``logpt``, and ``total_size`` of free variables.

The only file of this folder that uses private names of PyMC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymc as pm
from pymc.distributions.transforms import _default_transform
from pymc.variational.minibatch_rv import create_minibatch_rv

if TYPE_CHECKING:
    from types import EllipsisType

    from pytensor.tensor.variable import TensorVariable


class Model(pm.Model):
    """A model of PyMC for code that was written for PyMC3."""

    @property
    def logpt(self) -> TensorVariable:
        """The log-density of the model, a scalar."""
        return self.logp()

    def register_rv(
        self,
        rv_var: TensorVariable,
        name: str,
        *,
        observed: object = None,
        total_size: object = None,
        **kwargs: object,
    ) -> TensorVariable:
        """Register a variable as PyMC does, and scale a free one by its ``total_size`` too."""
        total_size = _total_size_of_all_axes(total_size)
        if observed is not None:
            return super().register_rv(
                rv_var, name, observed=observed, total_size=total_size, **kwargs
            )
        if total_size:
            if _default_transform(rv_var.owner.op, rv_var) is not None:
                raise NotImplementedError(
                    f"`total_size` of the free variable {name!r} needs a distribution on the real "
                    f"line, got {rv_var.owner.op}.\n"
                    "Hint: transform a Normal with a Deterministic."
                )
            # The node by which PyMC scales observed variables; it takes no transform.
            rv_var = create_minibatch_rv(rv_var, total_size)
        variable = super().register_rv(rv_var, name, **kwargs)
        if self.rvs_to_transforms[variable] is None:
            # Where `theano.function` and `theano.tensor.grad` look it up.
            variable.tag.value_variable = self.rvs_to_values[variable]
        return variable


def _total_size_of_all_axes(total_size: Any) -> list[int | EllipsisType | None] | None:
    """Return a ``total_size`` for PyMC, which wants an entry for each axis.

    PyMC3 took the entries for the leading axes, and the other axes as complete.

    Raises
    ------
    TypeError
        If an entry is no int, None or Ellipsis.
    ValueError
        If there are two Ellipses.
    """
    sizes = list(total_size) if isinstance(total_size, list | tuple) else [total_size]
    if not all(size in (None, Ellipsis) or isinstance(size, int) for size in sizes):
        raise TypeError(
            f"Unrecognized `total_size`: must hold int, None or Ellipsis, got {total_size!r}.\n"
            "Hint: pass the length of the data, or a list with one length an axis."
        )
    if sizes.count(Ellipsis) > 1:
        raise ValueError(
            f"Double Ellipsis in `total_size`: one at most, got {total_size!r}.\n"
            "Hint: write None for each axis of which a batch has all entries."
        )
    if sizes in ([], [None]):
        return None
    return sizes if Ellipsis in sizes else [*sizes, Ellipsis]
