"""The labels of the dims of many results: those that all data sets agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bayou.text import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    type Labels = tuple[Any, ...]


class AgreedLabels:
    """The labels that all data sets so far give to dims.

    Parameters
    ----------
    coords : mapping of str to tuple
        The labels of the model, which those data sets have that give no others.
    digests : mapping of str to str, optional
        Of the labels that data sets before these agree on, empty where they do not; None where
        there are none before.

    Examples
    --------
    >>> agreed = AgreedLabels({"row": ("a", "b"), "term": ("level", "slope")})
    >>> agreed.take([{}, {"row": ("b", "a")}])
    >>> agreed.coords
    {'term': ('level', 'slope')}
    """

    def __init__(
        self, coords: Mapping[str, Labels], digests: Mapping[str, str] | None = None
    ) -> None:
        self.digests = None if digests is None else dict(digests)
        self._of_model = dict(coords)
        self._model_digests = {dim: _digest(labels) for dim, labels in coords.items()}
        self._labels: dict[str, Labels] = {}

    def take(self, data_sets: Iterable[Mapping[str, Labels]]) -> None:
        """Compare the labels of some more data sets, of each those that are not the model's."""
        for own in data_sets:
            digests = self._model_digests | {dim: _digest(found) for dim, found in own.items()}
            before = digests if self.digests is None else self.digests
            self.digests = {
                dim: digest if digest == before.get(dim, "") else ""
                for dim, digest in {**dict.fromkeys(before, ""), **digests}.items()
            }
            self._labels |= self._of_model | dict(own)

    @property
    def coords(self) -> dict[str, Labels]:
        """The labels that are agreed on, as far as data sets were taken here."""
        digests = self.digests or {}
        return {dim: labels for dim, labels in self._labels.items() if digests.get(dim)}


def _digest(labels: Labels) -> str:
    # Not `repr(label)`, since that of a str of NumPy differs from that of a str.
    return digest(*(repr(str(label)) if isinstance(label, str) else str(label) for label in labels))
