"""The progress of a stochastic fit: the state after the last chunk, and a record of all chunks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from bayou.fitting.stochastic.steps import Chunk, StepState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from bayou.fitting.guides import Params
    from bayou.fitting.guides.coordinates import Frame

    type Array = NDArray[np.float64]


@dataclass
class FitState:
    """The progress of a stochastic fit, which grows by a chunk at a time.

    Attributes
    ----------
    frame : Frame
        The coordinates that the parameters are of.
    state : StepState
        The parameters and the state of the optimizer.
    first : int
        The number of the first chunk in these coordinates.
    num_steps : int
        The number of steps done.
    losses, rates : list of ndarray, shapes (num_steps of the chunk,)
        For each chunk, the loss and the rate of each step.
    means : list of pytree of ndarray
        For each chunk, the mean of the parameters.
    counts : list of int
        For each chunk, the number of steps.
    elbo : list of ndarray, shapes (num_steps of the chunk,)
        For each chunk, the ELBO estimated in each step, in nats, whatever the coordinates.
    path : list of ndarray, shape (size,)
        For each chunk, the mean position.
    """

    frame: Frame
    state: StepState
    first: int = 0
    num_steps: int = 0
    losses: list[Array] = field(default_factory=list)
    rates: list[Array] = field(default_factory=list)
    means: list[Params] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    elbo: list[Array] = field(default_factory=list)
    path: list[Array] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Compute the constant that losses in these coordinates lack."""
        self._constant = self.frame.log_determinant

    def restart(self, frame: Frame, state: StepState) -> None:
        """Continue in other coordinates; the record stays."""
        self.frame, self.state, self.first = frame, state, len(self.means)
        self._constant = frame.log_determinant

    def add(self, chunk: Chunk, rates: Array, coordinates: Array) -> None:
        """Record a chunk, given its rates and the mean of its coordinates."""
        self.state = chunk.state
        self.num_steps += len(chunk.losses)
        self.losses.append(chunk.losses)
        self.rates.append(rates)
        self.means.append(jax.tree.map(np.asarray, chunk.mean))
        self.counts.append(len(chunk.losses))
        self.elbo.append(self._constant - chunk.losses)
        self.path.append(self.frame.positions(coordinates))

    def to_arrays(self) -> dict[str, Array]:
        """Return the state and the record as named arrays, for a checkpoint."""
        state = jax.tree.leaves(self.state)
        means = [jax.tree.leaves(mean) for mean in self.means]
        arrays = {f"state {number}": np.asarray(leaf) for number, leaf in enumerate(state)}
        arrays |= {
            f"mean {number}": np.stack(leaves)
            for number, leaves in enumerate(zip(*means, strict=True))
        }
        return arrays | {
            "losses": np.concatenate(self.losses),
            "rates": np.concatenate(self.rates),
            "counts": np.array(self.counts),
        }

    def chunks_of(self, arrays: Mapping[str, Array]) -> Iterator[Chunk]:
        """Yield the chunks that :meth:`to_arrays` recorded, the last one with its state.

        This state, at the start of a fit, gives the structure of the parameters.
        """
        # Files have no arrays without axes, and another shape would compile the steps again.
        leaves = [
            jnp.asarray(arrays[f"state {number}"]).reshape(leaf.shape)
            for number, leaf in enumerate(jax.tree.leaves(self.state))
        ]
        state = jax.tree.unflatten(jax.tree.structure(self.state), leaves)
        structure = jax.tree.structure(self.state.params)
        num_leaves = len(jax.tree.leaves(self.state.params))
        end = 0
        for chunk, count in enumerate(arrays["counts"]):
            begin, end = end, end + int(count)
            mean = [arrays[f"mean {number}"][chunk] for number in range(num_leaves)]
            losses = arrays["losses"][begin:end]
            yield Chunk(state, jax.tree.unflatten(structure, mean), losses)

    def current_average(self) -> Params:
        """Return the mean of the parameters over the later half of the chunks in this frame."""
        count = len(self.means) - self.first
        return self.average(self.first + count // 2) if count else self.state.params

    def average(self, since: int, until: int | None = None) -> Params:
        """Return the mean of the parameters over the chunks from one number to before another."""
        counts = self.counts[since:until]
        total = sum(counts)

        def weighted_mean(*leaves: Array) -> Array | int:
            return sum(leaf * (count / total) for leaf, count in zip(leaves, counts, strict=True))

        return jax.tree.map(weighted_mean, *self.means[since:until])
