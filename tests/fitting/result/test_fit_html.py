"""The face of a fit in a notebook."""

import pickle
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.fitting.result.fit_html import MAX_ELEMENTS


@pytest.fixture(scope="module")
def fit() -> by.Fit:
    with pm.Model(coords={"group": ["<b>", "b"]}) as model:
        pm.Normal("effect", 2.0, 1.0, dims="group")
        pm.HalfNormal("scale")
        return by.fit(model=model, random_seed=1, progressbar=False)


def cells(html: str) -> list[str]:
    found: list[str] = []

    class Cells(HTMLParser):
        def handle_data(self, data: str) -> None:
            found.append(data)

    Cells().feed(html)
    return found


def test_it_says_how_the_fit_ended_and_what_it_found(fit: by.Fit) -> None:
    html = fit._repr_html_()
    found = cells(html)
    assert found[found.index("converged") + 1] == "yes"
    assert found[found.index("reason") + 1] == fit.reason
    assert found[found.index("verdict") + 1].startswith(fit.verdict.word)
    assert found[found.index("effect[<b>]") + 1] == f"{fit.mean['effect'][0]:.4g}"
    assert found[found.index("scale_log__") + 2] == f"{fit.std['scale_log__']:.4g}"
    # Labels are text, no tags.
    assert "effect[&lt;b&gt;]" in html
    assert "more" not in html
    assert pickle.loads(pickle.dumps(fit))._repr_html_() == html


def test_many_elements_are_counted() -> None:
    with pm.Model():
        pm.Normal("x", np.zeros(2000), 1.0)
        html = by.fit(5, progressbar=False, correction=None)._repr_html_()
    assert f"and {2000 - MAX_ELEMENTS:,} more" in html
    assert len(html) < 3000


def test_a_fit_shows_one_figure_in_a_notebook(fit: by.Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import pyplot as plt

    plt.close("all")
    with monkeypatch.context() as patch:
        patch.setattr(plt, "get_backend", lambda: "module://matplotlib_inline.backend_inline")
        figure: Any = fit.plot()
        # A notebook shows the figures that are open, and the one that is returned.
        assert plt.get_fignums() == []
        assert len(figure.axes) == 1
    fit.plot()
    assert len(plt.get_fignums()) == 1
    plt.close("all")


def test_tables_leave_no_empty_output_in_a_notebook(
    fit: by.Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In a notebook, a console of rich displays whatever is left in its buffer, also nothing.
    displayed: list[Any] = []
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("rich.jupyter.display", lambda *parts: displayed.append(parts))
    assert "effect" in str(by.describe(fit.model))
    str(by.inspect(by.source({"x": np.arange(10.0)})))
    by.fit(5, model=fit.model, correction=None, progressbar=False)
    assert displayed == []
