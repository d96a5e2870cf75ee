"""Where a result comes from: the data and the model that it is of, kept beside it as text."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# The name of the attribute of a group of draws that holds it.
ATTRIBUTE = "bayou_provenance"


@dataclass(frozen=True, eq=False)
class Provenance:
    """The data and the model that a result is of.

    Attributes
    ----------
    versions : dict of str to str
        Of what the model was made with.
    dims : dict of str to str
        Of the dims of free variables, the fingerprint of their labels.
    variables : dict of str to str
        The fingerprint of each variable.
    containers : dict of str to dict
        Of each container its ``columns``, ``categories`` (their fingerprint), ``source``, ``rows``,
        ``dtype``, ``shape`` (of a row), ``observed_by`` and ``fingerprint``; what is left out, as
        ``rows`` where there are many data sets, is not compared.
    unread : callable
        Returns the fingerprints of the containers of which a part is in memory, by reading their
        sources when they are asked for.
    """

    versions: Mapping[str, str]
    dims: Mapping[str, str]
    variables: Mapping[str, str]
    containers: Mapping[str, Mapping[str, Any]]
    unread: Callable[[], Mapping[str, str]] = field(default=dict)

    def of_many(self) -> Provenance:
        """Return that of results of many data sets, which does not say what their rows are."""
        left_out = {"source", "rows", "fingerprint"}
        containers = {
            name: {what: said for what, said in container.items() if what not in left_out}
            for name, container in self.containers.items()
        }
        return replace(self, containers=containers, unread=dict)

    def read(self) -> dict[str, Any]:
        """Return all of it, as JSON can hold it, with the fingerprints that take reading."""
        return self._with(self.unread())

    def to_json(self) -> str:
        """Return all of it as text, for a result: one that cannot be read again is kept too.

        Warns
        -----
        UserWarning
            If a source cannot be read: its fingerprint is left out.
        """
        try:
            found = self.read()
        except (OSError, ValueError) as error:
            warnings.warn(
                f"The result does not say which values it is of: {str(error).partition(chr(10))[0]}"
                "\nHint: keep a source where it is until draws were taken of a fit.",
                UserWarning,
                stacklevel=4,
            )
            found = self._with({})
        return json.dumps(found)

    def _with(self, fingerprints: Mapping[str, str]) -> dict[str, Any]:
        containers = {name: dict(container) for name, container in self.containers.items()}
        for name, fingerprint in fingerprints.items():
            containers[name]["fingerprint"] = fingerprint
        return {
            "versions": dict(self.versions),
            "dims": dict(self.dims),
            "variables": dict(self.variables),
            "containers": containers,
        }

    @classmethod
    def from_json(cls, text: str) -> Provenance:
        """Return what :meth:`to_json` wrote.

        Raises
        ------
        ValueError
            If it did not.
        """
        try:
            found = json.loads(text)
            return cls(found["versions"], found["dims"], found["variables"], found["containers"])
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(
                f"`result` must say what it is of as bayou wrote it, got {str(text)[:60]!r}.\n"
                f"Hint: the attribute {ATTRIBUTE!r} is damaged, or of another version of bayou."
            ) from error


@dataclass(frozen=True, repr=False)
class Verification:
    """Whether a result is of a model and its data; true if it is.

    Attributes
    ----------
    differences : tuple of str
        What is not as the result says, in words; nothing if all is.
    has_rows : bool
        Whether rows were compared: of many data sets, they are not.
    """

    differences: tuple[str, ...]
    has_rows: bool = True

    @property
    def matches(self) -> bool:
        """Whether the result is of the model and its data."""
        return not self.differences

    def __bool__(self) -> bool:
        return self.matches

    def __str__(self) -> str:
        return "\n- ".join([self._verdict, *self.differences])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(difference)}</li>" for difference in self.differences)
        return f"<p>{self._verdict}</p><ul>{items}</ul>"

    @property
    def _verdict(self) -> str:
        what = "this model and its data" if self.has_rows else "this model"
        rows = "" if self.has_rows else "; rows of data sets are not compared"
        if self.matches:
            return f"The result is of {what}{rows}."
        return f"The result is not of {what}{rows}:"


def compare(result: Provenance, model: Provenance) -> Verification:
    """Say how a model and its data differ from those that a result is of.

    Parameters
    ----------
    result, model : Provenance
        What is compared; where the result came from in words is not.

    Returns
    -------
    Verification
    """
    theirs, ours = result.read(), model.read()
    return Verification(
        (
            *_compared("container", theirs["containers"], ours["containers"], _of_container),
            *_compared("dim", theirs["dims"], ours["dims"], _of_dim),
            *_compared("variable", theirs["variables"], ours["variables"], _of_variable),
            *_of_versions(theirs, ours),
        ),
        has_rows=all("rows" in container for container in theirs["containers"].values()),
    )


def _compared(
    noun: str,
    theirs: Mapping[str, Any],
    ours: Mapping[str, Any],
    say: Callable[[Any, Any], str],
) -> Iterator[str]:
    for name in theirs:
        if name not in ours:
            yield f"{noun} {name!r} is in the result, not in the model"
        elif theirs[name] != ours[name] and (difference := say(theirs[name], ours[name])):
            yield f"{noun} {name!r} {difference}"
    yield from (
        f"{noun} {name!r} is in the model, not in the result" for name in ours if name not in theirs
    )


_WORDS = {
    "columns": "the columns {}",
    "dtype": "the dtype {}",
    "rows": "{} rows",
    "shape": "the shape {} of a row",
    "observed_by": "the observers {}",
}


def _of_container(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """Say the first thing that differs, since the rest follows from it."""
    for what, words in _WORDS.items():
        if what in theirs and theirs[what] != ours[what]:
            now, then = (words.format(_shown(found[what])) for found in (ours, theirs))
            return f"has {now}; the result is of {then}"
    if theirs["categories"] != ours["categories"]:
        return "has other categories"
    if "fingerprint" not in theirs:
        return ""
    if theirs["fingerprint"] is None:
        return "has values that the result does not tell, since its source could not be read"
    return "has other values" if theirs["fingerprint"] != ours["fingerprint"] else ""


def _of_dim(theirs: str, ours: str) -> str:
    return "has other labels"


def _of_variable(theirs: str, ours: str) -> str:
    return "is defined otherwise"


def _of_versions(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[str]:
    """Give what may be the reason why definitions differ."""
    if theirs["variables"] == ours["variables"]:
        return
    for package, version in ours["versions"].items():
        before = theirs["versions"].get(package)
        if before != version:
            yield (
                f"{package} is {version}, the result was made with {before}, which may write the "
                "same definition otherwise"
            )


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"({', '.join(map(str, value))})"
    return "(unknown)" if value is None else str(value)
