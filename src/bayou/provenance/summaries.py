"""One record for each data container, and for each variable, of a model that is described."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bayou.containers.variables.dims import Labels


@dataclass(frozen=True)
class ContainerSummary:
    """A data container of a model and the values that it holds now.

    Attributes
    ----------
    name : str
        Its name in the model. An array that was passed to ``observed=`` directly has the name of
        the observed variable.
    role : {"input", "observed", "minibatch", "generator"}
        How the model uses it: as a predictor, as the observed values, or in batches.
    columns : tuple of str or None
        The columns of the frame or source that it was built from.
    categories : tuple of str or None
        The categories that its integer codes stand for; None if it does not hold codes.
    dims : tuple of (str or None)
        The dim of each axis.
    coords : dict of str to tuple
        The coordinate labels of its dims, for dims that have some.
    shape : tuple of int
        The shape that the model sees: of a minibatch one batch, of a generator its first item.
    dtype : str
        The dtype of its values.
    source : str
        The type of the object that the rows came from, such as "pandas.DataFrame", or their paths.
    num_rows : int or None
        The number of all rows, in memory or not. None for scalars and for generators.
    num_in_memory : int or None
        The number of rows in memory now.
    num_dropped : int
        The number of rows dropped for missing values (``missing="drop"``).
    total_size : int, tuple or None
        The number of rows that the log density of the variable observed at it is scaled to; a tuple
        has one for each axis. None without scaling.
    fingerprint : str or None
        Digest of the values. None if the source would have to be read for it.
    observed_by : tuple of str
        The observed variables whose values it holds.
    feeds : tuple of str
        The variables that are computed from it.
    """

    name: str
    role: str
    columns: tuple[str, ...] | None
    categories: tuple[str, ...] | None
    dims: tuple[str | None, ...]
    coords: dict[str, Labels]
    shape: tuple[int, ...]
    dtype: str
    source: str
    num_rows: int | None
    num_in_memory: int | None
    num_dropped: int
    total_size: int | tuple[int | None, ...] | None
    fingerprint: str | None
    observed_by: tuple[str, ...]
    feeds: tuple[str, ...]


@dataclass(frozen=True)
class VariableSummary:
    """A variable of a model and the variables and containers in its definition.

    Attributes
    ----------
    name : str
        Its name in the model.
    kind : {"free", "observed", "deterministic", "potential"}
        The group of the model that it belongs to.
    dims : tuple of (str or None)
        The dim of each axis.
    parents : tuple of str
        The containers and variables that it is computed from directly.
    """

    name: str
    kind: str
    dims: tuple[str | None, ...]
    parents: tuple[str, ...]
