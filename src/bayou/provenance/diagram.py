"""The diagram of a model: which containers and variables feed which, as text and as Mermaid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bayou.provenance.summaries import ContainerSummary, VariableSummary

# What Mermaid writes around the text of a box, by the kind of the variable: rounded, square or
# hexagonal. Containers are cylinders.
_SHAPES = {
    "free": ("([", "])"),
    "deterministic": ("[", "]"),
    "observed": ("([", "]):::observed"),
    "potential": ("{{", "}}"),
}


@dataclass(frozen=True, repr=False)
class Diagram:
    """The graph of a model: each container and variable with those that it is computed from.

    Prints one line for each. ``name  kind  <- parents  observes containers``.

    Attributes
    ----------
    containers : tuple of ContainerSummary
        The data containers, which have no parents.
    variables : tuple of VariableSummary
        The random variables, deterministics and potentials.
    """

    containers: tuple[ContainerSummary, ...]
    variables: tuple[VariableSummary, ...]

    @property
    def mermaid(self) -> str:
        """The diagram as Mermaid source, which GitHub and JupyterLab draw."""
        return "\n".join(["flowchart TD", *self._boxes(), *self._arrows()])

    def __str__(self) -> str:
        rows = [(container.name, container.role, "") for container in self.containers]
        for variable in self.variables:
            parts = [f"<- {', '.join(variable.parents)}"] if variable.parents else []
            observes = [
                container.name
                for container in self.containers
                # A plain array that is observed has the name of its observed variable.
                if variable.name in container.observed_by and container.name != variable.name
            ]
            parts += [f"observes {', '.join(observes)}"] if observes else []
            rows.append((variable.name, variable.kind, "  ".join(parts)))
        widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
        return "\n".join(
            f"{name:{widths[0]}}  {kind:{widths[1]}}  {text}".rstrip() for name, kind, text in rows
        )

    __repr__ = __str__

    def _repr_mimebundle_(self, **unused: object) -> dict[str, str]:
        """Return the forms that a notebook chooses from: Mermaid, or plain text."""
        return {"text/plain": str(self), "text/vnd.mermaid": self.mermaid}

    def _boxes(self) -> Iterator[str]:
        for number, container in enumerate(self.containers):
            lines = [container.name, ", ".join(container.columns or ())]
            yield f"    data{number}[({_quoted(*lines)})]"
        for number, variable in enumerate(self.variables):
            before, after = _SHAPES[variable.kind]
            yield f"    variable{number}{before}{_quoted(variable.name)}{after}"
        yield "    classDef observed fill:#ddd,color:#000"

    def _arrows(self) -> Iterator[str]:
        data = {container.name: f"data{i}" for i, container in enumerate(self.containers)}
        boxes = {variable.name: f"variable{i}" for i, variable in enumerate(self.variables)}
        for variable in self.variables:
            for parent in variable.parents:
                yield f"    {(data | boxes)[parent]} --> {boxes[variable.name]}"
        for container in self.containers:
            for observer in container.observed_by:
                yield f"    {data[container.name]} -. observed .-> {boxes[observer]}"


def _quoted(*lines: str) -> str:
    """Quote lines of text for Mermaid, with characters of its syntax as entity codes."""
    escaped = ["".join(map(_escaped, line)) for line in lines if line]
    return f'"{"<br>".join(escaped)}"'


def _escaped(character: str) -> str:
    """Return a character as Mermaid shows it, as in "#60;" for "<"."""
    plain = character.isalnum() or character in " _-,."
    return character if plain else f"#{ord(character)};"
