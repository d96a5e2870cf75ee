"""The comparison of the provenance of a result with that of a model, one difference a line."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bayou.provenance.record import Provenance, RecordDict


@dataclass(frozen=True, repr=False)
class Verification:
    """Whether a result was computed from a model and its data. True if it was.

    Prints as a sentence, followed by one line for each difference.

    Attributes
    ----------
    differences : tuple of str
        One sentence for each container, dim or variable that differs. Empty if all match.
    has_rows : bool
        Whether the rows were compared. False for results of many data sets, which are compared
        with the definition of the model alone.
    """

    differences: tuple[str, ...]
    has_rows: bool = True

    @property
    def matches(self) -> bool:
        """Whether the result matches the model and its data."""
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
        compared = "this model and its data" if self.has_rows else "this model"
        rows = "" if self.has_rows else " (rows of many data sets are not compared)"
        if self.matches:
            return f"The result matches {compared}{rows}."
        return f"The result does not match {compared}{rows}:"


def compare(result: Provenance, model: Provenance) -> Verification:
    """Compare the provenance of a result with that of a model.

    Parameters
    ----------
    result, model : Provenance
        The two records. Their ``source`` is not compared: the same rows are the same data whether
        they came from a frame or a file.

    Returns
    -------
    Verification
        The differences: containers first, then dims, variables and versions.
    """
    recorded, current = result.to_dict(), model.to_dict()
    return Verification(
        (
            *_group_differences(
                "container", recorded["containers"], current["containers"], _container_difference
            ),
            *_group_differences(
                "dim", recorded["dims"], current["dims"], lambda *_: "has different labels"
            ),
            *_group_differences(
                "variable",
                recorded["variables"],
                current["variables"],
                lambda *_: "is defined differently",
            ),
            *_version_differences(recorded, current),
        ),
        has_rows=all("rows" in container for container in recorded["containers"].values()),
    )


def _group_differences[Entry](
    noun: str,
    recorded: Mapping[str, Entry],
    current: Mapping[str, Entry],
    explain: Callable[[Entry, Entry], str],
) -> Iterator[str]:
    """Yield a sentence for each name that is in one record alone, or differs between the two."""
    for name in recorded:
        if name not in current:
            yield f"{noun} {name!r} is in the result but not in the model"
        elif recorded[name] != current[name]:
            difference = explain(recorded[name], current[name])
            if difference:
                yield f"{noun} {name!r} {difference}"
    yield from (
        f"{noun} {name!r} is in the model but not in the result"
        for name in current
        if name not in recorded
    )


# How a difference in one entry of a container's record is worded, in the order of the checks.
_ENTRY_WORDS = {
    "columns": "columns {}",
    "dtype": "dtype {}",
    "rows": "{} rows",
    "shape": "shape {} of a row",
    "observed_by": "observed variables {}",
}


def _container_difference(recorded: Mapping[str, object], current: Mapping[str, object]) -> str:
    """Return the first difference between two records of a container; "" if none counts.

    Only the first one, since the others follow from it: other columns have other values too.
    """
    for entry, words in _ENTRY_WORDS.items():
        if entry in recorded and recorded[entry] != current[entry]:
            now, before = (words.format(_text(record[entry])) for record in (current, recorded))
            return f"has {now}; the result was computed with {before}"
    if recorded["categories"] != current["categories"]:
        return "has different categories"
    if "fingerprint" not in recorded:
        return ""
    if recorded["fingerprint"] is None:
        return (
            "cannot be compared: its source could not be read when the result was saved, so that "
            "its values were not recorded"
        )
    if recorded["fingerprint"] != current["fingerprint"]:
        return "has different values"
    return ""


def _version_differences(recorded: RecordDict, current: RecordDict) -> Iterator[str]:
    """Yield changes of versions, which may be why the fingerprints of variables differ."""
    if recorded["variables"] == current["variables"]:
        return
    for package, version in current["versions"].items():
        before = recorded["versions"].get(package)
        if before != version:
            yield (
                f"{package} is {version}; the result was computed with {before}, which may build "
                "a different graph for the same definition"
            )


def _text(value: object) -> str:
    if isinstance(value, list):
        return f"({', '.join(map(str, value))})"
    return "(none)" if value is None else str(value)
