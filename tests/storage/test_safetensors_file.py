"""Arrays and their description come back as they were written, and other files are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save_file

from bayou.storage.safetensors_file import read_arrays, write_arrays

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
ARRAYS = st.dictionaries(
    st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=5),
    st.sampled_from(["f8", "f4", "i8", "i4", "u1", "?"]).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0))
    ),
    max_size=3,
)


@settings(max_examples=30)
@given(arrays=ARRAYS, description=st.dictionaries(st.text(), JSON, max_size=3))
def test_arrays_and_description_come_back(
    arrays: dict[str, Any], description: dict[str, Any], tmp_path_factory: Any
) -> None:
    path = tmp_path_factory.mktemp("arrays") / "a.bayou"
    write_arrays(path, arrays, description)
    read, described = read_arrays(path)
    assert described == description
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array, strict=True)


def test_arrays_of_any_layout_keep_their_values(tmp_path: Path) -> None:
    array = np.arange(12.0).reshape(3, 4)
    write_arrays(tmp_path / "a", {"t": array.T, "slice": array[::2, 1:]}, {})
    read, _ = read_arrays(tmp_path / "a")
    np.testing.assert_array_equal(read["t"], array.T)
    np.testing.assert_array_equal(read["slice"], array[::2, 1:])


def test_an_array_without_axes_gets_one(tmp_path: Path) -> None:
    write_arrays(tmp_path / "a", {"x": np.array(2.5)}, {})
    np.testing.assert_array_equal(read_arrays(tmp_path / "a")[0]["x"], [2.5], strict=True)


def test_a_file_is_replaced(tmp_path: Path) -> None:
    write_arrays(tmp_path / "a", {"x": np.zeros(3)}, {"version": 1})
    write_arrays(str(tmp_path / "a"), {"y": np.ones(1)}, {"version": 2})
    arrays, description = read_arrays(str(tmp_path / "a"))
    assert (list(arrays), description) == (["y"], {"version": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_no_file_is_refused_by_the_argument_of_the_user(tmp_path: Path) -> None:
    message = (
        r"^`resume` must be a file that bayou wrote, got '.*none', which is not a file\.\nHint: che"
    )
    with pytest.raises(FileNotFoundError, match=message):
        read_arrays(tmp_path / "none", "resume")
    with pytest.raises(FileNotFoundError, match=r"^`path` must be a file"):
        read_arrays(tmp_path)


@pytest.mark.parametrize("case", ["text", "cut", "other program", "no json"])
def test_other_files_are_refused(case: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_arrays(path, {"x": np.arange(9.0)}, {"a": 1})
    match case:
        case "text":
            path.write_text("some text")
        case "cut":
            path.write_bytes(path.read_bytes()[:-5])
        case "other program":
            save_file({"x": np.zeros(2)}, path)
        case "no json":
            save_file({"x": np.zeros(2)}, path, metadata={"bayou": "{"})
    message = (
        r"^`path` must be a file that bayou wrote, got '.*a', which cannot be read \(.*\)\.\nH"
    )
    with pytest.raises(ValueError, match=message):
        read_arrays(path)


def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=r"^`path` must be a file, got .* is a folder\."):
        write_arrays(tmp_path, {}, {})
    number: Any = 3
    with pytest.raises(TypeError, match=r"^`path` must be a path, got 3\.\nHint: "):
        write_arrays(number, {}, {})
    with pytest.raises(TypeError, match=r"^`checkpoint` must be a path, got 3\.\nHint: "):
        read_arrays(number, "checkpoint")
    assert not [*tmp_path.iterdir()]
