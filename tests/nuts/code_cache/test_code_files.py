"""Files of machine code: whole or none, named by all that they depend on."""

from pathlib import Path

import pytest

from bayou.nuts.code_cache import code_files
from bayou.nuts.code_cache.code_files import code_key, read_code, write_code


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("BAYOU_CODE_CACHE", str(tmp_path / "code"))
    return tmp_path / "code"


def test_code_is_read_as_it_was_written(folder: Path) -> None:
    assert read_code("key") is None
    write_code("key", b"code")
    assert read_code("key") == b"code"
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", [b"", b"x" * 30, b"0" * 64 + b"code"])
def test_damaged_code_counts_as_none(folder: Path, damage: bytes) -> None:
    write_code("key", b"code")
    (folder / "key").write_bytes(damage)
    assert read_code("key") is None


def test_the_cache_can_be_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAYOU_CODE_CACHE", "off")
    write_code("key", b"code")
    assert read_code("key") is None
    assert not folder.exists()


def test_a_folder_that_cannot_be_written_is_no_error(folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file")
    write_code("key", b"code")
    assert read_code("key") is None


def test_the_least_used_are_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_files, "MOST_FILES", 2)
    for number in range(3):
        write_code(f"key {number}", b"code")
    assert len(list(folder.iterdir())) == 2
    assert read_code("key 2") == b"code"


def test_keys_have_versions() -> None:
    assert code_key(["a"], ["numpy"]) == code_key(["a"], ["numpy"])
    assert len({code_key(["a"], ["numpy"]), code_key(["b"], ["numpy"]), code_key(["a"], [])}) == 3
