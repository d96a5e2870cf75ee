"""The argument `compress` of the verbs: whether distinct rows take the place of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayou.compression.compressed_model import (
    CompressionError,
    compressed_if_repeated,
    compressed_model,
)
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Collection

    import pymc as pm

    from bayou.compression.compressed_model import CompressedModel


def check_compress(compress: object) -> None:
    """Check the argument `compress`.

    Raises
    ------
    ValueError
        If it is neither a bool nor "auto".
    """
    if not (isinstance(compress, bool) or compress == "auto"):
        raise ValueError(
            f'`compress` must be "auto", True or False, got {compress!r}.\n'
            'Hint: "auto" counts equal rows where at most half of them are distinct.'
        )


def choose_compression(
    compress: bool | str,
    model: pm.Model,
    names: Collection[str] = (),
    weights: str | None = None,
) -> CompressedModel | None:
    """Return a model of distinct rows, as the argument `compress` asks for it.

    Parameters
    ----------
    compress : bool or "auto"
        True to have one or an error, "auto" to have one where the rows repeat enough.
    model : pymc.Model
        The model as it is written.
    names : collection of str, default ()
        Variables that are computed of this model, which must not be of rows.
    weights : str, optional
        The container of the weights of the rows, as :func:`weighted_model` has checked it.

    Returns
    -------
    CompressedModel or None
        None to take the model as it is written.

    Raises
    ------
    ValueError
        If `compress` is none of these, or it is True and the rows cannot be counted.
    """
    check_compress(compress)
    if compress is False:
        return None
    container = None if weights is None else model[weights]
    build = compressed_model if compress is True else compressed_if_repeated
    compressed = build(model, container)
    if compressed is None or not compressed.names_of_rows.intersection(names):
        return compressed
    if compress == "auto":
        return None
    of_rows = sorted(compressed.names_of_rows.intersection(names))
    raise CompressionError(
        "`compress=True` must come with results that do not depend on rows, got "
        f"{listed(of_rows)}.\n"
        "Hint: leave them out of `var_names`, or of the model; by.predict computes them for any "
        "rows."
    )
