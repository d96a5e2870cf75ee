"""Read a saved fit with the model that it is of, and check that they belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayou.batching.batched import rebuild_program
from bayou.compression.weighted_model import weighted_model
from bayou.containers.variables.dims import dims_of
from bayou.density.build import compile_program
from bayou.fitting.result.fit_result import Fit
from bayou.fitting.result.saved_fit import read_fit
from bayou.fitting.rows.all_rows import all_rows_density
from bayou.models.plain.plain_model import read_model
from bayou.provenance.model_provenance import dim_fingerprint
from bayou.text import listed

if TYPE_CHECKING:
    from pathlib import Path

    import pymc as pm

    from bayou.containers.context import ModelLike
    from bayou.density.program import Program
    from bayou.fitting.guides.approximation import Approximation
    from bayou.provenance.record import Provenance

# Labels that an error shows.
MAX_LABELS = 3


def load(path: str | Path, *, model: ModelLike | None = None) -> Fit:
    """Read a fit from a file.

    Parameters
    ----------
    path : str or Path
        A file that :meth:`bayou.Fit.save` wrote.
    model : pymc.Model or model of a library, optional
        The model that was fitted, built again by the same code; by default the model of the
        context. Its data may differ, in their number of rows too: :func:`bayou.verify` compares
        them. The dims of its free variables must have the same labels in the same order as in the
        fit. Exception: if variables with a value for each row were fitted in batches, the labels of
        rows are not compared.

    Returns
    -------
    Fit
        The fit that was saved.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged or was not written by ``save``, if the model is not the one that was
        fitted, or if its free variables have other labels or lengths.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with pm.Model() as model, tempfile.TemporaryDirectory() as folder:
    ...     mu = pm.Normal("mu")
    ...     y = pm.Normal("y", mu, 1, observed=[1.0, 2.0, 3.0])
    ...     fit = by.fit(progressbar=False)
    ...     fit.save(pathlib.Path(folder) / "fit")
    ...     again = by.load(pathlib.Path(folder) / "fit")
    >>> bool(again.mean["mu"] == fit.mean["mu"])
    True
    """
    saved = read_fit(path)
    model = weighted_model(read_model(model), saved.approximation.weights)
    program = compile_program(model)
    if saved.model_fingerprint != program.fingerprint:
        raise ValueError(
            f"`model` must be the one that was fitted, got another than in {str(path)!r}.\n"
            "Hint: make the model by the same code; only the values of its data may change."
        )
    if saved.batching is not None:
        program = rebuild_program(model, saved.batching)
    _check_labels(model, program, saved.provenance, str(path))
    _check_lengths(program, saved.approximation, str(path))
    density = all_rows_density(program)
    return Fit(model, program, saved.approximation, density, saved.provenance)


def _check_labels(
    model: pm.Model, program: Program, provenance: Provenance | None, path: str
) -> None:
    """Check that the free variables have the labels that were fitted."""
    if provenance is None:
        return
    row_variables = () if program.latent is None else program.latent.names
    for variable in model.free_RVs:
        dims = dims_of(model, variable)
        # The rows of variables with a value for each row may be others.
        for dim in dims[1:] if variable.name in row_variables else dims:
            if dim is None or provenance.dims.get(dim) == dim_fingerprint(model, dim):
                continue
            labels = model.coords.get(dim)
            shown = "none" if labels is None else listed(labels, MAX_LABELS, _as_text)
            raise ValueError(
                f"The dim {dim!r} of `model`, of {variable.name!r}, must have the labels that were "
                f"fitted, in their order, got others than those of {path!r}: {shown}.\n"
                "Hint: make the model by the same code, with coords that do not depend on the "
                "data; by.predict puts draws in order for a model with the labels in another one."
            )


def _as_text(label: object) -> str:
    """Return a label as coords of PyMC print it: any label in quotes."""
    return repr(str(label))


def _check_lengths(program: Program, approximation: Approximation, path: str) -> None:
    """Check that the free variables have the shapes that were fitted."""
    sizes = {"free variables": (approximation.frame.origin.size, program.layout.size)}
    if approximation.latent is not None:
        row_size = approximation.latent.location.shape[1]
        sizes["variables with a value for each row"] = row_size, program.latent_layout.size
    for variables, (fitted, size) in sizes.items():
        if fitted != size:
            raise ValueError(
                f"The {variables} of `model` must have the lengths that were fitted, got {size} "
                f"numbers where {path!r} has {fitted}.\n"
                "Hint: a shape that comes from the data must be that of the data that were fitted."
            )
