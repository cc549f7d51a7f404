"""What a search method is: one choice per axis, and the phases of its search."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
import optax

from dnas.architectures.genotype import Genotype
from dnas.architectures.topology import NetworkSize, Space
from dnas.config import AlphaConfig, SearchConfig
from dnas.proxies.protocol import Proxy
from dnas.search import discretise, relax
from dnas.search.hypergrad import Estimator, first_order
from dnas.training.weights import clip
from dnas.types import (
    Alphas,
    Clock,
    Discretiser,
    EvaluationMix,
    GradientFilter,
    InitialAlphas,
    Mix,
    Penalty,
    Perturbation,
    Relaxation,
    SearchState,
    Selector,
    WeightGradient,
)


def adam_with_l2(config: AlphaConfig) -> optax.GradientTransformation:
    """Adam as in PyTorch: L2 is added to the gradient, not decoupled."""
    return optax.chain(
        clip(config.clip),
        optax.add_decayed_weights(config.decay),
        optax.scale_by_adam(config.beta1, config.beta2, eps=1e-8),
        optax.scale_by_learning_rate(config.learning_rate),
    )


def unchanged(space: Space) -> Space:
    """The supernet is that of the space itself."""
    return space


def unaltered(method: "Method") -> "Method":
    """The method is in every phase the same."""
    return method


@dataclass(frozen=True)
class Phase:
    """A part of the search with a supernet of its own."""

    config: SearchConfig
    """Of this phase; its `epochs` are the phase's."""
    supernet: Callable[[Space], Space] = unchanged
    """What the supernet is made from, given what `Method.supernet` makes of the space that is left."""
    keep: int | None = None
    """How many operations each edge keeps when the phase begins, by their weight in the evaluation mix; None: all."""
    restart: bool = False
    """Weights, alphas and optimisers start anew; otherwise they carry over, widened where channels grew."""
    continues: bool = False
    """The learning rate goes on with the schedule of the phase before, which spans both."""
    drop_rate: Callable[[Clock], jax.Array] | None = None
    """As of the method, in its place."""
    freeze_schedules: bool = False
    """The method's own schedules stand where they were at the end of the phase before."""
    method: Callable[["Method"], "Method"] = unaltered
    """What the method, adapted, is in this phase."""
    begins: Callable[[Space, SearchState], SearchState] | None = None
    """(space, state) -> the state with which it begins, made of what the phase before has left, with an optimiser of
    the weights that begins anew."""
    trains: bool = True
    """Otherwise weights and alphas stay as they are, and an epoch is one step that does nothing: what happens, happens
    between epochs."""


def one_phase(space: Space, config: SearchConfig) -> tuple[Phase, ...]:
    """The whole search on one supernet."""
    return (Phase(config),)


class View(NamedTuple):
    """What a method sees of one seed after an epoch, on the host."""

    space: Space
    """What is left of it."""
    phase: int
    """Index of the phase."""
    epoch: int
    """Epochs done in the phase."""
    epochs: int
    """Of the phase."""
    total: int
    """Epochs done in the whole search."""
    seed: int
    """Of this search."""
    alphas: Alphas
    mix: Mix
    """The evaluation mix, masked."""
    mask: Mix
    """Operations that are left, or ()."""
    knobs: Mapping[str, float]
    """As they stand."""
    notes: list[dict[str, Any]]
    """What the between-epoch hook noted so far, one dictionary per epoch of the whole search."""
    evaluate: Callable[..., tuple[float, float]]
    """(mix, train=False, batches=None, first=0, calibrate=0) -> (score, loss) on the validation part, or on `batches`
    of its batches in a row, from number `first` on, of which the remainder counts; train: normalised by the batch;
    calibrate: by statistics of the mix over so many examples of the training part."""
    hessian: Callable[[], np.ndarray]
    """() -> that of the validation loss of one batch, with the alphas' L2 term, with respect to the alphas."""
    score: Callable[[Mix, int], dict[str, float]]
    """(mix, number) -> the values of `Method.proxies` on a batch of the training part, random for every number; -inf
    for what is no number."""
    fits: Callable[..., bool] = lambda mask, edges=None: True
    """(mask, edges={}) -> whether it leaves a network within the budget that keeps these edges {kind: numbers}; without
    a budget always."""


class Outcome(NamedTuple):
    """What follows for the seed."""

    notes: dict[str, Any] = {}
    """Kept with the run; numbers are logged."""
    mask: Mix | None = None
    """The operations left from now on."""
    stop: int | None = None
    """End the search with the genotype of this epoch (of the whole search, counted from 1)."""
    restart: int | None = None
    """Go on from the end of this epoch of the same phase, at most `Method.maximum_rollback` back, as if what followed
    had not been."""
    knobs: Mapping[str, float] = {}
    """What they become, after a restart if there is one."""
    alphas: Alphas | None = None
    """What they become, likewise."""


