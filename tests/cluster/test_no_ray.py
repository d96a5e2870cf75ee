"""Clusters that cannot be reached are told of at once, without Ray."""

from __future__ import annotations

import socket
import sys

import pytest

from bayou.cluster.ray import Ray, workers


def test_nothing_at_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        text = f"the address of a Ray cluster that runs, got '{address}': .*refused"
        with pytest.raises(ConnectionError, match=text):
            workers(Ray(address=address), abs).__enter__()
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(ConnectionError, match=text):
            workers(Ray(), abs).__enter__()


@pytest.mark.parametrize("address", ["somewhere", "127.0.0.1:port"])
def test_no_address(address: str) -> None:
    with pytest.raises(ConnectionError, match=f"that runs, got '{address}': "):
        workers(Ray(address=address), abs).__enter__()


def test_no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"Hint: pip install 'bayou\[ray\]'"):
        workers(Ray(), abs).__enter__()
