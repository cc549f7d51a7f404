"""What a search method is: one choice per axis, and the phases of its search."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
import optax

from dnas.architectures.topology import Space
from dnas.config import AlphaConfig, SearchConfig
from dnas.search import discretise, relax
from dnas.search.hypergrad import Estimator, first_order
from dnas.training.weights import clip
from dnas.types import (
    Alphas,
    Clock,
    Discretiser,
    Gate,
    InitialAlphas,
    Mix,
    Penalty,
    Perturbation,
    Relaxation,
    Scores,
    Selector,
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


@dataclass(frozen=True)
class Phase:
    """A part of the search with a supernet of its own.

    config: of this phase; its `epochs` are the phase's. supernet: what the supernet is made from, given the space that
    is left. keep: how many operations each edge keeps when the phase begins, by their scores; None: all.
    restart: weights, alphas and optimisers start anew; otherwise they carry over, widened where channels grew.
    continues: the learning rate goes on with the schedule of the phase before, which spans both.
    drop_rate: as of the method, in its place. settled: the method's own schedules stand where
    they were at the end of the phase before.
    """

    config: SearchConfig
    supernet: Callable[[Space], Space] = unchanged
    keep: int | None = None
    restart: bool = False
    continues: bool = False
    drop_rate: Callable[[Clock], jax.Array] | None = None
    settled: bool = False


def one_phase(space: Space, config: SearchConfig) -> tuple[Phase, ...]:
    """The whole search on one supernet."""
    return (Phase(config),)


class View(NamedTuple):
    """What a method sees of one seed after an epoch, on the host.

    space: what is left of it. phase, epoch: index of the phase and epochs done in it, of `epochs`; total: epochs of the
    whole search. seed: of this search. alphas; mix: the scores that count, masked; mask: operations that are left, or
    (). knobs: as they stand. notes: what `after_epoch` noted so far, one dictionary per epoch of the whole search.
    evaluate(mix, train=False) -> (accuracy, loss) on the validation part; train: normalised by the batch. hessian() ->
    that of the validation loss of one batch, with the alphas' L2 term, with respect to the alphas.
    """

    space: Space
    phase: int
    epoch: int
    epochs: int
    total: int
    seed: int
    alphas: Alphas
    mix: Mix
    mask: Mix
    knobs: Mapping[str, float]
    notes: list[dict[str, Any]]
    evaluate: Callable[..., tuple[float, float]]
    hessian: Callable[[], np.ndarray]


class Outcome(NamedTuple):
    """What follows for the seed. notes: kept with the run, numbers are logged. mask: the operations left from now on.
    stop: end the search with the genotype of this epoch (of the whole search, counted from 1). restart: go on from the
    end of this epoch of the same phase, at most `Method.reach` back, as if what followed had not been. knobs: what
    they become, after a restart if there is one."""

    notes: dict[str, Any] = {}
    mask: Mix | None = None
    stop: int | None = None
    restart: int | None = None
    knobs: Mapping[str, float] = {}


class AfterEpoch(Protocol):
    def __call__(self, view: View) -> Outcome: ...


@dataclass(frozen=True)
class Method:
    """A search method is a value: one choice per axis. A published method is a name for a combination.

    alphas: how they begin. relax: the mix of a training step. weight_relax: that of the weights' step, where it is not
    the same. scores: the mix that evaluation and the genotype read; None: `relax`, which then ignores its key.
    hypergrad: None if alphas are not trained. gate: acts on the weights' gradients. alpha_tx: optimiser of the alphas;
    move: (alphas, update) -> alphas, where an update is not just added.
    supernet: what the supernet is made from, given the space (partial channels, an added operation, one path).
    single_path: training sees one operation per edge, so evaluation does too.
    drop_rate: of operations that take `Noise`. replicas: supernets with weights of their own that share the alphas;
    with more than one, leaves of alphas and mix have a leading axis of replicas, those of the scores do not.
    phases: the parts of the search. after_epoch: looks between epochs, prunes and stops; masks: whether it prunes;
    knobs: numbers it turns, of which the step knows "decay_factor", of the weights' decay; reach: how many epochs it
    may go back, whose checkpoints are kept. discretise: the genotype of an epoch. select: that at the end, if another.
    adapt: (method, space, config) -> the method for this space, where pieces of it are made for one (what samples
    whole paths, tables of costs): see `adapted`.
    """

    alphas: InitialAlphas = relax.noise
    relax: Relaxation = relax.softmax
    weight_relax: Relaxation | None = None
    scores: Scores | None = None
    hypergrad: Estimator | None = first_order
    perturb: Perturbation | None = None
    penalty: Penalty | None = None
    gate: Gate | None = None
    alpha_tx: Callable[[AlphaConfig], optax.GradientTransformation] = adam_with_l2
    move: Callable[[Alphas, Alphas], Alphas] = optax.apply_updates
    supernet: Callable[[Space], Space] = unchanged
    single_path: bool = False
    drop_rate: Callable[[Clock], jax.Array] | None = None
    phases: Callable[[Space, SearchConfig], tuple[Phase, ...]] = one_phase
    after_epoch: AfterEpoch | None = None
    masks: bool = False
    knobs: Mapping[str, float] = field(default_factory=dict)
    replicas: int = 1
    reach: int = 0
    discretise: Discretiser = discretise.strongest
    select: Selector | None = None
    adapt: Callable[["Method", Space, SearchConfig], "Method"] | None = None


def adapted(method: Method, space: Space, config: SearchConfig) -> Method:
    """The method whose pieces are all there. A run reads nothing of a method before, and does this anew for every
    phase, whose space and config are its own."""
    while method.adapt is not None:
        adapt, method = method.adapt, replace(method, adapt=None)
        method = adapt(method, space, config)
    return method
