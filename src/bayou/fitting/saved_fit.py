"""Fits from files: what :meth:`bayou.Fit.save` wrote, with the model that it is of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from bayou.batching.minibatch_model import batched_program
from bayou.containers.variables.dims import dims_of
from bayou.density.build import compile_program
from bayou.fitting.approximation import Approximation
from bayou.fitting.fit_result import Fit
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.full_rank import FullRank
from bayou.fitting.guides.low_rank import LowRank
from bayou.fitting.guides.mean_field import MeanField, MeanFieldParams
from bayou.fitting.rows.feeds import whole_density
from bayou.models.context import model_of
from bayou.provenance.model_provenance import dim_fingerprint
from bayou.provenance.record import Provenance
from bayou.storage.safetensors_file import read_arrays
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pymc as pm
    from numpy.typing import NDArray

    from bayou.density.program import Program

GUIDES: dict[str, Any] = {guide.__name__: guide for guide in (MeanField, FullRank, LowRank)}


def load(path: str | Path, *, model: pm.Model | None = None) -> Fit:
    """Read a fit from a file.

    Parameters
    ----------
    path : str or Path
        A file that :meth:`bayou.Fit.save` wrote.
    model : pymc.Model, optional
        The model that was fitted, made anew; by default the one of the context. Its data may be
        others, and as many rows as there are: :func:`bayou.verify` tells. The dims of its free
        variables have the labels that were fitted, in their order; but those of rows, where
        variables with a value for each row were fitted in batches, are not compared.

    Returns
    -------
    Fit

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file was not written by ``save``, is damaged, or is of another model, or of one whose
        free variables have other labels or lengths.

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
    arrays, description = read_arrays(path)
    if description.get("kind") != "fit":
        raise ValueError(
            f"`path` must be a file that Fit.save wrote, got {str(path)!r}, a checkpoint.\n"
            "Hint: go on from a checkpoint with by.fit(checkpoint=path, resume=True)."
        )
    model = model_of(model)
    batching = description["batching"]
    program = compile_program(model)
    if description["model"] != program.fingerprint:
        raise ValueError(
            f"`model` must be the one that was fitted, got another than that of {str(path)!r}.\n"
            "Hint: make the model by the same code; only the values of its data may change."
        )
    if batching is not None:
        _, program = batched_program(model, *batching, validate=True)
    provenance = _provenance(description.get("provenance"))
    _check_labels(model, program, provenance, str(path))
    _check_lengths(program, arrays, str(path))
    guide = GUIDES[description["guide"]](**description["guide options"])
    size = jnp.zeros(program.layout.size)
    some = guide.init(size, size + 1)
    leaves = [jnp.asarray(arrays[f"params {n}"]) for n in range(len(jax.tree.leaves(some)))]
    approximation = Approximation(
        guide=guide,
        params=jax.tree.unflatten(jax.tree.structure(some), leaves),
        frame=Frame(arrays["origin"], arrays["factor"]),
        elbo=arrays["elbo"],
        rates=arrays["rates"],
        converged=description["converged"],
        reason=description["reason"],
        correction=description["correction"],
        path=arrays.get("path"),
        path_steps=arrays.get("path_steps"),
        path_elements=arrays.get("path_elements"),
        latent=(
            MeanFieldParams(jnp.asarray(arrays["latent 0"]), jnp.asarray(arrays["latent 1"]))
            if "latent 0" in arrays
            else None
        ),
    )
    return Fit(model, program, approximation, whole_density(program), provenance)


def _check_labels(
    model: pm.Model, program: Program, provenance: Provenance | None, path: str
) -> None:
    """Refuse a model whose free variables have other labels than those that were fitted."""
    if provenance is None:
        return
    latent = () if program.latent is None else program.latent.names
    for variable in model.free_RVs:
        # Rows of variables with a value for each row may be others.
        of_elements = dims_of(model, variable)[variable.name in latent :]
        for dim in of_elements:
            if dim is None or provenance.dims.get(dim) == dim_fingerprint(model, dim):
                continue
            labels = model.coords.get(dim)
            shown = "none" if labels is None else listed(labels, 3, lambda label: repr(str(label)))
            raise ValueError(
                f"The dim {dim!r} of `model`, of {variable.name!r}, must have the labels that were "
                f"fitted, in their order, got others than those of {path!r}: {shown}.\n"
                "Hint: make the model by the same code, with coords that do not depend on the "
                "data; by.predict puts draws in order for a model with the labels in another one."
            )


def _check_lengths(program: Program, arrays: Mapping[str, NDArray[Any]], path: str) -> None:
    """Refuse a model whose free variables have other shapes than those that were fitted."""
    found = {"free variables": (arrays["origin"].size, program.layout.size)}
    if "latent 0" in arrays:
        row = arrays["latent 0"].shape[1], program.latent_layout.size
        found["variables with a value for each row"] = row
    for what, (fitted, size) in found.items():
        if fitted != size:
            raise ValueError(
                f"The {what} of `model` must have the lengths that were fitted, got {size} numbers "
                f"where {path!r} has {fitted}.\n"
                "Hint: a shape that comes from the data must be that of the data that were fitted."
            )


def _provenance(text: str | None) -> Provenance | None:
    return None if text is None else Provenance.from_json(text)
