"""Values of --option: by annotation, by default, or as literals; and their errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from bayou.cli.option_values import option_values, split_options


def model(
    data: object,
    degree: int = 1,
    scale: float = 1.0,
    center: bool = False,
    prior: Literal["wide", "tight"] = "wide",
    path: Path | None = None,
    name: str | None = None,
    knots: list[float] = [],  # noqa: B006
    size=2,  # type: ignore[no-untyped-def]
    other=None,
) -> None:
    """Take parameters of many kinds."""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("degree=3", 3),
        ("scale=1e3", 1000.0),
        ("center=yes", True),
        ("center=False", False),
        ("prior=tight", "tight"),
        ("path=rows.csv", Path("rows.csv")),
        ("path=none", None),
        ("name=none", None),
        ("name=3", "3"),
        ("knots=[1, 2.5]", [1, 2.5]),
        ("size=4", 4),
        ("other=(1, 2)", (1, 2)),
        ("other=a b=c", "a b=c"),
    ],
)
def test_values_have_the_types_of_their_parameters(text: str, value: object) -> None:
    name = text.partition("=")[0]
    assert option_values(model, split_options([text]), "`model`") == {name: value}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("degree=many", "`--option degree` must be int, got 'many'"),
        ("center=2", "`--option center` must be bool, got '2'"),
        ("prior=flat", "`--option prior` must be one of wide, tight, got 'flat'"),
        ("knots=3", "`--option knots` must be list, got '3'"),
        ("size=big", "`--option size` must be int, got 'big'"),
        ("degre=3", "must name an argument of `model`, got 'degre'.\nHint: did you mean 'degree'?"),
    ],
)
def test_other_values_and_names_are_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its text is compared below
        option_values(model, split_options([text]), "`model`")
    assert told in str(caught.value)


def test_functions_may_take_any_name() -> None:
    def anything(data: object, **options: Any) -> None: ...

    assert option_values(anything, {"a": "1"}, "`anything`") == {"a": 1}


def test_texts_that_are_no_options_are_refused() -> None:
    with pytest.raises(ValueError, match="`--option` must be NAME=VALUE, got 'degree'"):
        split_options(["degree"])
    with pytest.raises(ValueError, match="must name 'a_b' once, got '1' and '2'"):
        split_options(["a-b=1", "a_b=2"])
