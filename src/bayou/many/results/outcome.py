"""The outcome of one data set, the axes of all results, and the contract of where they are kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from bayou.errors import WorkerDiedError
from bayou.storage.storable_labels import check_dim_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pymc as pm
    import xarray as xr

    from bayou.containers.variables.dims import Labels
    from bayou.models.posterior_tree import NamedArrays

    type Key = str | int

DATASET = "dataset"
# The first axes of every result.
DRAW_DIMS = (DATASET, "chain", "draw")
# The group that has a row for each data set.
TABLE = "diagnostics"
# Outcomes that are stacked, judged and written together: along data sets, a chunk on disk.
OUTCOMES_PER_WRITE = 32


@dataclass(frozen=True)
class Failure:
    """Why a data set has no results.

    Attributes
    ----------
    kind : str
        The name of the exception's class.
    message : str

    Examples
    --------
    >>> str(Failure.of(ValueError("no rows")))
    'ValueError: no rows'
    """

    kind: str
    message: str

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Return the failure that an exception is."""
        return cls(type(error).__name__, str(error))

    @classmethod
    def parse(cls, text: str) -> Failure:
        """Read a failure from its text in the table."""
        kind, _, message = text.partition(": ")
        return cls(kind, message)

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"

    @property
    def is_of_worker(self) -> bool:
        """Whether the workers that ran the data set died, so that another run may succeed."""
        return self.kind == WorkerDiedError.__name__


@dataclass(frozen=True, eq=False)
class Outcome:
    """The results of one data set, or why there are none.

    Attributes
    ----------
    key : str or int
    fingerprint : str
        Of its data; empty if they could not be read.
    groups : mapping of str to mapping of str to ndarray, shape (chains, draws, ...)
        ``posterior`` and ``sample_stats``; empty if it failed.
    diagnostics : mapping of str to float
        Its columns of the table.
    labels : mapping of str to tuple
        Its labels of the dims that have other labels in the model.
    failure : Failure or None
    """

    key: Key
    fingerprint: str
    groups: Mapping[str, NamedArrays] = field(default_factory=dict)
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, Labels] = field(default_factory=dict)
    failure: Failure | None = None

    @property
    def num_bytes(self) -> int:
        """The size of its arrays."""
        return sum(array.nbytes for group in self.groups.values() for array in group.values())


@dataclass(frozen=True)
class ResultAxes:
    """Names and labels of the axes of results, and the columns of their table.

    Attributes
    ----------
    dims : mapping of str to tuple of str
        Dims of each variable that has some, after those of draws.
    coords : mapping of str to tuple
        The model's labels of dims.
    free : tuple of str
        The free variables, of which convergence is computed.
    columns : tuple of str
        The columns of the table that are numbers.
    attrs : mapping of str to object
        Attributes of each group.
    """

    dims: Mapping[str, tuple[str | None, ...]]
    coords: Mapping[str, Labels]
    free: tuple[str, ...]
    columns: tuple[str, ...]
    attrs: Mapping[str, object]

    @classmethod
    def of(cls, model: pm.Model, columns: Sequence[str], attrs: Mapping[str, object]) -> ResultAxes:
        """Return the axes of the results of a model.

        Raises
        ------
        ValueError
            If a variable or a dim of the model has the name of another axis, or a dim a "/".
        """
        dims = {*model.coords, *model.dim_lengths}
        check_dim_names(dims)
        variables = {variable.name for variable in model.unobserved_RVs}
        taken = sorted({*DRAW_DIMS} & (dims | variables)) or sorted(variables & dims)
        if taken:
            raise ValueError(
                f"`model` must have no variable or dim with the name of another axis of the "
                f"results, got {taken[0]!r}.\n"
                f"Hint: rename it; the results have the axes {DRAW_DIMS} and the model's dims."
            )
        coords = {dim: labels for dim, labels in model.coords.items() if labels is not None}
        free = tuple(variable.name for variable in model.free_RVs)
        return cls(dict(model.named_vars_to_dims), coords, free, tuple(columns), attrs)

    @property
    def judged(self) -> tuple[str, ...]:
        """The variables whose convergence is in the table; none for fits, which have one chain."""
        return self.free if "rhat" in self.columns else ()

    def names(self, variable: str, ndim: int) -> tuple[str, ...]:
        """Return the names of the axes of results of a variable, data sets and draws included."""
        num_inner = ndim - len(DRAW_DIMS)
        dims = self.dims.get(variable) or (None,) * num_inner
        return (*DRAW_DIMS, *(dim or f"{variable}_dim_{axis}" for axis, dim in enumerate(dims)))


class Results(Protocol):
    """The contract of a store for the results of data sets, in memory or on disk.

    Attributes
    ----------
    done : dict of str or int to str
        Fingerprints of the data of those that are there, by their keys.
    failed : dict of str or int to Failure
        Of those of them that failed.
    """

    done: dict[Key, str]
    failed: dict[Key, Failure]

    def append(self, outcomes: Sequence[Outcome]) -> None:
        """Add the results of some more data sets."""

    def tree(self) -> xr.DataTree:
        """Return all results."""
