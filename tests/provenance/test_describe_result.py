"""How a description prints: in a terminal, at a prompt and in a notebook."""

import numpy as np
import pymc as pm
import pytest
from rich.console import Console

import bayou as by


@pytest.fixture
def description() -> by.Description:
    with pm.Model(coords={"row": list("abcdef")}) as model:
        table = {"one": np.arange(6.0), "<two>": np.arange(6.0)}
        x = by.Data("x", table, columns=["one", "<two>"], dims=("row", "feature"))
        b = pm.Normal("b", dims="feature")
        mean = pm.Deterministic("mean", x @ b, dims="row")
        y = by.Data("y", np.arange(6.0), dims="row")
        pm.Normal("obs", mean, 1, observed=y, dims="row")
        pm.Potential("penalty", -b.sum())
    return by.describe(model)


def test_text(description: by.Description) -> None:
    text = str(description)
    for found in (
        "one, <two>",
        "row 6: a, b, c, d, and 2 more",
        "feature 2",
        "obs",
        "observed: obs",
    ):
        assert found in text
    assert "feature 2:" not in text  # Its labels are the columns.
    assert all(one.fingerprint is not None for one in description.containers)
    assert description.containers[0].fingerprint[:8] in text
    assert max(map(len, text.splitlines())) <= 120


def test_a_narrow_terminal_loses_nothing(description: by.Description) -> None:
    console = Console(width=60, color_system=None)
    with console.capture() as captured:
        console.print(description)
    assert "penalty" in captured.get()
    assert "hidden in a narrow terminal: total size, source" in captured.get()


def test_many_columns_are_cut_short() -> None:
    names = [f"x{number}" for number in range(500)]
    with pm.Model() as model:
        by.Data("x", {name: [1.0] for name in names}, columns=names, dims=("row", "feature"))
    text = str(by.describe(model))
    assert "x11" in text
    assert "x12" not in text
    assert "feature 500" in text


def test_a_prompt_shows_the_table(description: by.Description) -> None:
    assert repr(description) == str(description)
    assert repr(description.diagram()) == str(description.diagram())


def test_html_is_escaped(description: by.Description) -> None:
    html = description._repr_html_()
    assert "one, &lt;two&gt;" in html
    assert "row 6: a, b, c, d, and 2 more<br>feature 2" in html
    assert html.count("<tr>") == 3
