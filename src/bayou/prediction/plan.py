"""What there is to predict: the plan of it, and what is computed before the rows go by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.feeding.memory import free_memory
from bayou.prediction.cluster_run import RunOnCluster
from bayou.prediction.graph.row_dependence import Shape, two_pieces
from bayou.prediction.output.datatree import Plan, Prediction
from bayou.prediction.run import Computation, Run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pymc as pm
    from numpy.typing import NDArray

    from bayou.cluster.ray import Ray
    from bayou.prediction.cluster_run import Make
    from bayou.prediction.draws import ParameterDraws
    from bayou.prediction.graph.predictor import Predictor
    from bayou.prediction.new_rows import NewRows
    from bayou.prediction.run import Sink

type Arrays = Sequence[NDArray[Any]]

# The part of the free memory that predictions may take.
SHARE = 0.5


@dataclass(frozen=True, eq=False)
class Task:
    """Predictions that are to be put somewhere.

    Attributes
    ----------
    plan : Plan
        What they are.
    run : Run
        Computes those of rows, piece by piece.
    single : sequence of ndarray, shapes (draws, ...)
        Those that are the same for all rows.
    at_once : sequence of ndarray, shapes (draws, ...), or None
        All of them, where rows depend on each other.
    identity : dict
        Differs between tasks of another model, posterior or seed.
    """

    plan: Plan
    run: Run
    single: Arrays
    at_once: Arrays | None
    identity: dict[str, Any]

    def on(self, cluster: Ray, make: Make) -> Task:
        """Return the same, whose rows are shared out to a cluster, as :class:`RunOnCluster` is."""
        return replace(self, run=RunOnCluster(self.run.computation, self.run.rows, cluster, make))

    def into(
        self, sink: Sink, chunk_rows: int, unit_rows: int, shown: bool, **resumed: Any
    ) -> Arrays:
        """Put those of rows into a sink, as :meth:`Run.into` does; return the other ones."""
        if self.at_once is not None:
            axes = [part.row_axis for part in self.plan.predictions]
            pairs = zip(self.at_once, axes, strict=True)
            of_rows = [array for array, axis in pairs if axis is not None]
            sink.put(0, self.plan.num_rows, sink.digest(of_rows))
            sink.reached(self.plan.num_rows)
        elif self.plan.of_rows:
            self.run.into(sink, chunk_rows, unit_rows, shown, **resumed)
        return self.single


def make_task(
    posterior: ParameterDraws,
    names: Sequence[str],
    rows: NewRows,
    found: Predictor,
    fixed: Arrays,
    some: Arrays,
    seed: int,
) -> Task:
    """Compute what is the same for all rows, or all where rows depend on each other.

    Parameters
    ----------
    posterior : ParameterDraws
    names : sequence of str
        What is asked for.
    rows : NewRows
    found : Predictor
        Of these names and containers.
    fixed : sequence of ndarray
        What containers without rows hold.
    some : sequence of ndarray
        The first of the rows.
    seed : int

    Raises
    ------
    ValueError
        If rows that depend on each other do not fit the model or the memory.
    """
    values = [posterior.values[name] for name in found.given]
    at_once = None
    if found.dependence:
        shapes, at_once = _at_once(posterior, names, rows, found, values, fixed, seed)
        single = [
            array for array, shape in zip(at_once, shapes, strict=True) if shape.row_axis is None
        ]
    else:
        assert found.once is not None
        shapes = found.shapes
        few = two_pieces(some)[0]
        more, single = found.once(values, posterior.numbers, fixed, few, seed)
        values += more
    attrs = {
        "inference_library": "bayou",
        "inference_library_version": version("bayou"),
        "random_seed": seed,
        "compiler": found.compiler,
        "drawn_from_prior": [*found.population, *found.latent],
        **posterior.attrs,
    }
    if found.dependence:
        attrs["rows_depend"] = found.dependence
    plan = _plan(posterior, names, rows, found, shapes, attrs)
    of_rows = tuple(shape for shape in shapes if shape.row_axis is not None)
    return Task(
        plan=plan,
        run=Run(Computation(found, values, posterior.numbers, fixed, of_rows, seed), rows),
        single=single,
        at_once=at_once,
        identity={
            "model": found.fingerprint,
            "posterior": _digest([*values, *fixed, posterior.numbers]),
            "var_names": list(names),
            "rows": rows.num_rows,
            "random_seed": seed,
        },
    )


def _at_once(
    posterior: ParameterDraws,
    names: Sequence[str],
    rows: NewRows,
    found: Predictor,
    values: Arrays,
    fixed: Arrays,
    seed: int,
) -> tuple[tuple[Shape, ...], Arrays]:
    """Predict rows that depend on each other; return the shapes of a draw, and all draws."""
    numbers = posterior.numbers
    [whole] = rows.pieces(rows.num_rows)
    first = found.try_rows([value[0] for value in values], fixed, whole)
    check_memory(sum(part.nbytes for part in first) * len(numbers), found.dependence)
    shapes = tuple(
        Shape(part.shape, _row_axis(posterior.model, name, part.shape, rows))
        for name, part in zip(names, first, strict=True)
    )
    return shapes, found.engine(values, numbers, fixed, whole, 0, seed)


def _row_axis(model: pm.Model, name: str, shape: tuple[int, ...], rows: NewRows) -> int | None:
    """Return the axis of the rows: by its dim, or by its length where no dim tells."""
    dims = model.named_vars_to_dims.get(name)
    if dims and rows.row_dims:
        return next((axis for axis, dim in enumerate(dims) if dim in rows.row_dims), None)
    return next((axis for axis, length in enumerate(shape) if length == rows.num_rows), None)


def _plan(
    posterior: ParameterDraws,
    names: Sequence[str],
    rows: NewRows,
    found: Predictor,
    shapes: Sequence[Shape],
    attrs: Mapping[str, Any],
) -> Plan:
    """Say of what shape predictions are, and how their axes are labelled."""
    model = posterior.model
    predictions = tuple(
        Prediction(
            name=name,
            dtype=np.dtype(dtype),
            shape=shape.of(rows.num_rows),
            dims=tuple(
                dim or f"{name}_dim_{axis}"
                for axis, dim in enumerate(
                    model.named_vars_to_dims.get(name, (None,) * len(shape.lengths))
                )
            ),
            row_axis=shape.row_axis,
        )
        for name, dtype, shape in zip(names, found.dtypes, shapes, strict=True)
    )
    lengths = {
        dim: length
        for part in predictions
        for dim, length in zip(part.dims, part.shape, strict=True)
    }
    known = {dim: model.coords.get(dim) for dim in lengths if dim not in rows.row_dims}
    labels = {} if rows.labels is None else dict.fromkeys(rows.row_dims, rows.labels)
    return Plan(
        predictions=predictions,
        chains=posterior.chains,
        draws=posterior.draws,
        coords={
            dim: known[dim] if len(known.get(dim) or ()) == length else range(length)
            for dim, length in lengths.items()
        },
        num_rows=rows.num_rows,
        attrs=attrs,
        row_labels={dim: found for dim, found in labels.items() if dim in lengths},
    )


def check_memory(num_bytes: int, dependence: str = "") -> None:
    """Refuse predictions that take more than a part of the free memory."""
    free = free_memory()
    if num_bytes > SHARE * free:
        hint = 'write them to the disk: out="predictions.zarr", or ask for fewer draws'
        if dependence:
            hint = f"ask for fewer draws, or rows; all are computed at once, since {dependence}"
        raise ValueError(
            f"Predictions must fit in half of the free memory, {free / 2e9:.1f} GB, got "
            f"{num_bytes / 1e9:.1f} GB.\nHint: {hint}."
        )


def _digest(arrays: Arrays) -> str:
    found = hashlib.sha256()
    for array in arrays:
        found.update(str((array.dtype, array.shape)).encode())
        found.update(np.ascontiguousarray(array))
    return found.hexdigest()[:32]
