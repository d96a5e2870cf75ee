"""Fits from files: what :meth:`bayou.Fit.save` wrote, with the model that it is of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from bayou.inference.approximation import Approximation
from bayou.inference.batched import batched_program
from bayou.inference.context import model_of
from bayou.inference.feeds import whole_density
from bayou.inference.frame import Frame
from bayou.inference.guides.full_rank import FullRank
from bayou.inference.guides.low_rank import LowRank
from bayou.inference.guides.mean_field import MeanField, MeanFieldParams
from bayou.inference.program import compile_program
from bayou.results.fit import Fit
from bayou.results.store import read_arrays

if TYPE_CHECKING:
    from pathlib import Path

    import pymc as pm

GUIDES: dict[str, Any] = {guide.__name__: guide for guide in (MeanField, FullRank, LowRank)}


def load(path: str | Path, *, model: pm.Model | None = None) -> Fit:
    """Read a fit from a file.

    Parameters
    ----------
    path : str or Path
        A file that :meth:`bayou.Fit.save` wrote.
    model : pymc.Model, optional
        The model that was fitted, made anew; by default the one of the context. Its data may be
        others.

    Returns
    -------
    Fit

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file was not written by ``save``, is damaged, or is of another model.

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
    return Fit(model, program, approximation, whole_density(program))
