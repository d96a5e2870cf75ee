"""`by.batched`: a model in minibatches for PyMC's own tools, and weights of its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayou.arguments import new_seed, seed_number, whole_number
from bayou.batching.batched import DEFAULT_SEED, minibatch_model
from bayou.batching.data_checks import check_imputed_values
from bayou.compression.weighted_model import weighted_model
from bayou.models.plain.plain_model import read_model

if TYPE_CHECKING:
    import pymc as pm

    from bayou.arguments import RandomSeed
    from bayou.containers.context import ModelLike


def batched(
    model: ModelLike | None = None,
    *,
    batch_size: int,
    batch_dim: str | None = None,
    random_seed: RandomSeed | None = DEFAULT_SEED,
    validate: bool = True,
    weights: str | None = None,
) -> pm.Model:
    """Return a copy of a model that is evaluated on minibatches of its rows.

    The model itself is written for all of its data. In the copy, each container with the dim of the
    rows is replaced by random rows of it; all containers get the same rows. The log likelihood of
    observed variables with this dim is scaled up to all rows, and so are potentials with a value
    for each row. :func:`bayou.fit` does this by itself if it gets a `batch_size`. Use the copy with
    PyMC's own functions, such as :func:`pymc.fit`.

    Parameters
    ----------
    model : pymc.Model or model of a library, optional
        The model, which does not change; by default the model of the context. The copy shares its
        data: :func:`bayou.set_data` on the model changes the data of both.
    batch_size : int
        Rows of a batch.
    batch_dim : str, optional
        The dim of the rows; by default the first dim of the observed variables.
    random_seed : int, sequence of int, numpy.random.Generator, RandomState or None, default 42
        Seed of the rows of each batch. None takes a new seed at each call.
    validate : bool, default True
        Whether to check that the log likelihood of a row does not depend on the other rows of its
        batch. If it did, fits in batches would give a wrong posterior.
    weights : str, optional
        A container with one number of at least 0 for each row, by which the log likelihood of the
        row is multiplied, as for :func:`bayou.fit`. Each batch has the weights of its rows.

    Returns
    -------
    pymc.Model
        A model with the same free variables. Each evaluation of its log density takes the next
        batch.

    Raises
    ------
    TypeError
        If there is no model, it imputes missing values of a discrete variable, or `weights` is not
        the name of a container of numbers.
    ValueError
        If the dim is not known, if containers have different numbers of rows, if a total_size is
        not the number of rows, or if the likelihood is not a product over rows. The error names the
        variable and the reason.

    Warns
    -----
    UserWarning
        If ``validate`` is False.

    Examples
    --------
    >>> with pm.Model() as model:
    ...     x = by.Data("x", np.arange(1000.0), dims="row")
    ...     slope = pm.Normal("slope")
    ...     observed = pm.Normal("y", slope * x, 1, observed=np.arange(1000.0), dims="row")
    >>> by.batched(model, batch_size=10)["y"].shape.eval()
    array([10])
    """
    written = read_model(model)
    size = whole_number("batch_size", batch_size, 1, "it counts the rows of a batch.")
    seed = new_seed() if random_seed is None else seed_number(random_seed)
    assert seed is not None
    check_imputed_values(written)
    weighted = weighted_model(written, weights)
    return minibatch_model(weighted, size, batch_dim, seed, validate=validate)
