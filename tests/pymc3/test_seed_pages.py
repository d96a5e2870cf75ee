"""Every example of two pages of PyMC3's documentation, run as it stands there."""

import functools
import re
from pathlib import Path

import numpy as np
import pytest

import bayou.pymc3 as pm
from bayou.pymc3 import Minibatch, theano

PAGES = Path(__file__).parent / "pages"
QUOTES = str.maketrans("\u2018\u2019", "''")


def examples(page: str) -> str:
    """The code of a page: what follows `>>>`, and the lines that `...` or `…` continue."""
    lines: list[str] = []
    for text in (PAGES / page).read_text(encoding="utf-8").splitlines():
        pieces = re.split(r"(>>> |\.\.\. |… ?)", text.translate(QUOTES))
        for mark, code in zip(pieces[1::2], pieces[2::2], strict=True):
            if mark == ">>> ":
                lines.append(code.strip())
            else:
                # One of the pages lost the indentation.
                lines.append(code if code.startswith(" ") else " " * 4 + code.strip())
    return "\n".join(lines)


@pytest.fixture
def quick(monkeypatch):
    """Fewer steps and draws than the defaults, which the pages rely on."""
    monkeypatch.setattr(pm, "fit", functools.partial(pm.fit, n=20, progressbar=False))
    monkeypatch.setattr(
        pm,
        "sample",
        functools.partial(pm.sample, draws=20, tune=20, chains=1, progressbar=False),
    )


@pytest.mark.parametrize(
    ("page", "count"),
    [pytest.param("data_with_container.txt", 51, marks=pytest.mark.slow), ("data.txt", 35)],
)
def test_every_example_runs(page, count, quick):
    code = examples(page)
    assert code.count("\n") + 1 == count
    code = code.replace("import pymc3 as pm", "import bayou.pymc3 as pm")
    code = re.sub(r"approx =\s*$", "approx = pm.fit()", code, flags=re.MULTILINE)
    names = {"np": np, "pm": pm, "theano": theano, "Minibatch": Minibatch}
    exec(compile(code, page, "exec"), names)
    assert names["approx"].sample(5).posterior.sizes["draw"] == 5
    if "traces" in names:
        assert len(names["traces"]) == 10
