"""The provenance of a result: the data and the model it was computed from, saved as JSON."""

from __future__ import annotations

import json
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NotRequired, TypedDict

from bayou.errors import warn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# The attribute of a group of draws that holds the JSON text.
ATTRIBUTE = "bayou_provenance"

_recipe: ContextVar[Mapping[str, object] | None] = ContextVar("_recipe", default=None)


@contextmanager
def recording_recipe(recipe: Mapping[str, object]) -> Iterator[None]:
    """Have the results of a ``with`` block record the files that their model was made from.

    Parameters
    ----------
    recipe : mapping of str to JSON values
        How to make the model again. See :class:`bayou.cli.recipe.Recipe`.
    """
    token = _recipe.set(recipe)
    try:
        yield
    finally:
        _recipe.reset(token)


def present_recipe() -> Mapping[str, object] | None:
    """Return the recipe that results record now, None outside of :func:`recording_recipe`."""
    return _recipe.get()


def provenance_attrs(provenance: Provenance | None) -> dict[str, str]:
    """Return the attributes of a group of draws that hold a record; none for None."""
    return {} if provenance is None else {ATTRIBUTE: provenance.to_json()}


class RecordDict(TypedDict):
    """A record as JSON can hold it, see :class:`Provenance`."""

    versions: dict[str, str]
    dims: dict[str, str]
    variables: dict[str, str]
    containers: dict[str, dict[str, object]]
    recipe: NotRequired[dict[str, object]]


@dataclass(frozen=True, eq=False)
class Provenance:
    """Fingerprints of the data and of the model that a result was computed from.

    Attributes
    ----------
    versions : dict of str to str
        The versions of PyMC and PyTensor.
    dims : dict of str to str
        The fingerprint of the labels of each dim of a free variable.
    variables : dict of str to str
        The fingerprint of the definition of each variable.
    containers : dict of str to dict
        For each container ``columns``, ``categories`` (their fingerprint), ``source``, ``rows``,
        ``dtype``, ``shape`` (of one row), ``observed_by`` and ``fingerprint``. Entries that are
        absent are not compared, such as ``rows`` for results of many data sets.
    unread : callable
        () -> the fingerprints of the containers with rows outside of memory, by name. It reads
        their sources, and is therefore not called before the record is saved or compared.
    """

    versions: Mapping[str, str]
    dims: Mapping[str, str]
    variables: Mapping[str, str]
    containers: Mapping[str, Mapping[str, object]]
    unread: Callable[[], Mapping[str, str]] = field(default=dict)
    recipe: Mapping[str, object] | None = None

    def of_many(self) -> Provenance:
        """Return the provenance of results of many data sets, which has nothing of their rows."""
        of_rows = {"source", "rows", "fingerprint"}
        containers = {
            name: {entry: value for entry, value in container.items() if entry not in of_rows}
            for name, container in self.containers.items()
        }
        return replace(self, containers=containers, unread=dict)

    def to_dict(self) -> RecordDict:
        """Return the record as JSON can hold it. Reads the sources that are not in memory.

        Raises
        ------
        OSError, ValueError
            If a source cannot be read.
        """
        return self._with_fingerprints(self.unread())

    def to_json(self) -> str:
        """Return the record as JSON text, to be saved beside a result.

        Warns
        -----
        UserWarning
            If a source cannot be read. Its fingerprint is then null: a record that lacks one is
            better than a result that is lost.
        """
        try:
            record = self.to_dict()
        # A source may be a database, which has errors of its own.
        except Exception as error:
            warn(
                "The provenance of the result has no fingerprint of rows that cannot be read: "
                f"{str(error).partition(chr(10))[0]}\n"
                "Hint: keep the files of a source until the result is saved."
            )
            record = self._with_fingerprints({})
        return json.dumps(record)

    def __reduce__(self) -> tuple[Callable[[str], Provenance], tuple[str]]:
        """Pickle the record as it is saved: what is unread is read now."""
        return Provenance.from_json, (self.to_json(),)

    def _with_fingerprints(self, fingerprints: Mapping[str, str]) -> RecordDict:
        containers = {name: dict(container) for name, container in self.containers.items()}
        for name, fingerprint in fingerprints.items():
            containers[name]["fingerprint"] = fingerprint
        record: RecordDict = {
            "versions": dict(self.versions),
            "dims": dict(self.dims),
            "variables": dict(self.variables),
            "containers": containers,
        }
        return record if self.recipe is None else {**record, "recipe": dict(self.recipe)}

    @classmethod
    def from_json(cls, text: str) -> Provenance:
        """Read the record that :meth:`to_json` wrote.

        Raises
        ------
        ValueError
            If the text is not such a record.
        """
        try:
            record = json.loads(text)
            return cls(
                record["versions"],
                record["dims"],
                record["variables"],
                record["containers"],
                recipe=record.get("recipe"),
            )
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(
                f"`result` must have a provenance that bayou wrote, got {str(text)[:60]!r}.\n"
                f"Hint: its attribute {ATTRIBUTE!r} is damaged, or another version of bayou wrote "
                "it."
            ) from error
