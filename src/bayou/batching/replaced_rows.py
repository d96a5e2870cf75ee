"""Models with other rows: what depends on the rows of a model, built again for some of them.

The rows that take their place are those of a batch, or the distinct ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.traversal import ancestors

from bayou.batching.row_arrays import resized_nodes
from bayou.batching.row_independence import Dependence
from bayou.batching.row_terms import FAILURES, first_line
from bayou.models.rewrite import model_graphs, rebuild_variables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pymc as pm
    from pytensor.graph.basic import Apply, Variable

    from bayou.batching.row_dim import ModelRows
    from bayou.containers.sparse.sparse_rows import Operand


def replace_rows(
    model: pm.Model,
    rows: ModelRows,
    by_container: Mapping[int, Operand],
    length: Variable,
    hint: str,
    others: Mapping[Variable, Operand] | None = None,
) -> dict[Variable, Operand]:
    """Build what depends on the rows of a model again, for other rows.

    Parameters
    ----------
    model : pymc.Model
        The model as it is written. It stays as it is.
    rows : ModelRows
        Its parts with an entry for each row.
    by_container : mapping of int to Variable
        The other rows, by the identities of the values' containers.
    length : Variable
        Their number.
    hint : str
        What to do if the model cannot be built for them.
    others : mapping of Variable to Variable, optional
        What else is replaced.

    Returns
    -------
    dict of Variable to Variable
        As :func:`bayou.models.rewrite.rebuild_variables` returns it.

    Raises
    ------
    ValueError
        If the model cannot be built for other rows.
    """
    graphs = model_graphs(model)
    replacements: dict[Variable, Operand] = {}
    if rows.dim:
        # PyMC writes the length of a dim into the shapes of variables that have it.
        replacements[model.dim_lengths[rows.dim]] = length
    replacements |= {
        value: by_container[id(storage.container)] for value, (storage, _) in rows.storages.items()
    }
    replacements |= _replaced_clones([*graphs, *model.dim_lengths.values()], by_container)
    replacements |= {**(others or {}), **rows.constants}
    return _rebuild(graphs, replacements, resized_nodes(model, rows, length), hint)


def _rebuild(
    graphs: Sequence[Variable],
    replacements: Mapping[Variable, Operand],
    resized: Mapping[Apply, Sequence[Variable]],
    hint: str,
) -> dict[Variable, Operand]:
    """Build what depends on rows again, for those of a batch."""
    try:
        return rebuild_variables(graphs, replacements, resized)
    except FAILURES as error:
        if "\nHint: " in str(error):
            raise
        # The error of PyTensor about operations whose shapes do not fit.
        reason = f"the model cannot be built for a part of its rows ({first_line(error)})"
        raise Dependence(reason, hint, is_evaluated=False).error() from None


def _replaced_clones(
    graphs: Sequence[Variable], by_container: Mapping[int, Operand]
) -> dict[Variable, Operand]:
    """Return replacements of all shared variables with some containers.

    PyMC clones shared variables, but their clones have the same container.
    """
    return {
        variable: by_container[id(variable.container)]
        for variable in ancestors(graphs)
        if isinstance(variable, SharedVariable) and id(variable.container) in by_container
    }
