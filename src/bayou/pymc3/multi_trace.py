"""PyMC3's trace: draws by the names of variables, those of all chains one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import xarray as xr

    from bayou.containers.variables.dims import Numbers


class MultiTrace:
    """Draws from a posterior as PyMC3 gave them.

    Parameters
    ----------
    tree : xarray.DataTree
        What :func:`bayou.sample` returns, which stays the attribute ``tree``.

    Examples
    --------
    >>> import bayou.pymc3 as pm3
    >>> with pm3.Model():
    ...     mu = pm3.Normal("mu", 3, sd=1)
    ...     trace = pm3.sample(500, tune=500, chains=2, random_seed=1, progressbar=False)
    >>> trace["mu"].shape
    (1000,)
    """

    def __init__(self, tree: xr.DataTree) -> None:
        self.tree = tree

    @property
    def varnames(self) -> list[str]:
        """The names of the variables."""
        return [str(name) for name in self.tree["posterior"].data_vars]

    @property
    def stat_names(self) -> set[str]:
        """The names of the statistics of draws."""
        return {str(name) for name in self.tree["sample_stats"].data_vars}

    @property
    def chains(self) -> list[int]:
        """The numbers of the chains."""
        return list(range(self.nchains))

    @property
    def nchains(self) -> int:
        """The number of chains."""
        return self.tree["posterior"].sizes["chain"]

    def __len__(self) -> int:
        """Return the number of draws of each chain."""
        return self.tree["posterior"].sizes["draw"]

    def get_values(
        self,
        varname: object,
        burn: int = 0,
        thin: int = 1,
        combine: bool = True,
        chains: int | Sequence[int] | None = None,
        squeeze: bool = True,
    ) -> Numbers | list[Numbers]:
        """Return the draws of a variable.

        Parameters
        ----------
        varname : str or variable
        burn, thin : int, default 0 and 1
            The draws to leave out at the begin, and the step between those that stay.
        combine : bool, default True
            Return one array, with the chains one after the other, not a list.
        chains : int or sequence of int, optional
            The chains; by default all.
        squeeze : bool, default True
            Return an array, not a list of one, for one chain.
        """
        return self._values("posterior", varname, burn, thin, combine, chains, squeeze)

    def get_sampler_stats(
        self,
        stat_name: str,
        burn: int = 0,
        thin: int = 1,
        combine: bool = True,
        chains: int | Sequence[int] | None = None,
        squeeze: bool = True,
    ) -> Numbers | list[Numbers]:
        """Return a statistic of draws; the arguments are those of :meth:`get_values`."""
        return self._values("sample_stats", stat_name, burn, thin, combine, chains, squeeze)

    def point(self, idx: int, chain: int = -1) -> dict[str, Numbers]:
        """Return a draw of a chain, by default of the last one, by the names of the variables."""
        dataset = self.tree["posterior"].to_dataset()
        return {str(name): dataset[name].values[chain, idx] for name in dataset.data_vars}

    def points(self) -> Iterator[dict[str, Numbers]]:
        """Yield all draws, those of the first chain first."""
        for chain in self.chains:
            for draw in range(len(self)):
                yield self.point(draw, chain)

    def __getitem__(self, key: Any) -> Any:
        """Return the draws of a variable, the draw of a number, or a trace of some draws."""
        if isinstance(key, int | np.integer):
            return self.point(int(key))
        if isinstance(key, slice):
            return MultiTrace(
                self.tree.map_over_datasets(
                    lambda group: group.isel(draw=key) if "draw" in group.dims else group
                )
            )
        name, *rest = key if isinstance(key, tuple) else (key,)
        burn = rest[0].start or 0 if rest else 0
        thin = rest[0].step or 1 if rest else 1
        if str(getattr(name, "name", name)) in self.varnames:
            return self.get_values(name, burn, thin)
        if name in self.stat_names:
            return self.get_sampler_stats(name, burn, thin)
        raise KeyError(
            f"The trace must have the variable, got {name!r}.\nHint: it has {self.varnames}."
        )

    def __getattr__(self, name: str) -> Any:
        """Return the draws of a variable."""
        if name != "tree" and (name in self.varnames or name in self.stat_names):
            return self[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        """Return the numbers of chains, draws and variables."""
        return (
            f"<MultiTrace: {self.nchains} chains, {len(self)} iterations, "
            f"{len(self.varnames)} variables>"
        )

    def _values(
        self,
        group: str,
        name: object,
        burn: int,
        thin: int,
        combine: bool,
        chains: int | Sequence[int] | None,
        squeeze: bool,
    ) -> Numbers | list[Numbers]:
        values = (
            self.tree[group].to_dataset()[str(getattr(name, "name", name))].values[:, burn::thin]
        )
        wanted = self.chains if chains is None else list(np.atleast_1d(chains))
        parts = [values[chain] for chain in wanted]
        if combine:
            return np.concatenate(parts)
        return parts[0] if squeeze and len(parts) == 1 else parts
