"""The diagram of a model as text and as Mermaid source."""

from __future__ import annotations

from typing import Any

import pytest

from bayou.provenance.diagram import Diagram
from bayou.provenance.summaries import ContainerSummary, VariableSummary


def container(name: str, **changes: Any) -> ContainerSummary:
    fields: dict[str, Any] = dict.fromkeys(ContainerSummary.__dataclass_fields__)
    defaults = {"name": name, "role": "input", "observed_by": (), "feeds": ()}
    return ContainerSummary(**fields | defaults | changes)


@pytest.fixture
def diagram() -> Diagram:
    return Diagram(
        (
            container("x", columns=("one", "<two>")),
            container("y", role="observed", observed_by=("obs",)),
        ),
        (
            VariableSummary("b", "free", ("feature",), ()),
            VariableSummary("mean", "deterministic", ("row",), ("x", "b")),
            VariableSummary("obs", "observed", ("row",), ("mean",)),
            VariableSummary("penalty", "potential", (), ("b",)),
        ),
    )


def test_text(diagram: Diagram) -> None:
    assert str(diagram).splitlines() == [
        "x        input",
        "y        observed",
        "b        free",
        "mean     deterministic  <- x, b",
        "obs      observed       <- mean  observes y",
        "penalty  potential      <- b",
    ]
    assert repr(diagram) == str(diagram)


def test_mermaid(diagram: Diagram) -> None:
    lines = [line.strip() for line in diagram.mermaid.splitlines()]
    assert lines[0] == "flowchart TD"
    assert 'data0[("x<br>one, #60;two#62;")]' in lines
    assert 'variable3{{"penalty"}}' in lines
    assert "data0 --> variable1" in lines
    assert "data1 -. observed .-> variable2" in lines
    bundle = diagram._repr_mimebundle_(include=None, exclude=None)
    assert bundle == {"text/plain": str(diagram), "text/vnd.mermaid": diagram.mermaid}


def test_an_array_observed_as_it_is_does_not_observe_itself() -> None:
    diagram = Diagram(
        (container("y", role="observed", observed_by=("y",)),),
        (VariableSummary("y", "observed", (), ()),),
    )
    assert "observes" not in str(diagram)


def test_an_empty_model() -> None:
    assert str(Diagram((), ())) == ""
