"""The covariance of chosen variables of a fit, as a table with the names of their elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayou.fitting.guides.moments import position_covariance
from bayou.fitting.result.named_values import element_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from bayou.fitting.result.fitted_model import FittedModel


def element_covariance(fit: FittedModel, var_names: str | Sequence[str] | None) -> pd.DataFrame:
    """Return the covariance of the elements of some variables; see :meth:`bayou.Fit.covariance`.

    Raises
    ------
    ValueError
        If there is no variable of such a name, or it has a value for each row.
    """
    import pandas as pd

    fitted, layout = fit.approximation, fit.program.layout
    lengths = [int(np.prod(shape)) for shape in layout.shapes]
    ends = np.cumsum(lengths)
    numbers = {
        name: np.arange(end - length, end)
        for name, end, length in zip(layout.names, ends, lengths, strict=True)
    }
    transformed = {free.name: value.name for free, value in fit.model.rvs_to_values.items()}
    chosen = [var_names] if isinstance(var_names, str) else list(var_names or numbers)
    names = [transformed.get(name, name) for name in chosen]
    unknown = [
        name for name, fitted_name in zip(chosen, names, strict=True) if fitted_name not in numbers
    ]
    if unknown:
        raise ValueError(
            f"`var_names` must be among {list(numbers)}, got {unknown}.\n"
            "Hint: deterministics and variables with a value for each row have no covariance with "
            "others; take that of their draws, fit.sample()."
        )
    elements = np.concatenate([numbers[name] for name in names])
    if fitted.resampled is not None:
        covariance = np.atleast_2d(np.cov(fitted.resampled[:, elements], rowvar=False, ddof=0))
    else:
        covariance = position_covariance(fitted.guide, fitted.params, fitted.frame, elements)
    labels = element_names(fit.mean, elements)
    return pd.DataFrame(covariance, index=labels, columns=labels)
