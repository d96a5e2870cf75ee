"""The public choice of a Ray cluster: `by.Ray`, and the values of an argument `cluster`."""

from __future__ import annotations

from dataclasses import dataclass

from bayou.arguments import whole_number


@dataclass(frozen=True)
class Ray:
    """Settings of a Ray cluster: its address, and how many workers to use.

    Pass it as ``cluster=`` to :func:`bayou.fit`, :func:`bayou.fit_many`, :func:`bayou.sample_many`,
    :func:`bayou.calibrate` or :func:`bayou.predict`. The results are the same as without a cluster,
    for any number of workers; :func:`bayou.fit` and :func:`bayou.fit_many` may round differently.
    Needs ``pip install "bayou[ray]"``.

    Parameters
    ----------
    num_workers : int, optional
        The number of worker processes. By default, the number of cores of the cluster divided by
        `cpus_per_worker`.
    address : str, optional
        The address of a running cluster, as ``ray.init`` takes it, such as "10.0.0.1:6379" or
        "ray://10.0.0.1:10001". By default the first of these that exists: the cluster that this
        process is connected to; the one at the address in the environment variable ``RAY_ADDRESS``;
        one that runs on this machine. If there is none, a new one is started on this machine and
        shut down when the call returns.
    cpus_per_worker : int, default 1
        The number of cores to reserve for each worker, which computes with as many threads.

    Raises
    ------
    ValueError
        If a number is below 1.

    Examples
    --------
    >>> by.Ray(num_workers=2)
    Ray(num_workers=2, address=None, cpus_per_worker=1)
    """

    num_workers: int | None = None
    address: str | None = None
    cpus_per_worker: int = 1

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.num_workers is not None:
            whole_number("num_workers", self.num_workers, 1, "it counts worker processes.")
        whole_number("cpus_per_worker", self.cpus_per_worker, 1, "it counts the cores of a worker.")


def resolve_cluster(cluster: Ray | str | None) -> Ray | None:
    """Return the cluster that the argument `cluster` of a public function names, None without one.

    Parameters
    ----------
    cluster : Ray, str or None
        "ray" stands for ``Ray()``, any other str for the address of a cluster.

    Raises
    ------
    TypeError
        If it is of another type.

    Examples
    --------
    >>> resolve_cluster("10.0.0.1:6379")
    Ray(num_workers=None, address='10.0.0.1:6379', cpus_per_worker=1)
    """
    if cluster is None or isinstance(cluster, Ray):
        return cluster
    if isinstance(cluster, str):
        return Ray() if cluster == "ray" else Ray(address=cluster)
    raise TypeError(
        f'`cluster` must be None, "ray", the address of a cluster or a by.Ray, got {cluster!r}.\n'
        "Hint: pass cluster=by.Ray(num_workers=2)."
    )
