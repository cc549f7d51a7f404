"""The contract: what the pieces of a search exchange. Imports nothing of ours.

Axis letters: B batch, H W C, E edges, O operations, S seeds. Images are NHWC.

- alphas: the raw architecture parameters, e.g. `{"normal": [E, O], "reduce": [E, O]}`
- mix: what multiplies the operations; same structure as alphas
- weights: the network's parameters; moments: means and variances of the batch in one forward pass; stats: their running
  averages
- inner level: weights on a training batch; outer level: alphas on a validation batch
- genotype: the discrete cells
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax

Tree = Any  # any pytree of arrays
Alphas = Tree
Mix = Tree
Weights = Tree
Moments = Tree


class Batch(NamedTuple):
    """What one step reads, made by the task."""

    inputs: Tree
    targets: Tree
    weights: jax.Array | None = None
    """Of each example or token, 0 where it does not count; None: all count alike."""
    last: jax.Array | None = None
    """Of sequences that are filled up: the place from which a recurrent state goes on, int32 []; None: their end."""
    pace: jax.Array | None = None
    """A factor of the learning rate of the step; None: 1."""


class Frames(NamedTuple):
    """Sequences of rows of numbers, F in each, filled up to one length: what is behind the end of one is padding."""

    values: jax.Array
    """[B, T, F]."""
    lengths: jax.Array
    """Frames of each sequence, int32 [B]."""


class Clock(NamedTuple):
    """When a step happens. Schedules are functions of it; `epoch / epochs` runs from 0 to just below 1."""

    step: jax.Array
    """Steps since the search began."""
    epoch: jax.Array
    """Whole epochs since its phase began."""
    epochs: int
    """Of the phase."""


class Noise(NamedTuple):
    """What operations that are random take in training."""

    key: jax.Array
    rate: jax.Array | float = 0.0
    """Of those that drop something."""


class Evaluated(NamedTuple):
    """What a loss returns beside its value."""

    moments: Moments
    """Of the forward pass."""
    sums: Any = ()
    """Of the task's measures."""
    mix: Mix = ()
    score: jax.Array | float = 0.0
    """Of the batch; more is better."""
    carry: Tree = ()
    """The recurrent state after the batch, where there is one."""
    outputs: Tree = ()
    """Of the network, where a `Lesson` asks for them."""


class Lesson(NamedTuple):
    """What a network learns from beside the targets of its batch."""

    outputs: Tree = None
    """Of another network for the same batch; None: there is none."""
    labels: jax.Array | float = 1.0
    """Share of the loss of the batch in the whole."""
    soft: jax.Array | float = 1.0
    """Share of the loss by these outputs."""


class Estimate(NamedTuple):
    """A hypergradient."""

    gradient: Alphas
    loss: jax.Array
    """The outer loss that the gradient belongs to."""
    moments: tuple[Moments, ...]
    """Of every training forward pass that the live network made for it, in order: the running statistics absorb
    them."""
    seen: Evaluated
    """Beside the outer loss."""


Objective = Callable[[Weights, Alphas], tuple[jax.Array, Evaluated]]
Update = Callable[[Weights], Weights]  # gradient -> the weights after one unclipped optimiser step


class InitialAlphas(Protocol):
    """config: a `config.AlphaConfig`."""

    def __call__(self, space: Any, key: jax.Array, config: Any) -> Alphas: ...


class Relaxation(Protocol):
    def __call__(self, alphas: Alphas, key: jax.Array, clock: Clock) -> Mix: ...


class EvaluationMix(Protocol):
    """The mix that evaluation and discretisation read: a relaxation without randomness."""

    def __call__(self, alphas: Alphas, clock: Clock) -> Mix: ...


class Perturbation(Protocol):
    """Sees the loss in evaluation mode as a function of the mix and nothing else."""

    def __call__(self, mix: Mix, loss_of_mix: Callable[[Mix], jax.Array], key: jax.Array, clock: Clock) -> Mix: ...


class Penalty(Protocol):
    """Added to the outer loss."""

    def __call__(self, alphas: Alphas, mix: Mix, clock: Clock) -> jax.Array: ...


class WeightGradient(Protocol):
    """What steps the weights, in place of the derivative of the loss of their batch.

    loss: (weights, mix, lesson=None) -> (loss, `Evaluated`), in training mode; in a mix for it a kind may have a table
    for every cell of the network, [N, E, O], by the number of the cell; a `Lesson` only for methods that distil.
    Methods with a teacher take it as `teacher`, `SearchState.teacher`, too. -> ((loss, `Evaluated`), gradient).
    """

    def __call__(
        self, loss: Callable[..., tuple[jax.Array, Evaluated]], weights: Weights, mix: Mix, clock: Clock
    ) -> tuple[tuple[jax.Array, Evaluated], Weights]: ...


class Hypergradient(Protocol):
    """`inner` and `outer` are the losses of the two levels as functions of (weights, alphas)."""

    def __call__(
        self, inner: Objective, outer: Objective, weights: Weights, alphas: Alphas, update: Update
    ) -> Estimate: ...


class Discretiser(Protocol):
    """`evaluate`: mix -> the score on the validation part, for selection by perturbation."""

    def __call__(self, space: Any, mix: Mix, evaluate: Callable[[Mix], float]) -> Any: ...


class Selector(Protocol):
    """The genotype at the end of a search, chosen by trying several.

    evaluate(mix, train=False, batches=None) -> score on the validation part, or on its first `batches` batches;
    train: normalised by the batch. seed: of this search.
    """

    def __call__(self, space: Any, mix: Mix, evaluate: Callable[..., float], seed: int) -> Any: ...


class GradientFilter(NamedTuple):
    """What a method does to the gradient that steps the weights, with a memory of its own. It compares both levels."""

    init: Callable[[Weights], Tree]
    """weights -> memory."""
    apply: Callable[[Tree, Weights, jax.Array, Clock], tuple[Tree, Weights]]
    """(memory, gradient, outer, clock) -> (memory, gradient). It sees the gradient for the weights at both levels,
    `outer` a traced boolean says at which, and changes that of the inner level."""


class SearchState(NamedTuple):
    """All that changes in a search. Donated, scanned, vmapped over seeds, sharded and checkpointed as one tree."""

    step: jax.Array
    key: jax.Array
    weights: Weights
    stats: Tree
    alphas: Alphas
    weight_opt: Tree
    alpha_opt: Tree
    mask: Mix = ()
    """Which operations are left {kind: [E, O]}, of methods that prune."""
    memory: Tree = ()
    """Of the method's gradient filter."""
    knobs: Tree = ()
    """Numbers that the method turns between epochs."""
    carry: Tree = ()
    """Recurrent state {"train": ..., "valid": ...}, which goes on from batch to batch of a part of the data."""
    teacher: Tree = ()
    """Weights that stay as they are and teach the others, of methods that have such."""
