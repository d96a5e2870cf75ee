"""Works out what new data change in a model, before anything in it is written.

Values are read and matched first. Then the lengths and labels of their dims are brought into
agreement, for all rows; then rows with missing values are dropped from all containers of a dim.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pymc.exceptions import ShapeError
from pytensor.compile.sharedvalue import SharedVariable

from bayou.containers.index_bounds import check_indices
from bayou.containers.reading.columns import columns_of
from bayou.containers.reading.dropped_rows import (
    all_rows_of,
    all_rows_of_dim,
    select_rows,
)
from bayou.containers.reading.new_values import check_features, exports_index, read_values
from bayou.containers.variables.dims import (
    check_same_labels,
    dims_of,
    evaluate_length,
    labels_by_dim,
    read_coords,
    read_labels,
    resized_lengths,
    write_data,
)
from bayou.containers.variables.imputation import check_masks

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pymc as pm
    from pytensor.graph.basic import Variable
    from pytensor.tensor.sharedvar import TensorSharedVariable
    from pytensor.tensor.variable import TensorVariable

    from bayou.containers.reading.dropped_rows import AllRows, RowSelection
    from bayou.containers.reading.new_values import NewValues
    from bayou.containers.variables.dims import ContainerArrays, Labels, LabelsLike

type LabelsByDim = dict[str, Labels | None]


@dataclass(frozen=True, eq=False)
class DataChange:
    """The changes that new data make in a model.

    Attributes
    ----------
    arrays : dict of SharedVariable to ndarray
        The new values of containers, and of lengths that are shared variables of their own.
    labels : dict of str to tuple
        The new labels of the dims whose labels change.
    lengths : dict of str to int
        The length of each dim of the containers, new or not.
    length_expressions : dict of str to TensorVariable
        The same lengths, as expressions of the model's containers.
    sources : dict of TensorSharedVariable to str
        Where the rows of each container with new values come from, for messages.
    selections : tuple of RowSelection
        The rows that remain, for each dim in which rows are dropped or were.
    all_labels : dict of str to (tuple or None)
        The labels of all rows, before some are dropped.
    """

    arrays: ContainerArrays
    labels: dict[str, Labels]
    lengths: dict[str, int]
    length_expressions: dict[str, TensorVariable]
    sources: dict[TensorSharedVariable, str]
    selections: tuple[RowSelection, ...]
    all_labels: LabelsByDim

    @property
    def names(self) -> frozenset[str]:
        """The names of the containers that have new values."""
        return frozenset(variable.name for variable in self.sources)

    def apply(self, model: pm.Model) -> None:
        """Write the change into the model, all of it or nothing."""
        write_data(model, self.arrays, self.labels, self.length_expressions)
        for selection in self.selections:
            labels = None if selection.dim is None else self.all_labels[selection.dim]
            for variable, rows in selection.containers.items():
                selection.record(variable, rows, labels)
        for variable, source in self.sources.items():
            columns = columns_of(variable)
            if columns is not None:
                variable.tag.columns = replace(columns, source=source)


def plan_change(
    model: pm.Model,
    new_data: object,
    coords: Mapping[str, LabelsLike] | None = None,
    *,
    count_labels: bool = False,
) -> DataChange:
    """Return the changes that new data make in a model, and leave the model as it is.

    Parameters
    ----------
    model : pymc.Model
        The model that has the containers.
    new_data : mapping or table
        As :func:`bayou.set_data` takes it.
    coords : mapping of str to sequence, optional
        New labels of dims.
    count_labels : bool, default False
        Whether a dim whose length changes gets the labels 0, 1, ... if there are none for it. By
        default that is an error, unless its old labels are 0, 1, ... too.

    Raises
    ------
    pymc.exceptions.ShapeError, IndexError, TypeError, ValueError
        As :func:`bayou.set_data` does.
    """
    new_labels = read_coords(coords)
    new_values = read_values(model, new_data, new_labels)
    for variable in new_values:
        check_features(model, variable, new_labels)
    # Lengths and labels are compared before rows are dropped: all containers of a dim have the rows
    # of one table then, whichever of them has missing values.
    selections = _select_rows(model, new_values)
    arrays: ContainerArrays = {
        variable: values.table.array for variable, values in new_values.items()
    }
    for selection in selections:
        arrays |= {variable: rows.values for variable, rows in selection.containers.items()}
    lengths = _agreed_lengths(model, arrays)

    old_labels = _labels_of_all_rows(model, selections)
    if count_labels:
        for dim, length in lengths.items():
            old = old_labels[dim]
            if old is not None and len(old) != length:
                old_labels[dim] = tuple(range(len(old)))
    exported = _exported_labels(model, new_values)
    labels = _changed_labels(old_labels, lengths, new_labels, exported)
    all_labels: LabelsByDim = {dim: labels.get(dim, old) for dim, old in old_labels.items()}

    # From here on, the rows that remain.
    for selection in selections:
        arrays |= selection.arrays()
        if selection.dim is not None:
            lengths[selection.dim] = selection.num_rows
            of_all_rows = all_labels[selection.dim]
            if of_all_rows is not None:
                labels[selection.dim] = selection.select_labels(of_all_rows)
    check_masks(arrays)
    # First, since lengths that are shared variables of their own join the arrays.
    length_expressions = resized_lengths(model, arrays, lengths)
    check_indices(model, arrays)
    return DataChange(
        arrays=arrays,
        labels={dim: new for dim, new in labels.items() if new != model.coords.get(dim)},
        lengths=lengths,
        length_expressions=length_expressions,
        sources={variable: values.source for variable, values in new_values.items()},
        selections=selections,
        all_labels=all_labels,
    )


def _select_rows(
    model: pm.Model, new_values: Mapping[TensorSharedVariable, NewValues]
) -> tuple[RowSelection, ...]:
    """Return the rows that remain, for each dim in which rows are dropped or were."""
    rows_by_dim: dict[str | TensorSharedVariable, dict[TensorSharedVariable, AllRows]] = {}
    for variable, values in new_values.items():
        if values.rows is not None:
            dim = dims_of(model, variable)[0]
            rows_by_dim.setdefault(variable if dim is None else dim, {})[variable] = values.rows
    selections = []
    for key, new_rows in rows_by_dim.items():
        dim = key if isinstance(key, str) else None
        drops = any(rows.incomplete.any() for rows in new_rows.values())
        has_dropped = any(all_rows_of(variable) is not None for variable in new_rows)
        if drops or has_dropped or all_rows_of_dim(model, dim) is not None:
            selections.append(select_rows(model, dim, new_rows))
    return tuple(selections)


def _labels_of_all_rows(model: pm.Model, selections: tuple[RowSelection, ...]) -> LabelsByDim:
    """Return the labels that the dims have now, with those of dropped rows."""
    labels: LabelsByDim = dict(model.coords)
    for selection in selections:
        all_rows = all_rows_of_dim(model, selection.dim)
        if selection.dim is not None and all_rows is not None:
            labels[selection.dim] = all_rows.labels
    return labels


def _exported_labels(
    model: pm.Model, new_values: Mapping[TensorSharedVariable, NewValues]
) -> dict[str, Labels]:
    """Return the labels that the indices of new values give their dims."""
    exported: dict[str, Labels] = {}
    for variable, values in new_values.items():
        if not exports_index(variable):
            continue
        subject = f"The index of `new_data[{variable.name!r}]`"
        by_axis = [
            None if index is None else read_labels(index, subject) for index in values.table.labels
        ]
        for dim, labels in labels_by_dim(dims_of(model, variable), by_axis).items():
            check_same_labels(dim, exported.setdefault(dim, labels), labels)
    return exported


def _agreed_lengths(model: pm.Model, arrays: ContainerArrays) -> dict[str, int]:
    """Return the new length of each dim of these containers.

    Raises
    ------
    pymc.exceptions.ShapeError
        If containers that share a dim differ in its length.
    """
    sizes: dict[str, dict[str, int]] = {
        dim: {} for variable in arrays for dim in dims_of(model, variable) if dim is not None
    }
    for variable in model.root.data_vars:
        for axis, dim in enumerate(dims_of(model, variable)):
            if dim in sizes:
                sizes[dim][variable.name] = _axis_length(variable, axis, arrays)
    for dim, by_name in sizes.items():
        if len(set(by_name.values())) > 1:
            lengths = ", ".join(f"{size} in {name!r}" for name, size in by_name.items())
            raise ShapeError(
                f"Data containers that share the dim {dim!r} must agree in its length, "
                f"got {lengths}.\nHint: pass new values for all of them in one `set_data`."
            )
    return {dim: next(iter(by_name.values())) for dim, by_name in sizes.items()}


def _axis_length(variable: Variable, axis: int, arrays: ContainerArrays) -> int:
    if isinstance(variable, SharedVariable):
        return int(arrays.get(variable, variable.get_value(borrow=True)).shape[axis])
    return evaluate_length(variable.shape[axis], arrays)


def _changed_labels(
    old_labels: Mapping[str, Labels | None],
    lengths: Mapping[str, int],
    new_labels: Mapping[str, Labels],
    exported: Mapping[str, Labels],
) -> dict[str, Labels]:
    """Return the labels of the dims that get new ones: from `coords`, else an index, else counted.

    Raises
    ------
    pymc.exceptions.ShapeError
        If `coords` have not one label for each row.
    ValueError
        If `coords` label another dim, or a dim of a new length gets no labels.
    """
    for dim, labels in new_labels.items():
        if dim not in lengths:
            raise ValueError(
                f"`coords` must label dims of the containers in `new_data`, which are "
                f"{tuple(lengths)}, got {dim!r}.\nHint: leave it out, or pass its container too."
            )
        if len(labels) != lengths[dim]:
            raise ShapeError(
                f"`coords[{dim!r}]` must fit the new length {lengths[dim]}, "
                f"got {len(labels)} labels.\n"
                "Hint: pass one label for each entry along the axis."
            )
    # The user's own labels go before those of an index.
    changed = {**exported, **new_labels}
    for dim, length in lengths.items():
        old = old_labels[dim]
        if dim in changed or old is None or len(old) == length:
            continue
        if old != tuple(range(len(old))):
            raise ValueError(
                f"`coords` must give new labels for the dim {dim!r}, whose {len(old)} labels do "
                f"not fit the new length {length}.\n"
                f"Hint: pass `coords={{{dim!r}: labels}}` with {length} labels."
            )
        changed[dim] = tuple(range(length))
    return changed
