"""Records of provenance: JSON and back, also where a source cannot be read."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.provenance.record import Provenance

TEXTS = st.dictionaries(st.text(), st.text())


@given(TEXTS, TEXTS, TEXTS, st.dictionaries(st.text(), TEXTS))
def test_json_and_back(
    versions: dict[str, str],
    dims: dict[str, str],
    variables: dict[str, str],
    containers: dict[str, dict[str, str]],
) -> None:
    record = Provenance(versions, dims, variables, containers)
    assert Provenance.from_json(record.to_json()).to_dict() == record.to_dict()


def test_rows_are_read_when_it_is_saved() -> None:
    reads = []

    def unread() -> Mapping[str, str]:
        reads.append(1)
        return {"y": "1234"}

    record = Provenance({}, {}, {}, {"y": {"fingerprint": None}}, unread)
    assert reads == []
    assert json.loads(record.to_json())["containers"] == {"y": {"fingerprint": "1234"}}
    assert reads == [1]


def test_a_source_that_cannot_be_read_leaves_its_fingerprint_null() -> None:
    def unread() -> Mapping[str, str]:
        raise RuntimeError("rows.csv is gone\nmore")

    record = Provenance({}, {}, {}, {"y": {"fingerprint": None}}, unread)
    with pytest.warns(UserWarning, match=r"be read: rows\.csv is gone\nHint: keep the files"):
        text = record.to_json()
    assert json.loads(text)["containers"]["y"]["fingerprint"] is None


def test_records_of_many_data_sets_leave_out_the_rows() -> None:
    container = {"columns": ["a"], "source": "list", "rows": 3, "fingerprint": "1234"}
    many = Provenance({}, {}, {}, {"y": container}, lambda: {"y": "5678"}).of_many()
    assert many.to_dict()["containers"] == {"y": {"columns": ["a"]}}


@pytest.mark.parametrize("text", ["{}", "[]", "not JSON", '{"versions": 1}'])
def test_damaged_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"`result` must have a provenance that bayou wrote, got "):
        Provenance.from_json(text)
