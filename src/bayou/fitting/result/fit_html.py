"""The face of a fit in a notebook: how it ended, and the normals of its first elements."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from bayou.fitting.result.named_values import element_names
from bayou.fitting.result.verdict import verdict_of

if TYPE_CHECKING:
    from bayou.fitting.result.fitted_model import FittedModel

# The most elements that are listed.
MAX_ELEMENTS = 10


def fit_html(fit: FittedModel) -> str:
    """Return two tables: how the fit ended, and means and standard deviations of variables.

    These are as they are fitted: of a positive ``s``, those of its log ``s_log__``.
    """
    verdict = verdict_of(fit)
    converged = {True: "yes", False: "no", None: "no stopping rule was applied"}
    facts = {
        "guide": str(fit.approximation.guide),
        "converged": converged[fit.converged],
        "reason": fit.reason,
        "verdict": f"{verdict.word}: {verdict.reason}",
        "correction": fit.correction or "none",
        "steps": f"{len(fit.elbo):,}",
        "passes over the rows": "unknown" if fit.passes is None else f"{fit.passes:,.1f}",
    }
    if len(fit.elbo):
        facts["last ELBO"] = f"{fit.elbo[-1]:,.2f} nats"
    rows = [f"<tr><th>{title}</th><td>{escape(text)}</td></tr>" for title, text in facts.items()]
    return (
        f"<div><strong>bayou.Fit</strong><table><tbody>{''.join(rows)}</tbody></table>"
        f"{_moments(fit)}</div>"
    )


def _moments(fit: FittedModel) -> str:
    """Return the table of the first elements, folded, with the number of the rest."""
    mean, std = fit.mean, fit.std
    size = sum(variable.size for variable in mean.data_vars.values())
    shown = np.arange(min(size, MAX_ELEMENTS))
    columns = [
        np.concatenate([variable.values.ravel() for variable in values.data_vars.values()])
        for values in (mean, std)
    ]
    rows = [
        f"<tr><th>{escape(name)}</th><td>{columns[0][number]:.4g}</td>"
        f"<td>{columns[1][number]:.4g}</td></tr>"
        for number, name in enumerate(element_names(mean, shown))
    ]
    rest = f"<p>and {size - len(shown):,} more: fit.mean, fit.std, fit.summary()</p>"
    return (
        f"<details open><summary>{size:,} elements, as they are fitted</summary><table><thead><tr>"
        "<th></th><th>mean</th><th>sd</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>{rest if size > len(shown) else ''}</details>"
    )
