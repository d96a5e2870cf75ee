"""Files of NumPy: what is mapped, what is read, and what is no whole file."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

import bayou.sources as by


def field(source: by.Source, name: str = "value") -> np.ndarray:
    return next(source.read(0, [name]))[name]


def is_mapped(array: np.ndarray) -> bool:
    while array is not None and not isinstance(array, np.memmap):
        array = array.base
    return array is not None


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_file_is_mapped(tmp_path: Path, order: str) -> None:
    array = np.asarray(np.arange(6.0).reshape(3, 2), order=order)
    np.save(tmp_path / "x.npy", array)
    source = by.scan(tmp_path / "x.npy")
    assert is_mapped(field(source))
    np.testing.assert_array_equal(field(source), array)


def test_a_pickled_file_is_mapped_anew(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(100_000))
    pickled = pickle.dumps(by.scan(tmp_path / "x.npy"))
    assert len(pickled) < 1000
    assert is_mapped(field(pickle.loads(pickled)))


@pytest.mark.parametrize("order", ["C", "F"])
def test_members_that_are_stored_as_they_are_are_mapped(tmp_path: Path, order: str) -> None:
    array = np.asarray(np.arange(6, dtype="int16").reshape(3, 2), order=order)
    np.savez(tmp_path / "rows.npz", x=array, y=np.arange(3.0))
    source = by.scan(tmp_path / "rows.npz")
    assert [is_mapped(field(source, name)) for name in source.fields] == [True, True]
    np.testing.assert_array_equal(field(source, "x"), array)
    assert field(source, "y").tolist() == [0.0, 1.0, 2.0]


def test_headers_of_all_versions(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "rows.npz", "w") as archive:
        for major in (1, 2, 3):
            with archive.open(f"x{major}.npy", "w") as member:
                np.lib.format.write_array(member, np.arange(3.0) + major, version=(major, 0))
    source = by.scan(tmp_path / "rows.npz")
    read = next(source.read(0, ["x1", "x2", "x3"]))
    assert {name: values[0] for name, values in read.items()} == {"x1": 1.0, "x2": 2.0, "x3": 3.0}


def test_compressed_members_are_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "rows.npz", x=np.arange(3.0))
    source = by.scan(tmp_path / "rows.npz")
    assert not is_mapped(field(source, "x"))
    assert field(source, "x").tolist() == [0.0, 1.0, 2.0]


def test_columns_are_chosen_before_their_lengths_count(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=np.zeros(3), y=np.zeros(3), labels=np.zeros(2))
    with pytest.raises(ValueError, match=r"same number of rows, got 3 of `x` and 2 of `labels`\."):
        by.scan(tmp_path / "rows.npz")
    assert list(by.scan(tmp_path / "rows.npz", columns=["y", "x"]).fields) == ["y", "x"]
    with pytest.raises(ValueError, match=r"must be a field of the source, got 'z'\."):
        by.scan(tmp_path / "rows.npz", columns=["z"])


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
@pytest.mark.parametrize("cut", [0.0, 0.5, 0.9])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str, cut: float) -> None:
    path = tmp_path / name
    (np.save if name == "x.npy" else np.savez)(path, np.arange(1000.0))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * cut)])
    with pytest.raises(
        ValueError, match=rf"{name} must be a complete \.npy or \.npz file of numbers"
    ):
        by.scan(path)


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_objects_are_never_unpickled(tmp_path: Path, name: str) -> None:
    array = np.array([{"a": 1}], dtype=object)
    (np.save if name == "x.npy" else np.savez)(tmp_path / name, array)
    with pytest.raises(ValueError, match=r"(?s)must be a complete .* without Python objects\."):
        by.scan(tmp_path / name)


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_no_rows(tmp_path: Path, name: str) -> None:
    (np.save if name == "x.npy" else np.savez)(tmp_path / name, np.zeros((0, 3)))
    with pytest.raises(ValueError, match=r"at least one field and one row, got no rows\."):
        by.scan(tmp_path / name)


def test_one_structured_member_has_its_fields(tmp_path: Path) -> None:
    rows = np.array([(1, 2.5), (3, 4.5)], dtype=[("a", ">i4"), ("b", ">f8")])
    np.savez(tmp_path / "x.npz", rows=rows)
    source = by.scan(tmp_path / "x.npz")
    taken = source.take(np.array([1, 0]), ["a", "b"])
    np.testing.assert_array_equal(taken["a"], np.array([3, 1], np.int32), strict=True)
    np.testing.assert_array_equal(taken["b"], np.array([4.5, 2.5]), strict=True)
    np.savez(tmp_path / "x.npz", rows=rows, other=np.zeros(2))
    with pytest.raises((TypeError, ValueError), match="`rows` must be an array with one entry"):
        by.scan(tmp_path / "x.npz")
