"""Predictions written to a Zarr store or a Parquet file, resumed where an earlier run stopped.

What is unfinished is in a folder beside the path, with a manifest of the rows that are done and of
all that decides the predictions: a run with something else is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bayou.arguments import path_of
from bayou.prediction.chunks import NOTHING_DONE, Done
from bayou.prediction.output.parquet_sink import ParquetSink
from bayou.prediction.output.zarr_sink import ZarrSink, open_predictions
from bayou.sources.open import scan
from bayou.storage.resumable_output import ResumableOutput

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from pathlib import Path

    import xarray as xr

    from bayou.prediction.chunks import ChunkSizes
    from bayou.prediction.output.sink import Sink
    from bayou.prediction.plan import PredictionPlan
    from bayou.sources.base.source import Source


@dataclass(frozen=True)
class DiskOutput:
    """The file or store that predictions are written to.

    Attributes
    ----------
    output : ResumableOutput
        The folder that it is in until it is complete.
    manifest : dict or None
        What the earlier run noted; None if there was none.
    """

    output: ResumableOutput
    manifest: Mapping[str, Any] | None

    @classmethod
    def at(cls, out: str | os.PathLike[str]) -> DiskOutput:
        """Return the output at a path.

        Raises
        ------
        ValueError
            If the path has another ending, is in no folder, or is taken.
        """
        output = ResumableOutput(_checked_path(out))
        return cls(output, output.read_manifest())

    @property
    def is_parquet(self) -> bool:
        """Whether it is a Parquet file of summaries, and no Zarr store."""
        return self.output.path.suffix == ".parquet"

    @property
    def random_seed(self) -> int | None:
        """The seed of the earlier run."""
        return None if self.manifest is None else int(self.manifest["identity"]["random_seed"])

    @property
    def chunk_rows(self) -> int | None:
        """The rows of a chunk in the earlier run."""
        return None if self.manifest is None else int(self.manifest["identity"]["chunk_rows"])

    def begin(self, plan: PredictionPlan, sizes: ChunkSizes) -> tuple[Sink[Any], Done]:
        """Return the sink of predictions, and the rows that it has from an earlier run.

        Raises
        ------
        ValueError
            If the earlier run had another model, other draws, seed, variables or chunks.
        """
        identity = self._identity(plan, sizes)
        done = NOTHING_DONE
        if self.manifest is None:
            self.note(plan, sizes, done)
        else:
            self._check_same(identity, self.manifest["identity"])
            done = Done(self.manifest["done"], self.manifest["digest"])
        if self.is_parquet:
            folder = self.output.folder / "parts"
            return ParquetSink(plan.template, self._part, folder), done
        return ZarrSink(plan.template, self._part, sizes.unit), done

    def note(self, plan: PredictionPlan, sizes: ChunkSizes, done: Done) -> None:
        """Note the rows that are done in the manifest."""
        self.output.write_manifest(
            {
                "identity": self._identity(plan, sizes),
                "done": done.num_rows,
                "digest": done.digest,
            }
        )

    def finish(self) -> xr.DataTree | Source:
        """Move what is complete to its path, and open it."""
        self.output.finish(self._part)
        path = self.output.path
        return scan(path) if self.is_parquet else open_predictions(path)

    @property
    def _part(self) -> Path:
        """The path that is written to until it is complete."""
        return self.output.folder / f"data{self.output.path.suffix}"

    def _identity(self, plan: PredictionPlan, sizes: ChunkSizes) -> dict[str, object]:
        return plan.identity | {"chunk_rows": sizes.chunk}

    def _check_same(self, identity: Mapping[str, object], noted: Mapping[str, object]) -> None:
        for name, value in identity.items():
            if noted.get(name) != value:
                raise ValueError(
                    f"`out` must be continued with the arguments it was begun with, got a change "
                    f"of {name}: {noted.get(name)!r} in {str(self.output.folder)!r}, {value!r} "
                    "now.\n"
                    "Hint: pass what it was begun with, remove that folder, or choose another path."
                )


def check_summarized(plan: PredictionPlan) -> None:
    """Check that all predictions have a value for each row, as a Parquet file needs.

    Raises
    ------
    ValueError
        If some are the same for all rows.
    """
    if plan.template.shared_variables:
        names = [variable.name for variable in plan.template.shared_variables]
        raise ValueError(
            f"`var_names` must differ from row to row for a Parquet file, got {names}.\n"
            "Hint: leave them out, or write to a path that ends in .zarr."
        )


def _checked_path(out: str | os.PathLike[str]) -> Path:
    path = path_of("out", out).expanduser()
    if path.suffix not in (".zarr", ".parquet"):
        raise ValueError(
            f'`out` must end in ".zarr" or ".parquet", got {str(out)!r}.\n'
            'Hint: "predictions.zarr" has all draws, "predictions.parquet" summaries of them.'
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"`out` must be in an existing folder, got {str(out)!r}.\n"
            "Hint: create the folder first."
        )
    return path
