"""What feeds what in a model, drawn as text: lines for a terminal, Mermaid for a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bayou.provenance.description import ContainerSummary, VariableSummary

# Around the text of a box: containers are drums, as data are drawn.
_SHAPES = {
    "free": ("([", "])"),
    "deterministic": ("[", "]"),
    "observed": ("([", "]):::observed"),
    "potential": ("{{", "}}"),
}


@dataclass(frozen=True, repr=False)
class Diagram:
    """The containers and the variables of a model, each with what it is computed from.

    Attributes
    ----------
    containers : tuple of ContainerSummary
        What brings values into the model.
    variables : tuple of VariableSummary
        What is made of them.
    """

    containers: tuple[ContainerSummary, ...]
    variables: tuple[VariableSummary, ...]

    @property
    def mermaid(self) -> str:
        """The diagram in the language of Mermaid, which GitHub and JupyterLab draw."""
        return "\n".join(["flowchart TD", *self._boxes(), *self._arrows()])

    def __str__(self) -> str:
        rows = [(found.name, found.role, "") for found in self.containers]
        for variable in self.variables:
            parts = [f"<- {', '.join(variable.parents)}"] if variable.parents else []
            observes = [
                found.name
                for found in self.containers
                if variable.name in found.observed_by and found.name != variable.name
            ]
            parts += [f"observes {', '.join(observes)}"] if observes else []
            rows.append((variable.name, variable.kind, "  ".join(parts)))
        widths = [max((len(row[place]) for row in rows), default=0) for place in (0, 1)]
        return "\n".join(
            f"{name:{widths[0]}}  {kind:{widths[1]}}  {text}".rstrip() for name, kind, text in rows
        )

    __repr__ = __str__

    def _repr_mimebundle_(self, **unused: Any) -> dict[str, str]:
        """Return what a notebook shows: the drawing where it can draw one, else the text."""
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
        places = {found.name: f"data{number}" for number, found in enumerate(self.containers)}
        own = {found.name: f"variable{number}" for number, found in enumerate(self.variables)}
        for variable in self.variables:
            for parent in variable.parents:
                yield f"    {(places | own)[parent]} --> {own[variable.name]}"
        for container in self.containers:
            for observer in container.observed_by:
                yield f"    {places[container.name]} -. observed .-> {own[observer]}"


def _quoted(*lines: str) -> str:
    """Write text so that Mermaid reads none of it as its own."""
    escaped = ["".join(map(_escaped, line)) for line in lines if line]
    return f'"{"<br>".join(escaped)}"'


def _escaped(character: str) -> str:
    plain = character.isalnum() or character in " _-,."
    return character if plain else f"#{ord(character)};"
