"""The first contact with a store: what it returns, or in one sentence why it does not."""

from threading import Event
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

import bayou.sources as by
from bayou.errors import SourceError
from bayou.sources.files import paths
from bayou.sources.files.remote_store import reach


def fail(error: Exception) -> Any:
    raise error


def test_what_a_store_returns() -> None:
    assert reach("s3://x", lambda: 3) == 3


@pytest.mark.parametrize("kind", [FileNotFoundError, ImportError, TypeError, ValueError])
def test_errors_that_say_enough_are_kept(kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"^as it was$"):
        reach("s3://x", lambda: fail(kind("as it was")))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("could not\nresolve host. See the manual"), "could not resolve host"),
        (RuntimeError(), "RuntimeError"),
        (TimeoutError("timed out"), "timed out"),
        (PermissionError("x" * 400), f"{'x' * 300}"),
    ],
)
def test_all_others_are_of_a_store_that_is_not_reached(error: Exception, reason: str) -> None:
    message = rf"^`what` must be in a store that can be reached, got 's3://x': {reason}\.+\nHint"
    with pytest.raises(SourceError, match=message):
        reach("s3://x", lambda: fail(error))


def test_a_store_that_does_not_answer_is_given_up() -> None:
    answer = Event()
    with pytest.raises(SourceError, match=r"no answer within 0\.01 seconds\.\nHint: check"):
        reach("s3://x", answer.wait, seconds=0.01)
    answer.set()


class NoCredentials(MemoryFileSystem):
    """A store that refuses everyone."""

    cachable = False

    def info(self, path: str, **options: Any) -> Any:
        raise PermissionError("no credentials")


def test_files_of_a_store_without_credentials() -> None:
    with pytest.raises(SourceError, match=r"got 'bucket/x.parquet': no credentials\.\nHint: check"):
        by.scan("bucket/x.parquet", filesystem=NoCredentials())


def test_google_is_asked_for_seconds_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def open_url(url: str) -> Any:
        asked.append(url)
        raise OSError("no token")

    monkeypatch.setattr(paths, "_from_uri", open_url)
    for url in ("gs://bucket/x.parquet", "gs://bucket/x.parquet?anonymous=true"):
        with pytest.raises(SourceError, match=r"got 'gs://.*: no token\."):
            by.scan(url)
    assert asked == [
        "gs://bucket/x.parquet?retry_limit_seconds=10",
        "gs://bucket/x.parquet?anonymous=true&retry_limit_seconds=10",
    ]


def test_urls_of_what_is_mapped() -> None:
    with pytest.raises(ValueError, match=r"must be files of this machine for the format npy, got"):
        by.scan("https://example.com/x.npy")