class BetweenEpochs(Protocol):
    def __call__(self, view: View) -> Outcome: ...


@dataclass(frozen=True)
class Method:
    """A search method is a value: one choice per axis, in four groups. A published method names a combination."""

    # Distribution: over architectures, from its parameters to a genotype.

    alphas: InitialAlphas = relax.noise
    """How they begin."""
    relax: Relaxation = relax.softmax
    """The mix of a training step."""
    evaluation_mix: EvaluationMix | None = None
    """The mix that evaluation and the genotype read; None: `relax`, which then ignores its key."""
    discretise: Discretiser = discretise.strongest
    """The genotype of an epoch."""
    select: Selector | None = None
    """The genotype at the end, if another."""
    select_within: Callable[[Callable[[Genotype], bool]], Selector] | None = None
    """The same among the genotypes that a budget allows, where it can look at one."""
    calibration: int = 0
    """Examples of the training part on which norms are calibrated for every network that the selection evaluates
    (`nets/calibration.py`); 0: they normalise by the batch."""

    # Estimator: how the alphas are trained, the outer level.

    hypergrad: Estimator | None = first_order
    """None: alphas are not trained."""
    penalty: Penalty | None = None
    """Added to the outer loss."""
    alpha_tx: Callable[[AlphaConfig], optax.GradientTransformation] = adam_with_l2
    """Optimiser of the alphas."""
    move: Callable[[Alphas, Alphas], Alphas] = optax.apply_updates
    """(alphas, update) -> alphas, where an update is not just added."""
    within: Callable[[Alphas, Callable[[Alphas], Mix]], Alphas] | None = None
    """(alphas, their evaluation mix) -> the alphas that a budget allows, after every step; see `limits`."""
    factor: Penalty | None = None
    """What the outer loss is multiplied by."""
    expense: Callable[[Mix], jax.Array] | None = None
    """What the outer loss has besides, of the mix, times the knob of this name: see `tradeoff`."""
    members: int = 1
    """Supernets with weights of their own that share the alphas, an ensemble; with more than one, leaves of alphas and
    mix have a leading axis of members, those of the evaluation mix do not."""

    # Weight level: which supernet is trained, and how its weights are, the inner level.

    supernet: Callable[[Space], Space] = unchanged
    """What it is made from, given the space (partial channels, an added operation, one path)."""
    single_path: bool = False
    """Training sees one operation per edge, so evaluation does too."""
    weight_relax: Relaxation | None = None
    """The mix of the weights' step, where it is not that of the alphas'."""
    perturb: Perturbation | None = None
    """What disturbs the mix of the weights' step."""
    weight_gradient: WeightGradient | None = None
    """What steps the weights; None: the derivative of their loss."""
    distils: bool = False
    """Whether it gives that loss a `types.Lesson`, so that networks learn from the outputs of others."""
    teacher: bool = False
    """Whether the weights with which the first such phase begins are kept, to teach those that are trained."""
    gradient_filter: GradientFilter | None = None
    """What becomes of the gradient that steps the weights."""
    drop_rate: Callable[[Clock], jax.Array] | None = None
    """Of operations that take `Noise`."""

    # Between epochs: on the host.

    phases: Callable[[Space, SearchConfig], tuple[Phase, ...]] = one_phase
    """The parts of the search."""
    between_epochs: BetweenEpochs | None = None
    """The between-epoch hook: looks at every seed, prunes, turns knobs, stops and goes back."""
    masks: bool = False
    """Whether it prunes."""
    prunes_within: bool = False
    """Whether what it leaves is what `View.fits`, as far as there is such."""
    proxies: Mapping[str, Proxy] = field(default_factory=dict)
    """What it asks of the supernet by `View.score`."""
    new_weights: bool = False
    """Proxies score weights that are drawn for every number, instead of those of the search."""
    knobs: Mapping[str, float] = field(default_factory=dict)
    """Numbers that it turns, of which the step knows "decay_factor", of the weights' decay, and "expense"."""
    maximum_rollback: int = 0
    """How many epochs it may go back, whose checkpoints are kept."""

    # What is made for one space or size.

    adapt: Callable[["Method", Space, SearchConfig], "Method"] | None = None
    """(method, space, config) -> the method for this space, where pieces of it are made for one (what samples whole
    paths, tables of costs): see `adapted`."""
    price: Callable[["Method", Space, NetworkSize, int], "Method"] | None = None
    """(method, space, size of the derived networks, pixels of a side of their images) -> the method, where pieces of it
    are made of what these cost. A run does this after `adapt`."""


def adapted(method: Method, space: Space, config: SearchConfig) -> Method:
    """The method whose pieces are all there. A run reads nothing of a method before, and does this anew for every
    phase, whose space and config are its own."""
    while method.adapt is not None:
        adapt, method = method.adapt, replace(method, adapt=None)
        method = adapt(method, space, config)
    return method
