"""The options of :func:`bayou.fit`, checked before anything is compiled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayou.arguments import check_flag, check_progressbar, whole_number
from bayou.fitting.guides import Guide
from bayou.fitting.guides.full_rank import FullRank
from bayou.fitting.guides.low_rank import LowRank
from bayou.fitting.guides.mean_field import MeanField
from bayou.fitting.guides.named_guides import GUIDES, METHODS
from bayou.sampling.order import ORDERS
from bayou.sampling.stratified import Stratified
from bayou.sampling.weighted import Weighted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import optax
    from numpy.typing import NDArray

    from bayou.cluster.ray import Ray
    from bayou.density.program import Program
    from bayou.feeding.source_batches import AnyOrder

# The methods of a guide, in the order of its contract.
GUIDE_METHODS = tuple(name for name in vars(Guide) if not name.startswith("_"))


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """The options of a fit, whatever the model; :func:`bayou.fit` describes each.

    Raises
    ------
    TypeError
        If the optimizer is not an optax transformation, or the callback not callable.
    ValueError
        If anything else is out of range.
    """

    n: int | str
    method: str | Guide
    batch_size: int | None
    batch_dim: str | None
    validate: bool
    random_seed: int | None
    num_particles: int
    optimizer: optax.GradientTransformation | None
    order: AnyOrder
    correction: str | None
    tolerance: float
    progressbar: bool
    callback: Callable[[int, NDArray[np.float64]], None] | None
    checkpoint: str | Path | None
    checkpoint_seconds: float
    resume: bool
    cluster: Ray | None

    def __post_init__(self) -> None:
        """Check each option, and those that must come together."""
        check_num_steps(self.n)
        whole_number("num_particles", self.num_particles, 1, "it counts draws per gradient step.")
        check_method(self.method)
        check_flag("validate", self.validate, "False skips the check that rows can be cut apart.")
        check_flag("resume", self.resume, "True continues from the checkpoint.")
        check_progressbar(self.progressbar)
        if not isinstance(self.order, Weighted | Stratified):
            hint = "or pass a by.Weighted or by.Stratified."
            _check_choice("order", self.order, tuple(ORDERS), hint)
        corrections = ("auto", "linear_response", None)
        _check_choice("correction", self.correction, corrections, "None leaves it out.")
        if not _is_number(self.tolerance) or not 0 < self.tolerance < np.inf:
            raise ValueError(
                f"`tolerance` must be positive, got {self.tolerance!r}.\n"
                "Hint: 0.1 stands for a tenth of a standard deviation."
            )
        optimizer = self.optimizer
        if optimizer is not None and not (
            hasattr(optimizer, "init") and hasattr(optimizer, "update")
        ):
            raise TypeError(
                f"`optimizer` must be an optax transformation, got {optimizer!r}.\n"
                "Hint: call the function that makes one, such as optax.adam(0.01)."
            )
        if self.callback is not None and not callable(self.callback):
            raise TypeError(
                f"`callback` must be callable, got {self.callback!r}.\n"
                "Hint: pass a function of the number of steps and their losses."
            )
        self._check_checkpoint()
        self._check_batches()

    def _check_checkpoint(self) -> None:
        if self.resume and self.checkpoint is None:
            raise ValueError(
                "`resume` must come with `checkpoint`, got resume=True alone.\n"
                "Hint: pass the path of the checkpoint to continue from."
            )
        if not _is_number(self.checkpoint_seconds) or not 0 <= self.checkpoint_seconds < np.inf:
            raise ValueError(
                f"`checkpoint_seconds` must be at least 0, got {self.checkpoint_seconds!r}.\n"
                "Hint: 60 writes at most once a minute."
            )

    def _check_batches(self) -> None:
        if self.batch_size is not None and self.method == "dadvi":
            raise ValueError(
                '`batch_size` must be left out with method="dadvi", which takes all rows at each '
                f'step, got {self.batch_size!r}.\nHint: pass method="advi" for a fit in batches.'
            )
        if self.batch_size is None and self.batch_dim is not None:
            raise ValueError(
                f"`batch_dim` must come with a `batch_size`, got {self.batch_dim!r} alone.\n"
                "Hint: pass by.fit(batch_size=512), or leave it out."
            )

    @property
    def num_steps(self) -> int | None:
        """The number of steps, None to stop when the approximation is stable."""
        return None if self.n == "auto" else int(self.n)

    @property
    def guide(self) -> Guide:
        """The family of distributions."""
        if isinstance(self.method, str):
            return GUIDES.get(self.method, MeanField())
        return self.method

    @property
    def rotated(self) -> bool:
        """Whether stochastic steps are in the coordinates of a pilot's covariance, if it has one.

        Independent normals that are asked for by name stay independent in the model's own.
        """
        return self.method == "auto" or isinstance(self.guide, FullRank | LowRank)

    def use_fixed_draws(self, program: Program) -> bool:
        """Return whether a model is fitted on all rows at once, by fixed draws."""
        has_all_rows = program.feeds_all_rows or not program.fed
        by_default = self.method == "auto" and self.n == "auto" and has_all_rows
        return self.method == "dadvi" or by_default

    @property
    def may_compress(self) -> bool:
        """Whether distinct rows may take the place of all, which are fitted at once."""
        return self.batch_size is None and self.checkpoint is None and self.cluster is None

    @property
    def may_use_passes(self) -> bool:
        """Whether passes over all rows may fit the model, where nothing is set about the steps."""
        return (
            self.method == "auto"
            and self.num_steps is None
            and self.num_particles == 1
            and self.optimizer is None
            and self.checkpoint is None
            and self.order == "epoch"
        )


def check_num_steps(n: object) -> None:
    """Check the argument `n` of a fit.

    Raises
    ------
    ValueError
        If it is neither "auto" nor a whole number of at least 1.
    """
    if not (isinstance(n, str) and n == "auto"):
        hint = 'it counts steps; or pass "auto". A model goes into `model=`.'
        whole_number("n", n, 1, hint)


def check_method(method: object) -> None:
    """Check the argument `method` of a fit.

    Raises
    ------
    ValueError
        If it is neither the name of a method nor a guide.
    """
    missing = [name for name in GUIDE_METHODS if not callable(getattr(method, name, None))]
    if (isinstance(method, str) and method in METHODS) or not missing:
        return
    is_partial = len(missing) < len(GUIDE_METHODS) and not isinstance(method, str)
    without = f" without {', '.join(missing)}" if is_partial else ""
    raise ValueError(
        f"`method` must be one of {METHODS} or a guide, got {method!r}{without}.\n"
        'Hint: "auto" suits most models; help(by.Guide) says how to write a guide.'
    )


def _check_choice(name: str, value: object, choices: tuple[object, ...], hint: str) -> None:
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {choices}, got {value!r}.\nHint: {hint}")


def _is_number(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)
