from __future__ import annotations

import socket
import sys
from types import ModuleType
from typing import Any

import pytest
import ray

from bayou.cluster.connection import connect, host_address
from bayou.cluster.ray import Ray


def test_an_address_without_a_cluster_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        text = f"the address of a running Ray cluster, got '{address}': .*refused"
        with pytest.raises(ConnectionError, match=text):
            connect(Ray(address=address)).__enter__()
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(ConnectionError, match=text):
            connect(Ray()).__enter__()


@pytest.mark.parametrize("address", ["somewhere", "127.0.0.1:port"])
def test_text_that_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConnectionError, match=f"running Ray cluster, got '{address}': "):
        connect(Ray(address=address)).__enter__()


def test_ray_must_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r'Hint: pip install "bayou\[ray\]"'):
        connect(Ray()).__enter__()


@pytest.mark.slow
def test_a_cluster_has_several_names(two_cores: None) -> None:
    address = ray.get_runtime_context().gcs_address
    port = address.rpartition(":")[2]
    for host in ("localhost", "127.0.0.1", host_address()):
        with connect(Ray(address=f"{host}:{port}")) as module:
            assert module is ray
    for other in ("localhost:1", f"no.such.host.invalid:{port}", f"192.0.2.1:{port}"):
        with pytest.raises(ValueError, match=f"is connected to, '{address}', got '{other}'"):
            connect(Ray(address=other)).__enter__()
    assert ray.is_initialized()


def test_a_connection_ends_with_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    fake: Any = ModuleType("ray")
    fake.is_initialized = lambda: False
    fake.init = lambda address, **options: calls.append(address)
    fake.shutdown = lambda: calls.append("shutdown")
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with connect(Ray(address="local")) as module:
        assert module is fake
        assert calls == ["local"]
    assert calls == ["local", "shutdown"]
