from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote

import pytest
import requests

from bayou import get_data
from bayou.datasets import download as download_module


@dataclass
class Examples:
    """A server of example data on the loopback: what it serves and what was asked of it."""

    files: dict[str, bytes] = field(default_factory=dict)
    cut_short: bool = False
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(download_module, "_cache_folder", lambda: tmp_path)
    return tmp_path


@pytest.fixture
def examples(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Examples]:
    state = Examples()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            filename = unquote(self.path.removeprefix("/data/"))
            state.asked.append(filename)
            if filename not in state.files:
                self.send_error(404)
                return
            content = state.files[filename]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:-1] if state.cut_short else content)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setattr(
            download_module, "_DATA_FOLDER", f"http://127.0.0.1:{server.server_port}/data/"
        )
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield state
        server.shutdown()
        thread.join()


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_download_is_kept_with_its_checksum_and_read_from_the_cache(
    examples: Examples, cache: Path
) -> None:
    examples.files["radon.csv"] = b"a,b\n1,2\n"
    assert get_data("radon.csv").read() == b"a,b\n1,2\n"
    assert files_below(cache) == {"files/radon.csv", "checksums/radon.csv"}
    examples.files.clear()
    assert get_data("radon.csv").read() == b"a,b\n1,2\n"
    assert examples.asked == ["radon.csv"]


@pytest.mark.parametrize("filename", ["folder/a 1.csv", "100%.csv", "%2e%2e/x", "a?b#c", "ü.csv"])
def test_name_reaches_the_server_as_it_is(filename: str, examples: Examples, cache: Path) -> None:
    examples.files[filename] = b"content"
    assert get_data(filename).read() == b"content"
    assert examples.asked == [filename]
    assert files_below(cache) == {f"files/{filename}", f"checksums/{filename}"}


def test_changed_cached_file_is_refused_until_it_is_deleted(
    examples: Examples, cache: Path
) -> None:
    examples.files["radon.csv"] = b"whole"
    get_data("radon.csv")
    cached = cache / "files" / "radon.csv"
    cached.write_bytes(b"who")
    with pytest.raises(
        OSError, match=r"must be as it was downloaded, with SHA-256 \w{64}, got"
    ) as (caught):
        get_data("radon.csv")
    assert f"The cached file {cached} " in str(caught.value)
    assert "\nHint: delete it, and it is downloaded again." in str(caught.value)
    assert examples.asked == ["radon.csv"]

    cached.unlink()
    assert get_data("radon.csv").read() == b"whole"


def test_cached_file_without_a_checksum_is_downloaded_again(
    examples: Examples, cache: Path
) -> None:
    examples.files["radon.csv"] = b"whole"
    (cache / "files").mkdir()
    (cache / "files" / "radon.csv").write_bytes(b"who")
    assert get_data("radon.csv").read() == b"whole"
    assert get_data("radon.csv").read() == b"whole"
    assert examples.asked == ["radon.csv"]


def test_unknown_file_is_one_error_that_lists_what_ships(examples: Examples, cache: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"PyMC examples' data, got 'x.csv'") as caught:
        get_data("x.csv")
    assert "the examples' server answered 404." in str(caught.value)
    assert (
        "\nHint: these ship with bayou: cty.dat, nycflights13.parquet, srrs2.dat, wells.dat."
        in str(caught.value)
    )
    assert isinstance(caught.value.__cause__, requests.HTTPError)
    assert examples.asked == ["x.csv"]
    assert files_below(cache) == set()


def test_offline_and_absent_is_the_same_error(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "_DATA_FOLDER", "http://127.0.0.1:9/data/")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(FileNotFoundError, match="server could not be reached") as caught:
        get_data("x.csv")
    assert "\nHint: these ship with bayou: cty.dat," in str(caught.value)
    assert isinstance(caught.value.__cause__, requests.ConnectionError)


def test_download_that_is_cut_short_leaves_nothing(examples: Examples, cache: Path) -> None:
    examples.files["radon.csv"] = b"whole"
    examples.cut_short = True
    with pytest.raises(FileNotFoundError, match="could not be reached"):
        get_data("radon.csv")
    assert files_below(cache) == set()


def test_failed_write_leaves_nothing(
    examples: Examples, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    examples.files["radon.csv"] = b"whole"
    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="No space left on device"):
        get_data("radon.csv")
    assert files_below(cache) == set()


def test_cache_is_in_the_users_cache_folder() -> None:
    assert download_module._cache_folder().name == "bayou"
