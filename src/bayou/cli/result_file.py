"""Files of results: a fit as `Fit.save` writes it, or the draws of variables as a Zarr folder."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

import bayou as by
from bayou.cli.recipe import recorded_recipe
from bayou.fitting.result.saved_fit import read_fit
from bayou.models.plain.plain_model import read_model
from bayou.models.posterior_tree import posterior_tree
from bayou.provenance.record import ATTRIBUTE, Provenance, provenance_attrs
from bayou.sources.files.zarr import import_zarr
from bayou.storage.resumable_output import ResumableOutput

# The most elements of a variable that summaries have.
MOST_ELEMENTS = 1000

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayou.cli.recipe import Recipe
    from bayou.containers.context import ModelLike
    from bayou.fitting.result.fit_result import Fit


@dataclass(frozen=True)
class ResultFile:
    """A result on the disk.

    Attributes
    ----------
    path : Path
        The file or folder.
    provenance : Provenance or None
        What it was computed from.
    tree : xarray.DataTree or None
        The draws, read when they are used; None for a saved fit.
    """

    path: Path
    provenance: Provenance | None
    tree: xr.DataTree | None

    @property
    def recipe(self) -> Recipe | None:
        """How its model is made; None for a result of Python."""
        record = None if self.provenance is None else self.provenance.recipe
        return recorded_recipe(record, str(self.path))

    def load(self, model: ModelLike) -> Fit | xr.DataTree:
        """Return the result with its model.

        Raises
        ------
        ValueError
            If the model is not the one that it is of.
        """
        return by.load(self.path, model=model) if self.tree is None else self.tree


def open_result(path: str) -> ResultFile:
    """Open a result, without its model.

    Raises
    ------
    FileNotFoundError
        If there is nothing at the path.
    ImportError
        If it is a Zarr folder and zarr is not installed.
    ValueError
        If it is something else than a result.
    """
    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(
            f"`RESULT` must be what `bayou fit` or `bayou sample` wrote, got {path!r}, where there "
            "is nothing.\nHint: check the name."
        )
    if not file.is_dir():
        return ResultFile(file, read_fit(file).provenance, None)
    import_zarr()
    try:
        tree = xr.open_datatree(file, engine="zarr", chunks=None)
        posterior = tree["posterior"]
    # Zarr and xarray have many errors for folders that are something else.
    except Exception as error:
        raise ValueError(
            f"`RESULT` must be what `bayou fit` or `bayou sample` wrote, got {path!r}, a folder "
            "without draws of a posterior.\nHint: check the name."
        ) from error
    text = posterior.attrs.get(ATTRIBUTE)
    return ResultFile(file, None if text is None else Provenance.from_json(text), tree)


def check_new(out: str | None, suffixes: Sequence[str] = ()) -> None:
    """Check that a result can be written to a path, before the work begins.

    Raises
    ------
    FileExistsError, FileNotFoundError
        If the path is taken, or the folder that it is in does not exist.
    ImportError
        If it ends in ".zarr" and zarr is not installed.
    ValueError
        If it has none of the `suffixes`.
    """
    if out is None:
        return
    path = Path(out)
    if os.path.lexists(path):
        raise FileExistsError(
            f"`--out` must be a new path, got {out!r}, which is there already.\n"
            "Hint: choose another one, or remove it first."
        )
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(
            f"`--out` must be in a folder that exists, got {out!r}.\nHint: make the folder first."
        )
    if suffixes and path.suffix not in suffixes:
        raise ValueError(
            f"`--out` must end in {' or '.join(suffixes)}, got {out!r}.\n"
            "Hint: the ending chooses the format."
        )
    if path.suffix == ".zarr":
        import_zarr()


def fitted_names(model: ModelLike) -> tuple[list[str], int]:
    """Return the free variables of a model, and the number of their elements."""
    pymc_model = read_model(model)
    sizes = [np.size(value) for value in pymc_model.initial_point().values()]
    return [variable.name for variable in pymc_model.free_RVs], sum(sizes)


def drawn_posterior(fit: Fit, names: Sequence[str], draws: int) -> xr.Dataset:
    """Return draws of some variables, with the dims and coords of the model."""
    arrays = fit.draws(draws, names=names)
    tree = posterior_tree(fit.model, arrays, attrs={"inference_library": "bayou"})
    return tree["posterior"].to_dataset()


def write_fit_file(fit: Fit, out: str, names: Sequence[str], draws: int) -> None:
    """Write a fit: draws of it for ".zarr", else the approximation itself.

    Parameters
    ----------
    fit : Fit
        The fit.
    out : str
        The path. It appears complete or not at all.
    names : sequence of str
        The variables whose draws are written.
    draws : int
        The number of draws.
    """
    if not out.endswith(".zarr"):
        fit.save(out)
        return
    drawn = drawn_posterior(fit, names, draws)
    drawn.attrs |= {"converged": str(fit.converged), "verdict": fit.verdict.word}
    drawn.attrs |= provenance_attrs(fit.provenance)
    # Without the data, which are where they came from.
    tree = xr.DataTree.from_dict({"posterior": drawn})
    output = ResumableOutput(Path(out).absolute())
    part = output.folder / "draws"
    output.write_manifest({})
    with warnings.catch_warnings():
        # Of strings and joint metadata, which other programs may not read.
        warnings.simplefilter("ignore")
        tree.to_zarr(part, mode="w", zarr_format=3)
    output.finish(part)
