"""PyMC's distributions with the keywords of PyMC3: ``sd``, ``testval``, an iterator as observed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pytensor.compile.sharedvalue import shared

from bayou import generator
from bayou.models.interpret import SharedInterpreter

if TYPE_CHECKING:
    import pymc as pm
    from pytensor.tensor.variable import TensorVariable

# Base classes, which users inherit from and do not call.
BASES = frozenset({"Continuous", "Discrete", "Distribution"})

# The distributions in which PyMC3 called `sigma` `sd`.
HAD_SD = frozenset(
    {
        "AR",
        "Beta",
        "ExGaussian",
        "Gamma",
        "GaussianRandomWalk",
        "HalfNormal",
        "HalfStudentT",
        "InverseGamma",
        "LogNormal",
        "LogitNormal",
        "Normal",
        "NormalMixture",
        "Rice",
        "SkewNormal",
        "StudentT",
        "TruncatedNormal",
    }
)


# Arguments that say the shape of a variable, and those of a variable that are no parameters.
_SIZES = {"shape", "dims", "size", "total_size"}
_OF_VARIABLES = {"initval", "transform", "default_transform", "rng"}


class Distribution:
    """A distribution of PyMC that takes the keywords of PyMC3.

    Parameters
    ----------
    kind : type of pymc.Distribution
        The distribution.
    """

    def __init__(self, kind: type[pm.Distribution]) -> None:
        self.kind = kind
        self.__doc__ = kind.__doc__

    def __call__(
        self, name: str, *args: Any, observed: Any = None, **kwargs: Any
    ) -> TensorVariable:
        """Add a variable of this distribution to the model on the context stack.

        Parameters
        ----------
        name : str
            The name of the variable.
        *args
            Parameters of the distribution.
        observed : array_like, variable or iterator of array_like, optional
            The data. An iterator becomes a :func:`bayou.generator`.
        **kwargs
            The keywords of PyMC, and those of PyMC3: ``sd`` for ``sigma``, ``testval`` for
            ``initval``, and ``broadcastable``, a bool for each axis of ``shape``. An axis that is
            not broadcastable may later get another length than ``shape`` says.

        Returns
        -------
        TensorVariable
            The variable.
        """
        if hasattr(observed, "__next__"):
            observed = generator(observed)
        if "testval" in kwargs:
            kwargs["initval"] = kwargs.pop("testval")
        if "broadcastable" in kwargs:
            # PyMC takes a length that is a shared variable for one that may change.
            axes = zip(kwargs["shape"], kwargs.pop("broadcastable"), strict=True)
            kwargs["shape"] = [1 if one else shared(np.int64(length)) for length, one in axes]
        kwargs = self._with_sigma(kwargs)
        if isinstance(observed, np.ndarray | list) and not kwargs.keys() & _SIZES:
            kwargs |= self._shape_of_parameters(args, kwargs, np.shape(observed))
        return self.kind(name, *args, observed=observed, **kwargs)

    def dist(self, *args: Any, **kwargs: Any) -> TensorVariable:
        """Return a variable of this distribution that belongs to no model."""
        return self.kind.dist(*args, **self._with_sigma(kwargs))

    def _shape_of_parameters(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], shape: tuple[int, ...]
    ) -> dict[str, Any]:
        """Return the shape of the parameters, if it is that of the data now.

        PyMC3's predictions followed the parameters, whose containers may get other lengths; PyMC
        fixes the shape of the data.
        """
        parameters = {name: value for name, value in kwargs.items() if name not in _OF_VARIABLES}
        variable = self.kind.dist(*args, **parameters)
        if variable.ndim != len(shape) or all(length is not None for length in variable.type.shape):
            return {}
        [found] = SharedInterpreter([], [variable.shape])([], {})
        return {"shape": tuple(variable.shape)} if tuple(found) == shape else {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kind, name)

    def __repr__(self) -> str:
        return f"<{self.kind.__name__} with the keywords of PyMC3>"

    def _with_sigma(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        if "sd" not in kwargs:
            return kwargs
        name = self.kind.__name__
        if name not in HAD_SD:
            raise TypeError(
                f"{name} has no `sd`, got {kwargs['sd']!r}.\n"
                "Hint: see the parameters that PyMC gives this distribution."
            )
        if "sigma" in kwargs:
            raise TypeError(
                f"`sd` and `sigma` of {name} are the same, got both.\nHint: pass `sigma` alone."
            )
        return {"sigma" if key == "sd" else key: value for key, value in kwargs.items()}
