"""The rows of a model: which containers and variables have an axis that can be cut into batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytensor
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import ancestors, walk

from bayou.containers.sparse.sparse_container import is_sparse_variable, parts_of
from bayou.containers.variables.dims import dims_of
from bayou.containers.variables.source_variable import window_of
from bayou.models.inputs import is_fed, is_minibatch, uncast
from bayou.models.missing_values import imputed_names
from bayou.models.rewrite import model_graphs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pymc as pm
    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

type RowStorage = tuple[SharedVariable, int]
"""A container, and the axis that its rows are along."""


@dataclass(frozen=True)
class ModelRows:
    """The parts of a model that have an entry for each row.

    Attributes
    ----------
    dim : str
        The dim of the rows; empty if they have none.
    storages : mapping of Variable to (SharedVariable, int)
        The variables that a batch replaces, each with the container of its rows and their axis.
    observed : tuple of str
        The observed variables whose first axis is that of the rows.
    latent : tuple of str
        The free variables whose first axis is that of the rows.
    constants : mapping of Variable to Constant
        What is computed of arrays in the graphs alone and is the same in each batch, such as the
        mean of a column, with its value.
    """

    dim: str
    storages: Mapping[Variable, RowStorage]
    observed: tuple[str, ...]
    latent: tuple[str, ...]
    constants: Mapping[Variable, Constant] = field(default_factory=dict)

    @property
    def num_rows(self) -> int:
        """The number of rows now."""
        return min(_num_rows(*storage) for storage in self.storages.values())

    @property
    def has_fixed_number(self) -> bool:
        """Whether a model in batches of these rows is built for their number."""
        has_windows = any(window_of(storage) is not None for storage, _ in self.storages.values())
        return has_windows or bool(self.latent)


def find_rows(model: pm.Model, batch_dim: str | None = None, *, guess: bool = False) -> ModelRows:
    """Return the parts of a model that have an entry for each row of a dim.

    Parameters
    ----------
    model : pymc.Model
        A model that is written with all of its data.
    batch_dim : str, optional
        The dim of the rows; by default the first dim of what is observed.
    guess : bool, default False
        Whether to go by lengths, as :func:`guess_rows` does, where nothing observed has a dim.

    Returns
    -------
    ModelRows

    Raises
    ------
    ValueError
        If the model has minibatches already, missing values are imputed, there is no such dim or
        there are several, or containers with the dim have different numbers of rows.
    """
    if holds_minibatches(model):
        raise ValueError(
            "`batch_size` must be left out where the model holds minibatches or generators itself."
            "\nHint: write the model with by.Data, and by.fit draws the batches."
        )
    _check_nothing_imputed(model)
    first_dims = first_dims_of(model)
    if not first_dims:
        raise _nothing_of_rows_error(model)
    if not model.observed_RVs and not any(first_dims.values()):
        first_dims |= _dims_of_containers(model)
    if guess and batch_dim is None and not any(first_dims.values()):
        guessed = guess_rows(model, with_arrays=True)
        if guessed is not None:
            return guessed
    dim = _choose_dim(first_dims, batch_dim)
    observed = [variable for variable in model.observed_RVs if first_dims[variable.name] == dim]
    of_containers = {
        variable: (in_container(variable), dims_of(model, variable).index(dim))
        for variable in model.data_vars
        if dim in dims_of(model, variable)
    }
    # A container wins over the array of an observed variable, since it says which axis the dim is.
    storages = _observed_storages(model, observed) | of_containers
    _check_same_number(dim, storages)
    # A batch takes the values of its rows along the first axis alone.
    latent = [
        variable.name for variable in model.free_RVs if dims_of(model, variable)[:1] == (dim,)
    ]
    return ModelRows(dim, storages, tuple(variable.name for variable in observed), tuple(latent))


def first_dims_of(model: pm.Model) -> dict[str, str | None]:
    """Return the first dim of each observed variable and potential by name; None if it has none."""
    first_dims = {variable.name: _first_dim(model, variable) for variable in model.observed_RVs}
    return first_dims | {
        potential.name: dims_of(model, potential)[0]
        for potential in model.potentials
        if potential.ndim
    }


def guess_rows(model: pm.Model, *, with_arrays: bool = False) -> ModelRows | None:
    """Take all containers that are as long as what is observed for containers of rows.

    This is for models without dims. The likelihood must be checked afterwards.

    Parameters
    ----------
    model : pymc.Model
        A model that is written with all of its data.
    with_arrays : bool, default False
        Whether what is observed may be arrays that are in no container.

    Returns
    -------
    ModelRows or None
        None if observed variables are not in containers, or of several lengths.
    """
    values = [uncast(model.rvs_to_values[variable]) for variable in model.observed_RVs]
    kinds = SharedVariable | Constant if with_arrays else SharedVariable
    storages = {
        value: (in_container(value, variable.name), 0)
        for variable, value in zip(model.observed_RVs, values, strict=True)
        if value.ndim and isinstance(value, kinds)
    }
    if with_arrays and not values:
        storages = {container: (container, 0) for container in _containers_of_potentials(model)}
    lengths = {_num_rows(*storage) for storage in storages.values()}
    if len(storages) < len(set(values)) or len(lengths) != 1:
        return None
    [num_rows] = lengths
    of_parameters = _only_of_parameters(model)
    of_containers = {
        variable: (variable, axis)
        for variable in model.data_vars
        if isinstance(variable, SharedVariable)
        and variable not in of_parameters
        and (axis := _axis_of_length(variable, num_rows)) is not None
    }
    names = tuple(variable.name for variable in model.observed_RVs)
    return ModelRows("", storages | of_containers, names, ())


def _only_of_parameters(model: pm.Model) -> set[Variable]:
    """Return the variables that are used by priors of free variables, and by nothing else."""
    free = set(model.free_RVs)
    others = [graph for graph in model_graphs(model) if graph not in free]

    def inputs_of(variable: Variable) -> Sequence[Variable]:
        return [] if variable.owner is None or variable in free else variable.owner.inputs

    return set(ancestors(model.free_RVs)).difference(walk(others, inputs_of, bfs=False))


def _containers_of_potentials(model: pm.Model) -> list[SharedVariable]:
    """Return the containers with axes that potentials with axes are computed from."""
    above = set(ancestors([potential for potential in model.potentials if potential.ndim]))
    return [
        variable
        for variable in model.data_vars
        if variable in above and isinstance(variable, SharedVariable) and variable.ndim
    ]


def _dims_of_containers(model: pm.Model) -> dict[str, str | None]:
    """Return, for potentials without dims, the dim that all containers of theirs begin with."""
    dims = {
        dim
        for variable in _containers_of_potentials(model)
        if (dim := next(iter(dims_of(model, variable)), None)) is not None
    }
    if len(dims) != 1:
        return {}
    [dim] = dims
    return {potential.name: dim for potential in model.potentials if potential.ndim}


def holds_minibatches(model: pm.Model) -> bool:
    """Return whether a model is written with minibatches, also of PyMC, or with generators."""
    return any(is_fed(each) or is_minibatch(each) for each in ancestors(model_graphs(model)))


def no_rows_error(dim: str | None) -> ValueError:
    """Return the error for data without rows along a dim, or along their first axis for None."""
    along = repr(dim) if dim else "their first axis"
    return ValueError(
        f"The data must have at least one row, got none along {along}.\n"
        "Hint: check the filter that left nothing; pm.sample_prior_predictive draws from the prior."
    )


def check_some_rows(model: pm.Model) -> None:
    """Check that something is observed: the posterior would be the prior otherwise.

    Raises
    ------
    ValueError
        If no container of what is observed has a row.
    """
    containers = observed_containers(model)
    if containers and not any(_num_rows(each, 0) for each in containers):
        raise no_rows_error(dims_of(model, containers[0])[0])


def observed_containers(model: pm.Model) -> list[SharedVariable]:
    """Return the containers with axes at which variables are observed.

    None if a variable is observed at something else: that has rows whatever the containers have.
    """
    containers: dict[SharedVariable, None] = {}
    for variable in model.observed_RVs:
        feeding = set(ancestors([model.rvs_to_values[variable]]))
        observed = [data for data in model.root.data_vars if data in feeding and data.type.ndim]
        if not observed:
            return []
        containers |= dict.fromkeys(observed)
    return list(containers)


def _observed_storages(
    model: pm.Model, observed: Sequence[TensorVariable]
) -> dict[Variable, RowStorage]:
    """Return the containers of observed values; an array that is no container is put into one."""
    values = {uncast(model.rvs_to_values[variable]): variable.name for variable in observed}
    return {
        value: (in_container(value, name), 0)
        for value, name in values.items()
        if isinstance(value, Constant | SharedVariable)
    }


def in_container(variable: Variable, name: str | None = None) -> SharedVariable:
    """Return a container; for an array in a graph, such as of a frozen model, one that has it."""
    if isinstance(variable, SharedVariable):
        return variable
    if is_sparse_variable(variable):
        return parts_of(variable).matrix
    # PyMC holds observed arrays as constants, which cannot be sliced by a step. Axes of length 1
    # broadcast, as those of the constant do.
    shape = [1 if length == 1 else None for length in variable.type.shape]
    return pytensor.shared(variable.data, name=name or variable.name, shape=shape)


def _axis_of_length(variable: Variable, num_rows: int) -> int | None:
    """Return the first axis of a container with so many entries."""
    return next(iter(axes_of_length(variable, num_rows)), None)


def axes_of_length(variable: SharedVariable, num_rows: int) -> list[int]:
    """Return the axes of a container with so many entries."""
    return [axis for axis in range(variable.ndim) if _num_rows(variable, axis) == num_rows]


def _check_same_number(dim: str, storages: Mapping[Variable, RowStorage]) -> None:
    numbers = {storage.name: _num_rows(storage, axis) for storage, axis in storages.values()}
    if len(set(numbers.values())) > 1:
        raise ValueError(
            f"Containers that share the dim {dim!r} must have one number of rows, got "
            f"{dict(sorted(numbers.items()))}.\n"
            "Hint: change them in one call, by.set_data({...})."
        )


def _check_nothing_imputed(model: pm.Model) -> None:
    observed = (variable.name.removesuffix("_observed") for variable in model.observed_RVs)
    imputed = sorted(imputed_names(model).intersection(observed))
    if imputed:
        raise ValueError(
            f"`batch_size` must be left out where missing values are imputed, got {imputed[0]!r}.\n"
            'Hint: leave rows with missing values out, by.Data(..., missing="drop").'
        )


def _nothing_of_rows_error(model: pm.Model) -> ValueError:
    potentials = [potential.name for potential in model.potentials]
    reason = (
        f"no potential of {potentials} has a value for each row"
        if potentials
        else "there is no potential"
    )
    return ValueError(
        "The likelihood must be a product over rows to be fitted in batches, but nothing is "
        f"observed, and {reason}.\n"
        "Hint: leave `batch_size` out, which fits all rows at once; or write a potential with a "
        'value for each row, pm.Potential("p", ..., dims="row").'
    )


def _choose_dim(first_dims: Mapping[str, str | None], batch_dim: str | None) -> str:
    """Return the dim of the rows, by the first dim of each observed variable and potential."""
    known = {dim for dim in first_dims.values() if dim is not None}
    if batch_dim is None and len(known) == 1:
        return known.pop()
    if batch_dim is not None and batch_dim in known:
        return batch_dim
    if not known:
        raise ValueError(
            "`batch_size` must come with a name for the dim of the rows, got none on the first "
            f"axis of the observed {sorted(first_dims)}.\n"
            'Hint: name the dim of the rows, by.Data("y", values, dims="row"), in each container '
            "that has a row for each observation."
        )
    got = "none" if batch_dim is None else repr(batch_dim)
    raise ValueError(
        f"`batch_dim` must be the first dim of an observed variable, one of {sorted(known)}, got "
        f"{got}.\n"
        "Hint: batches are drawn along that dim; data without it are used as a whole in each batch."
    )


def _first_dim(model: pm.Model, variable: Variable) -> str | None:
    """Return the first dim of an observed variable, or of the container that it is observed at."""
    value = uncast(model.rvs_to_values[variable])
    for named in (variable, value):
        dims = dims_of(model, named)[:1]
        if dims and dims[0] is not None:
            return dims[0]
    return None


def _num_rows(storage: SharedVariable, axis: int) -> int:
    window = window_of(storage)
    if window is not None:
        return window.num_rows
    # It is a constant in a frozen model.
    value = storage.data if isinstance(storage, Constant) else storage.get_value(borrow=True)
    length: int = value.shape[axis]
    return length
