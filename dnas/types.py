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
    """What one step reads, made by the task. weights: of each example or token, 0 where it does not count; None: all
    count alike. last: of sequences that are filled up, the place from which a recurrent state goes on, int32 []; None:
    their end. pace: a factor of the learning rate of the step; None: 1."""

    inputs: Tree
    targets: Tree
    weights: jax.Array | None = None
    last: jax.Array | None = None
    pace: jax.Array | None = None


class Clock(NamedTuple):
    """When a step happens: `step` since the search began, whole `epoch`s since its phase began, `epochs` of the phase.

    Schedules are functions of it; `epoch / epochs` runs from 0 to just below 1.
    """

    step: jax.Array
    epoch: jax.Array
    epochs: int


class Noise(NamedTuple):
    """What operations that are random take in training: a key, and the rate of those that drop something."""

    key: jax.Array
    rate: jax.Array | float = 0.0


class Evaluated(NamedTuple):
    """What a loss returns beside its value: the moments of its forward pass, the sums of the task's measures, the mix,
    the score of the batch (more is better), and the recurrent state where there is one."""

    moments: Moments
    sums: Any = ()
    mix: Mix = ()
    score: jax.Array | float = 0.0
    carry: Tree = ()


class Estimate(NamedTuple):
    """A hypergradient: the gradient for the alphas, the outer loss it belongs to, and the moments of every
    training forward pass that the live network made for it, in order (the running statistics absorb them).
    seen: of the outer loss."""

    gradient: Alphas
    loss: jax.Array
    moments: tuple[Moments, ...]
    seen: Evaluated


Objective = Callable[[Weights, Alphas], tuple[jax.Array, Evaluated]]
Update = Callable[[Weights], Weights]  # gradient -> the weights after one unclipped optimiser step


class InitialAlphas(Protocol):
    """config: a `config.AlphaConfig`."""

    def __call__(self, space: Any, key: jax.Array, config: Any) -> Alphas: ...


class Relaxation(Protocol):
    def __call__(self, alphas: Alphas, key: jax.Array, clock: Clock) -> Mix: ...


class Scores(Protocol):
    """The mix that evaluation and discretisation read: a relaxation without randomness."""

    def __call__(self, alphas: Alphas, clock: Clock) -> Mix: ...


class Perturbation(Protocol):
    """Sees the loss in evaluation mode as a function of the mix and nothing else."""

    def __call__(self, mix: Mix, loss_of_mix: Callable[[Mix], jax.Array], key: jax.Array, clock: Clock) -> Mix: ...


class Penalty(Protocol):
    """Added to the outer loss."""

    def __call__(self, alphas: Alphas, mix: Mix, clock: Clock) -> jax.Array: ...


class Hypergradient(Protocol):
    """`inner` and `outer` are the training and the validation loss as functions of (weights, alphas)."""

    def __call__(
        self, inner: Objective, outer: Objective, weights: Weights, alphas: Alphas, update: Update
    ) -> Estimate: ...


class Discretiser(Protocol):
    """`evaluate`: mix -> validation accuracy, for selection by perturbation."""

    def __call__(self, space: Any, mix: Mix, evaluate: Callable[[Mix], float]) -> Any: ...


class Selector(Protocol):
    """The genotype at the end of a search, chosen by trying several.

    evaluate(mix, train=False, batches=None) -> accuracy on the validation part, or on its first `batches` batches;
    train: normalised by the batch. seed: of this search.
    """

    def __call__(self, space: Any, mix: Mix, evaluate: Callable[..., float], seed: int) -> Any: ...


class Gate(NamedTuple):
    """What a method does to the weights' gradients, with a memory of its own.

    init(weights) -> memory. apply(memory, gradient, of_alpha_level, clock) -> (memory, gradient): sees the weights'
    gradient at both levels and changes that of the weight level; `of_alpha_level` is a traced boolean.
    """

    init: Callable[[Weights], Tree]
    apply: Callable[[Tree, Weights, jax.Array, Clock], tuple[Tree, Weights]]


class SearchState(NamedTuple):
    """All that changes in a search. Donated, scanned, vmapped over seeds, sharded and checkpointed as one tree.

    mask: which operations are left {kind: [E, O]}, of methods that prune. memory: of the method's gate. knobs: numbers
    that the method turns between epochs. carry: recurrent state {"train": ..., "valid": ...}, which goes on from batch
    to batch at each level. Empty for most.
    """

    step: jax.Array
    key: jax.Array
    weights: Weights
    stats: Tree
    alphas: Alphas
    weight_opt: Tree
    alpha_opt: Tree
    mask: Mix = ()
    memory: Tree = ()
    knobs: Tree = ()
    carry: Tree = ()
