"""The parts of the documentation that are made from the code, and the check of what was built."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

import bayou as by

DOCS = Path(__file__).parents[1] / "docs"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def messages() -> list[Any]:
    return script("message_page").messages()


@pytest.fixture(scope="module")
def check_site() -> ModuleType:
    return script("check_site")


def test_every_message_with_a_hint_is_on_the_page(messages: list[Any]) -> None:
    package = Path(by.__file__).parent
    written = sum(
        len(re.findall(r"Hint: ", file.read_text(encoding="utf-8")))
        for file in package.rglob("*.py")
    )
    # Few hints are in docstrings, or put together in parts.
    assert 0.95 * written < len(messages) <= written


def test_every_folder_of_messages_has_a_section(messages: list[Any]) -> None:
    tasks = sys.modules["message_page"].TASKS
    assert {message.folder for message in messages} <= {f for task in tasks.values() for f in task}


def test_a_message_has_its_type_and_what_to_do(messages: list[Any]) -> None:
    stopped = next(message for message in messages if "result has … draws" in message.text)
    assert stopped.kind == "ConvergenceWarning"
    assert stopped.hint.startswith("look at the effective sample sizes")
    assert any(
        message.text.startswith("`validate=False`: it is not checked that") for message in messages
    )


def test_the_pages_that_messages_name_are_there(messages: list[Any]) -> None:
    files = Path(by.__file__).parent.rglob("*.py")
    texts = [file.read_text(encoding="utf-8") for file in files]
    named = {page for text in texts for page in re.findall(r"docs/[a-z_/]+\.md", text)}
    assert len(named) >= 6
    assert [page for page in named if not (DOCS.parent / page).is_file()] == []
    shown = sys.modules["message_page"].page()
    assert "[](../how_to/read_a_verdict.md) says more." in shown
    assert "[](../explanation/batching.md) says why." in shown


def test_the_reference_has_every_public_name() -> None:
    lines = (DOCS / "reference" / "index.md").read_text(encoding="utf-8").splitlines()
    assert set(by.__all__) <= {line.strip() for line in lines}


def test_links_that_lead_nowhere_are_found(check_site: ModuleType, tmp_path: Path) -> None:
    places = "".join(f'<a id="bayou.{name}"></a>' for name in by.__all__)
    front = '<a href="ref.html#there">1</a><a href="ref.html#not">2</a><a href="no.html">3</a>'
    (tmp_path / "index.html").write_text(
        f'<button class="search-button"></button><button class="theme-switch"></button>{front}'
    )
    (tmp_path / "ref.html").write_text(f'<p id="there"></p>{places}')
    assert check_site.faults(tmp_path) == [
        "index.html: no.html leads to no file",
        "index.html: ref.html#not leads to no place in ref.html",
    ]


def test_names_that_are_far_from_the_front_page_are_found(
    check_site: ModuleType, tmp_path: Path
) -> None:
    places = "".join(f'<a id="bayou.{name}"></a>' for name in by.__all__ if name != "fit")
    (tmp_path / "index.html").write_text('<a href="1.html">to the next</a>')
    (tmp_path / "1.html").write_text(f'<a href="2.html">to the next</a>{places}')
    (tmp_path / "2.html").write_text('<a href="3.html">to the next</a>')
    (tmp_path / "3.html").write_text('<a id="bayou.fit"></a>')
    assert check_site.faults(tmp_path) == [
        "bayou.fit is 3 clicks from the front page",
        "index.html has no search box",
        "index.html has no switch to the dark",
    ]


PAGES = sorted(
    page
    for folder in ("how_to", "migrate")
    for page in (DOCS / folder).glob("*.md")
    if page.stem != "index"
)


def blocks(page: Path) -> list[str]:
    """Return the code of a page, without what needs a cluster."""
    found = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)
    return [block for block in found if "cluster=" not in block]


@pytest.mark.slow
def test_the_code_of_the_readme_and_the_tour_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    # A tenth of the flights, more rows than are fitted without passes; docs/start runs on all.
    few = tmp_path / "flights.parquet"
    pd.read_parquet(by.get_data("nycflights13.parquet"))[::10].to_parquet(few)
    monkeypatch.setattr(by, "get_data", lambda _: few)
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks(DOCS.parent / "README.md") + blocks(DOCS / "tour.md"):
        exec(block, names)
    assert {"fit", "predictions", "trace", "tree"} <= names.keys()


@pytest.mark.slow
# The page on stopping stops a fit.
@pytest.mark.filterwarnings("ignore:The fit did not converge. a callback stopped it")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(
    page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks(page):
        exec(block, names)
