"""Labels of the dims of many results: those that all data sets have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayou.text import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bayou.containers.variables.dims import Labels


class CommonLabels:
    """The labels of dims that all data sets so far have in common.

    Parameters
    ----------
    coords : mapping of str to tuple
        The labels of the model, which a data set has unless it has labels of its own.
    digests : mapping of str to str, optional
        Digests of the labels that earlier data sets have in common, empty where these differ. None
        if there are no earlier ones.

    Examples
    --------
    >>> common = CommonLabels({"row": ("a", "b"), "term": ("level", "slope")})
    >>> common.update([{}, {"row": ("b", "a")}])
    >>> common.coords
    {'term': ('level', 'slope')}
    """

    def __init__(
        self, coords: Mapping[str, Labels], digests: Mapping[str, str] | None = None
    ) -> None:
        self.digests = None if digests is None else dict(digests)
        self._model_labels = dict(coords)
        self._model_digests = {dim: _digest(labels) for dim, labels in coords.items()}
        self._labels: dict[str, Labels] = {}

    def update(self, data_sets: Iterable[Mapping[str, Labels]]) -> None:
        """Compare with the labels of some more data sets, of each those that the model lacks."""
        for labels in data_sets:
            digests = self._model_digests | {dim: _digest(new) for dim, new in labels.items()}
            before = digests if self.digests is None else self.digests
            # A dim that only some data sets have gets the empty digest too.
            self.digests = {
                dim: digest if digest == before.get(dim, "") else ""
                for dim, digest in {**dict.fromkeys(before, ""), **digests}.items()
            }
            self._labels |= self._model_labels | dict(labels)

    @property
    def coords(self) -> dict[str, Labels]:
        """The labels in common, of the dims that data sets passed to :meth:`update` have."""
        digests = self.digests or {}
        return {dim: labels for dim, labels in self._labels.items() if digests.get(dim)}


def _digest(labels: Labels) -> str:
    # Not `repr(label)`, since that of a str of NumPy differs from that of a str.
    return digest(*(repr(str(label)) if isinstance(label, str) else str(label) for label in labels))
