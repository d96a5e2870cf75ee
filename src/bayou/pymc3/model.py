"""PyMC's model with features of PyMC3's: ``logpt``, ``test_point``, densities at points, names.

The only file of this folder that uses private names of PyMC.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
from pymc.distributions.transforms import _default_transform
from pymc.variational.minibatch_rv import create_minibatch_rv

from bayou.models.interpret import SharedInterpreter

if TYPE_CHECKING:
    from types import EllipsisType

    from numpy.typing import ArrayLike
    from pytensor.tensor.variable import TensorVariable

    from bayou.containers.variables.dims import Numbers


class Labels(tuple[Hashable, ...]):
    """The labels of a dim, which also equal a list of them, as PyMC3 had it."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        """Return whether the labels are the same."""
        return super().__eq__(tuple(other) if isinstance(other, list) else other)

    __hash__ = tuple.__hash__


class VariableDensity:
    """The log density of one variable of a model at a point: PyMC3's ``variable.logp(point)``.

    Parameters
    ----------
    model : Model
    name : str
        The variable.
    """

    def __init__(self, model: Model, name: str) -> None:
        self._model = model
        self._name = name

    def __call__(self, point: Mapping[str, ArrayLike]) -> float:
        """Return the density at values by the names of free variables, transformed."""
        return density_at(self._model, point, [self._model[self._name]])


def density_at(model: Model, point: Mapping[str, ArrayLike], variables: Any = None) -> float:
    """Return the log density of variables, by default of the model, at a point.

    Parameters
    ----------
    model : Model
    point : mapping of str to array_like
        Values by the names of free variables; of transformed ones by theirs, ``sigma_log__``.
    variables : list of variable, optional
    """
    inputs = model.value_vars
    missing = [value.name for value in inputs if value.name not in point]
    if missing:
        raise KeyError(
            f"`point` must have a value for each free variable, got none for {missing}.\n"
            "Hint: model.test_point has all of them."
        )
    values = [np.asarray(point[value.name], value.dtype) for value in inputs]
    graph = pm.Model.logp(model, vars=variables)
    return float(SharedInterpreter(inputs, [graph])(values, {})[0])


class Model(pm.Model):
    """A model of PyMC for code that was written for PyMC3."""

    @property
    def test_point(self) -> dict[str, Numbers]:
        """A point at which the model has a density: where chains start."""
        point: dict[str, Numbers] = self.initial_point()
        return point

    @property
    def RV_dims(self) -> dict[str, tuple[str | None, ...]]:  # noqa: N802
        """The dims of variables and containers that have some."""
        return dict(self.named_vars_to_dims)

    @property
    def coords(self) -> dict[str, Labels | None]:
        """The labels of dims."""
        return {
            dim: None if labels is None else Labels(labels)
            for dim, labels in super().coords.items()
        }

    @property
    def prefix(self) -> str:
        """The names of this model and of those around it, joined by "_"."""
        if self.isroot or not self.parent.prefix:
            return str(self.name)
        return f"{self.parent.prefix}_{self.name}"

    def name_for(self, name: str) -> str:
        """Return a name with the prefix, which is added if it is missing."""
        begin = f"{self.prefix}_"
        return name if not self.prefix or name.startswith(begin) else f"{begin}{name}"

    def name_of(self, name: str) -> str:
        """Return a name without the prefix."""
        return name.removeprefix(f"{self.prefix}_") if self.prefix and name else name

    def logp(self, vars: Any = None, jacobian: bool = True, sum: bool = True) -> Any:  # noqa: A002
        """Return the log density at a point, as PyMC3 does; without one, its graph, as PyMC does.

        Parameters
        ----------
        vars : mapping of str to array_like, or variable or list of these, optional
            A point; or the variables whose density is returned as a graph.
        jacobian, sum : bool, default True
            As for ``pymc.Model.logp``.
        """
        if isinstance(vars, Mapping):
            return density_at(self, vars)
        return super().logp(vars=vars, jacobian=jacobian, sum=sum)

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
        variable.logp = VariableDensity(self, variable.name)
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
