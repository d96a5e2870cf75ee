"""The file of a saved fit: arrays and JSON in safetensors, which cannot run code.

The arrays are the parameters (``params 0``, ...), the coordinates (``origin``, ``factor``), the
record of the steps (``elbo``, ``rates``, ``path``, ...), the normals of variables with a value
for each row (``latent 0``, ``latent 1``, ``latent_factor``), draws that take the place of the
guide's (``resampled``), other optima that were seen (``mode_positions``, ``mode_nats``) and the
evidence of the verdict (``errors``, ``noise``, ``log_ratios``). The JSON has the fingerprint of the
model, the guide and how the fit ended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from bayou.arguments import path_of
from bayou.fitting.guides.approximation import Approximation, OtherMode
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.evidence import Evidence
from bayou.fitting.guides.mean_field import MeanFieldParams
from bayou.fitting.guides.named_guides import GUIDE_CLASSES
from bayou.provenance.record import Provenance
from bayou.storage.safetensors_file import read_arrays, write_arrays

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from bayou.density.program import Program

# The arrays of an approximation that not every fit has.
OPTIONAL_ARRAYS = ("path", "path_steps", "path_elements", "latent_factor", "resampled")
# Parts of the evidence that are arrays by variable.
EVIDENCE_ARRAYS = ("errors", "noise")


@dataclass(frozen=True)
class SavedFit:
    """The content of a file, apart from the model.

    Attributes
    ----------
    model_fingerprint : str
        The structure of the model, whatever its data.
    batching : tuple of int and str, or None
        The size of the batches and their dim, if the model was written with all of its data.
    approximation : Approximation
        The distribution, and the record of the fit.
    provenance : Provenance or None
        The data and the model that were fitted. None in files of early versions.
    """

    model_fingerprint: str
    batching: tuple[int, str] | None
    approximation: Approximation
    provenance: Provenance | None


def write_fit(
    path: str | Path,
    program: Program,
    approximation: Approximation,
    provenance: Provenance | None,
) -> None:
    """Write a fit to a file, in place of what was there.

    Raises
    ------
    FileNotFoundError
        If the folder of the file does not exist.
    TypeError
        If the guide is not one of bayou's own, which alone can be restored by name, or `path` is no
        path.
    """
    if not path_of("path", path).absolute().parent.is_dir():
        raise FileNotFoundError(
            f"`path` must be a file in an existing folder, got {str(path)!r}.\n"
            "Hint: make the folder first."
        )
    guide, latent = approximation.guide, approximation.latent
    if type(guide) not in GUIDE_CLASSES.values():
        raise TypeError(
            f"`save` must be of a fit with a guide of bayou, got {guide!r}.\n"
            "Hint: save draws instead: fit.sample().to_netcdf(path)."
        )
    leaves = jax.tree.leaves(approximation.params)
    arrays = {f"params {number}": np.asarray(leaf) for number, leaf in enumerate(leaves)} | {
        "origin": np.asarray(approximation.frame.origin),
        "factor": np.asarray(approximation.frame.factor),
        "elbo": approximation.elbo,
        "rates": approximation.rates,
    }
    if latent is not None:
        arrays["latent 0"] = np.asarray(latent.location)
        arrays["latent 1"] = np.asarray(latent.log_scale)
    optional = {name: getattr(approximation, name) for name in OPTIONAL_ARRAYS}
    arrays |= {name: array for name, array in optional.items() if array is not None}
    if modes := approximation.other_modes:
        arrays["mode_positions"] = np.stack([mode.position for mode in modes])
        arrays["mode_nats"] = np.array([mode.nats for mode in modes])
    arrays |= _evidence_arrays(approximation.evidence)
    description = {
        "kind": "fit",
        "model": program.fingerprint,
        "batching": program.batching,
        "guide": type(guide).__name__,
        "guide options": vars(guide),
        "converged": approximation.converged,
        "reason": approximation.reason,
        "correction": approximation.correction,
        "passes": approximation.passes,
        "compression": approximation.compression,
        "num_distinct": approximation.num_distinct,
        "weights": approximation.weights,
        "provenance": None if provenance is None else provenance.to_json(),
    }
    if approximation.evidence is not None:
        description["evidence"] = _evidence_description(approximation.evidence)
    write_arrays(path, arrays, description)


def read_fit(path: str | Path) -> SavedFit:
    """Read a fit from a file that :func:`write_fit` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, or something else.
    """
    arrays, description = read_arrays(path)
    if description.get("kind") != "fit":
        raise ValueError(
            f"`path` must be a file that Fit.save wrote, got {str(path)!r}, a checkpoint.\n"
            "Hint: continue from a checkpoint with by.fit(checkpoint=path, resume=True)."
        )
    provenance, batching = description.get("provenance"), description["batching"]
    return SavedFit(
        model_fingerprint=description["model"],
        batching=None if batching is None else tuple(batching),
        approximation=_approximation(arrays, description),
        provenance=None if provenance is None else Provenance.from_json(provenance),
    )


def _approximation(
    arrays: Mapping[str, NDArray[Any]], description: Mapping[str, Any]
) -> Approximation:
    guide = GUIDE_CLASSES[description["guide"]](**description["guide options"])
    # Any parameters of the guide have the structure of those in the file.
    size = jnp.zeros(arrays["origin"].size)
    example = guide.init(size, size + 1)
    num_leaves = len(jax.tree.leaves(example))
    leaves = [jnp.asarray(arrays[f"params {number}"]) for number in range(num_leaves)]
    latent = None
    if "latent 0" in arrays:
        latent = MeanFieldParams(jnp.asarray(arrays["latent 0"]), jnp.asarray(arrays["latent 1"]))
    return Approximation(
        guide=guide,
        params=jax.tree.unflatten(jax.tree.structure(example), leaves),
        frame=Frame(arrays["origin"], arrays["factor"]),
        elbo=arrays["elbo"],
        rates=arrays["rates"],
        converged=description["converged"],
        reason=description["reason"],
        correction=description["correction"],
        passes=description.get("passes"),
        compression=description.get("compression"),
        num_distinct=description.get("num_distinct"),
        weights=description.get("weights"),
        path=arrays.get("path"),
        path_steps=arrays.get("path_steps"),
        path_elements=arrays.get("path_elements"),
        latent=latent,
        latent_factor=arrays.get("latent_factor"),
        evidence=_evidence(arrays, description.get("evidence")),
        resampled=arrays.get("resampled"),
        other_modes=tuple(
            OtherMode(position, float(nats))
            for position, nats in zip(
                arrays.get("mode_positions", ()), arrays.get("mode_nats", ()), strict=True
            )
        ),
    )


def _evidence_arrays(evidence: Evidence | None) -> dict[str, NDArray[Any]]:
    if evidence is None:
        return {}
    return {"log_ratios": evidence.log_ratios} | {
        f"{kind} {name}": array
        for kind in EVIDENCE_ARRAYS
        for name, array in getattr(evidence, kind).items()
    }


def _evidence_description(evidence: Evidence) -> dict[str, Any]:
    arrays = (*EVIDENCE_ARRAYS, "log_ratios")
    return {name: value for name, value in vars(evidence).items() if name not in arrays}


def _evidence(
    arrays: Mapping[str, NDArray[Any]], description: Mapping[str, Any] | None
) -> Evidence | None:
    if description is None:
        return None
    by_variable = {
        kind: {
            name.removeprefix(f"{kind} "): array
            for name, array in arrays.items()
            if name.startswith(f"{kind} ")
        }
        for kind in EVIDENCE_ARRAYS
    }
    evidence = Evidence(**description)
    return replace(
        evidence,
        errors=by_variable["errors"],
        noise=by_variable["noise"],
        log_ratios=arrays["log_ratios"],
        non_centred=tuple(evidence.non_centred),
    )
