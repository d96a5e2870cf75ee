from __future__ import annotations

import pytest

from bayou.cluster.ray import Ray, resolve_cluster


@pytest.mark.parametrize("wrong", [3, ["ray"], object])
def test_other_types_are_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match=r"`cluster` must be None, \"ray\""):
        resolve_cluster(wrong)


def test_ray_and_addresses_name_clusters() -> None:
    assert resolve_cluster(None) is None
    assert resolve_cluster("ray") == Ray()
    assert resolve_cluster("127.0.0.1:6379") == Ray(address="127.0.0.1:6379")
    assert resolve_cluster(Ray(3)) == Ray(3)


def test_numbers_are_at_least_one() -> None:
    with pytest.raises(ValueError, match="`num_workers` must be"):
        Ray(0)
    with pytest.raises(ValueError, match="`cpus_per_worker` must be"):
        Ray(cpus_per_worker=0)
