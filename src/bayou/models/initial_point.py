"""The starting points of fits and chains: PyMC's own, evaluated without a compiler."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.transforms import Chain, Ordered
from pymc.initial_point import make_initial_point_expression
from pymc.pytensorf import find_rng_nodes, replace_rng_nodes, reseed_rngs

from bayou.models.interpret import SharedInterpreter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from pymc.distributions.transforms import Transform
    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayou.models.interpret import ContainerValues

logger = logging.getLogger(__name__)


def start_function(
    model: pm.Model, *, jitter: bool, prior: bool = False
) -> Callable[..., list[NDArray[np.float64]]]:
    """Return a function of a seed to starting values of the free variables, transformed.

    Parameters
    ----------
    model : pymc.Model
        The model.
    jitter : bool
        Whether values are moved at random by up to 1, as PyMC does for its chains.
    prior : bool, default False
        Whether values are drawn from their prior, if that can be drawn from.

    Returns
    -------
    callable
        (seed, values of shared variables by their containers, by default the present ones) -> list
        of arrays, in the order of ``model.free_RVs``.
    """
    return _start_function(_FreeVariables.of(model), jitter=jitter, prior=prior)


def start_from_values(
    model: pm.Model, values: Mapping[Variable, object]
) -> Callable[..., list[NDArray[np.float64]]]:
    """Return a function like :func:`start_function`, with initial values in place of the model's.

    They are moved at random as well, as PyMC does for its chains.

    Parameters
    ----------
    model : pymc.Model
        The model.
    values : mapping of free variables to values
        Initial values, as PyMC takes them.
    """
    free = _FreeVariables.of(model)
    strategies = free.initial_values | dict(values)
    return _start_function(free._replace(initial_values=strategies), jitter=True, prior=False)


class _FreeVariables(NamedTuple):
    """The parts of a model that decide where it starts, without the model.

    What is cached by model must not keep it alive.
    """

    variables: list[TensorVariable]
    transforms: dict[TensorVariable, Transform | None]
    initial_values: dict[TensorVariable, object]

    @classmethod
    def of(cls, model: pm.Model) -> _FreeVariables:
        """Return the parts of a model as it is now."""
        return cls(
            list(model.free_RVs), dict(model.rvs_to_transforms), dict(model.rvs_to_initial_values)
        )


def _start_function(
    free: _FreeVariables, *, jitter: bool, prior: bool
) -> Callable[..., list[NDArray[np.float64]]]:
    strategies, transforms = dict(free.initial_values), free.transforms
    if prior:
        transforms = {
            variable: _Sorting(transform) if _orders(transform) else transform
            for variable, transform in transforms.items()
        }
        # These have no generator of random numbers.
        improper = (pm.Flat.rv_type, pm.HalfFlat.rv_type)
        strategies |= {
            variable: "prior"
            for variable in free.variables
            if not isinstance(variable.owner.op, improper)
        }
    expressions = make_initial_point_expression(
        free_rvs=free.variables,
        rvs_to_transforms=transforms,
        initval_strategies=strategies,
        jitter_rvs=set(free.variables) if jitter else None,
        return_transformed=True,
    )
    # Generators of their own, so that the model's are not seeded.
    evaluate = SharedInterpreter([], replace_rng_nodes(expressions))
    generators = find_rng_nodes(evaluate.graphs)
    # nutpie asks for starting points from its threads, and the generators are shared.
    lock = threading.Lock()

    def start(seed: int, shared_values: ContainerValues | None = None) -> list[NDArray[np.float64]]:
        with lock:
            reseed_rngs(generators, seed)
            return evaluate([], shared_values or {})

    return start


@dataclass(frozen=True)
class _Sorting:
    """A transform of values in any order, which sorts them first.

    Draws from a prior are in any order also where a transform says that they are ordered.
    """

    transform: Transform

    def forward(self, value: TensorVariable, *inputs: TensorVariable) -> TensorVariable:
        """Return the transformed values."""
        ordered: TensorVariable = self.transform.forward(pt.sort(value, axis=-1), *inputs)
        return ordered

    def backward(self, value: TensorVariable, *inputs: TensorVariable) -> TensorVariable:
        """Return the values of transformed ones."""
        values: TensorVariable = self.transform.backward(value, *inputs)
        return values


def _orders(transform: Transform | None) -> bool:
    """Return whether a transform takes only values in ascending order."""
    if isinstance(transform, Chain):
        return any(map(_orders, transform.transform_list))
    return isinstance(transform, Ordered) and transform.ascending


class StartCandidates:
    """Positions to start from, one after another until the density is finite at one.

    The first is the model's own. Then come jittered ones, as PyMC tries them; then draws from the
    prior, and such draws brought close to the first, for priors so wide that no draw will do.

    Parameters
    ----------
    model : pymc.Model
        The model.
    jitter : bool
        Whether the first one is jittered as well.
    """

    # Those of a kind are as many as nutpie tries.
    EACH = 10
    COUNT = 1 + 3 * EACH
    # Of the distance between the first and a draw from the prior.
    CLOSE = 0.1

    def __init__(self, model: pm.Model, *, jitter: bool) -> None:
        self._free = _FreeVariables.of(model)
        self._jitter = jitter
        self._own = _start_function(self._free, jitter=jitter, prior=False)
        # Built where they are needed, since each takes tens of milliseconds.
        self._others: dict[bool, Callable[..., list[NDArray[np.float64]]]] = {}

    def __call__(
        self, seed: int, shared_values: ContainerValues | None = None, attempt: int = 0
    ) -> list[NDArray[np.float64]]:
        """Return the values of the free variables at an attempt, from 0 to ``COUNT - 1``.

        Raises
        ------
        ValueError
            If a variable has no value to start from, as with a parameter that is NaN: names it.
        """
        if attempt == 0:
            return self._first(seed, shared_values)
        kind, number = divmod(attempt - 1, self.EACH)
        try:
            other = self._other(from_prior=kind > 0)(seed + number, shared_values)
        # A function of the user, such as the `random` of a CustomDist, may raise anything.
        except Exception as error:
            logger.info("A start could not be drawn, and the model's own is taken: %s", error)
            return self._first(seed, shared_values)
        if kind < 2:
            return other
        first = self._first(seed, shared_values)
        return [near + self.CLOSE * (far - near) for near, far in zip(first, other, strict=True)]

    def _first(self, seed: int, shared_values: ContainerValues | None) -> list[NDArray[np.float64]]:
        try:
            return self._own(seed, shared_values)
        except ValueError as error:
            raise self._no_start_error(seed, shared_values, error) from error

    def _no_start_error(
        self, seed: int, shared_values: ContainerValues | None, error: ValueError
    ) -> ValueError:
        """Return the error for the first variable that has no value to start from."""
        variables, name = self._free.variables, ""
        for number, variable in enumerate(variables, 1):
            name = str(variable.name)
            some = self._free._replace(variables=variables[:number])
            try:
                _start_function(some, jitter=self._jitter, prior=False)(seed, shared_values)
            except ValueError:
                break
        return ValueError(
            f"`model` must have a value to start from for each free variable, got none for {name!r}"
            f": {str(error).partition('. ')[0]}.\n"
            "Hint: look for a parameter of its prior that is NaN or out of its range, such as a "
            "default of a library that has no scale to go by; or pass `initval=`."
        )

    def _other(self, *, from_prior: bool) -> Callable[..., list[NDArray[np.float64]]]:
        if from_prior not in self._others:
            self._others[from_prior] = _start_function(
                self._free, jitter=not from_prior, prior=from_prior
            )
        return self._others[from_prior]
