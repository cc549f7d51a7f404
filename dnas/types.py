"""The contract: what the pieces of a search exchange. Imports nothing of ours.

Axis letters: B batch, H W C, E edges, O operations, S seeds. Images are NHWC.

- alphas: the raw architecture parameters, e.g. `{"normal": [E, O], "reduce": [E, O]}`
- mix: what multiplies the operations; same structure as alphas
- weights: the network's parameters; moments: the batch statistics of one forward pass; stats: their running averages
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
    """Images [B, H, W, C], normalised, and integer labels [B]."""

    x: jax.Array
    y: jax.Array


class Evaluated(NamedTuple):
    """What a loss returns beside its value: the moments of its forward pass and the logits [B, classes]."""

    moments: Moments
    logits: jax.Array


class Estimate(NamedTuple):
    """A hypergradient: the gradient for the alphas, the outer loss it belongs to, and the moments of every
    training forward pass that the live network made for it, in order (the running statistics absorb them)."""

    gradient: Alphas
    loss: jax.Array
    moments: tuple[Moments, ...]
    logits: jax.Array


Objective = Callable[[Weights, Alphas], tuple[jax.Array, Evaluated]]
Update = Callable[[Weights], Weights]  # gradient -> the weights after one unclipped optimiser step


class Relaxation(Protocol):
    def __call__(self, alphas: Alphas, key: jax.Array, step: jax.Array) -> Mix: ...


class Perturbation(Protocol):
    """Sees the loss as a function of the mix and nothing else."""

    def __call__(self, mix: Mix, loss_of_mix: Callable[[Mix], jax.Array], key: jax.Array, step: jax.Array) -> Mix: ...


class Penalty(Protocol):
    """Added to the outer loss."""

    def __call__(self, alphas: Alphas, mix: Mix, step: jax.Array) -> jax.Array: ...


class Hypergradient(Protocol):
    """`inner` and `outer` are the training and the validation loss as functions of (weights, alphas)."""

    def __call__(
        self, inner: Objective, outer: Objective, weights: Weights, alphas: Alphas, update: Update
    ) -> Estimate: ...


class Discretiser(Protocol):
    """`evaluate`: mix -> validation accuracy, for selection by perturbation."""

    def __call__(self, space: Any, mix: Mix, evaluate: Callable[[Mix], float]) -> Any: ...


class SearchState(NamedTuple):
    """All that changes in a search. Donated, scanned, vmapped over seeds, sharded and checkpointed as one tree."""

    step: jax.Array
    key: jax.Array
    weights: Weights
    stats: Tree
    alphas: Alphas
    weight_opt: Tree
    alpha_opt: Tree
