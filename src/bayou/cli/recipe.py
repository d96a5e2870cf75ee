"""How a model is made from files: a function of a Python file, its arguments, and its data.

Results of the command line have it in their provenance, so that the model can be made again.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayou.cli.database_url import is_database, open_query, without_password
from bayou.cli.model_file import build_model
from bayou.provenance.record import recording_recipe
from bayou.sources import scan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from bayou.containers.context import ModelLike
    from bayou.sources import Source
    from bayou.sources.base.nulls import Nulls


@dataclass(frozen=True)
class RowFiles:
    """Rows in files, or of a query of a database.

    Attributes
    ----------
    data : str
        A file, folder, glob, URL of files, or URL of a database.
    format : str, optional
        The format of the files, if their names do not have it.
    columns : tuple of str
        The columns to read; all if there are none.
    query : str, optional
        The query of a database.
    drop_nulls : bool
        Whether rows with nulls are left out.
    """

    data: str
    format: str | None = None
    columns: tuple[str, ...] = ()
    query: str | None = None
    drop_nulls: bool = False

    @classmethod
    def of(
        cls,
        data: str,
        file_format: str | None,
        columns: Sequence[str] | None,
        query: str | None,
        drop_nulls: bool,
    ) -> RowFiles:
        """Return what options say: names of columns may have commas between them."""
        names = [name.strip() for text in columns or () for name in text.split(",")]
        return cls(data, file_format, tuple(names), query, drop_nulls)

    def open(self) -> Source:
        """Return a source of the rows.

        Raises
        ------
        ImportError, OSError, TypeError, ValueError
            As :func:`bayou.scan` and :func:`bayou.sql` do, or if an option does not go with the
            kind of data.
        """
        nulls: Nulls = "drop" if self.drop_nulls else "refuse"
        if is_database(self.data):
            if self.columns or self.format is not None:
                raise ValueError(
                    "`--columns` and `--format` must be left out with a database, got one of them."
                    "\nHint: the query chooses the columns."
                )
            return open_query(self.data, self.query, nulls)
        if self.query is not None:
            raise ValueError(
                f"`--query` must come with the URL of a database, got the files {self.data!r}.\n"
                "Hint: sqlite:///FILE, duckdb:///FILE or postgresql://USER@HOST/DATABASE."
            )
        return scan(self.data, format=self.format, columns=self.columns or None, nulls=nulls)


@dataclass(frozen=True)
class Recipe:
    """How a model is made from files.

    Attributes
    ----------
    model : str
        The path of the Python file.
    rows : RowFiles
        The data.
    function : str
        The function of the file.
    options : dict of str to str
        Its arguments beside the data, as texts.
    """

    model: str
    rows: RowFiles
    function: str = "model"
    options: Mapping[str, str] = field(default_factory=dict)

    def build(self) -> ModelLike:
        """Return the model with its data.

        Raises
        ------
        ImportError, OSError, TypeError, ValueError
            If the file or the data cannot be used. The code of the file raises what it likes.
        """
        return build_model(Path(self.model), self.function, self.options, self.rows.open)

    def recording(self) -> AbstractContextManager[None]:
        """Return a context whose results record this recipe, without passwords."""
        rows = asdict(self.rows) | {"data": _anywhere(self.rows.data)}
        model = str(Path(self.model).absolute())
        return recording_recipe(asdict(self) | {"model": model, "rows": rows})


def recorded_recipe(record: Mapping[str, Any] | None, path: str) -> Recipe | None:
    """Return the recipe in the provenance of a result; None if it has none.

    Raises
    ------
    ValueError
        If it is none that this version of bayou reads.
    """
    if record is None:
        return None
    try:
        known = {one.name for one in fields(RowFiles)}
        rows = {name: value for name, value in record["rows"].items() if name in known}
        rows["columns"] = tuple(rows["columns"])
        return Recipe(
            str(record["model"]), RowFiles(**rows), record["function"], dict(record["options"])
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"`RESULT` must say by which files it was made, got a damaged record in {path!r}.\n"
            "Hint: pass --model and --data."
        ) from error


def _anywhere(data: str) -> str:
    """Return what data are called in any working directory, without a password."""
    if not is_database(data):
        return data if "://" in data else os.path.abspath(data)  # noqa: PTH100 - may be a glob
    scheme, _, rest = data.partition(":///")
    if rest and not rest.startswith("/") and scheme != "postgresql":
        return f"{scheme}:///{Path(rest).absolute()}"
    return without_password(data)
