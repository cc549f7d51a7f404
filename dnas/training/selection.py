"""What a training is evaluated and loaded by: the average of its weights, and of several epochs the best.

After every epoch the candidate, the average or the last weights, is judged. What chooses reads the validation part: an
average that begins when the loss stands still, and patience, which keeps the best epoch and stops where so many epochs
were no better (Prechelt 1998, "Early stopping - but when?"). All functions are pure and of one seed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dnas.training.protocols import Average
from dnas.types import Tree


class Kept(NamedTuple):
    """The weights and statistics that are evaluated and loaded, as of the last epoch."""

    weights: Tree
    stats: Tree


class Watch(NamedTuple):
    """What was seen of the validation part. losses: by the average's trigger, () without one. score: the best one, more
    is better; epoch: which had it, 0 for none yet; stopped: whether patience has ended."""

    losses: Tree
    score: jax.Array
    epoch: jax.Array
    stopped: jax.Array


class Selection(NamedTuple):
    """init(weights, stats) -> what a state begins with, its fields by name;  update(state) -> the average after an
    update of the weights;  candidate(state) -> Kept;  judged(state, epoch, score, loss) -> state, after an epoch, with
    the score (more is better) and the loss of the candidate."""

    init: Callable[[Tree, Tree], dict[str, Any]]
    update: Callable[[Any], Tree]
    candidate: Callable[[Any], Kept]
    judged: Callable[..., Any]


def make_selection(average: Average, patience: int) -> Selection:
    """patience: epochs without an improvement before the end; 0: the last epoch is kept, whatever it is."""
    trigger = average.trigger

    def init(weights: Tree, stats: Tree) -> dict[str, Any]:
        own = Kept(weights, stats)
        mean = average.init(own)
        watch: Any = ()
        if trigger is not None or patience:
            losses = () if trigger is None else trigger.init()
            watch = Watch(losses, jnp.asarray(-jnp.inf), jnp.zeros((), jnp.int32), jnp.asarray(False))
        return {"average": mean, "kept": own if patience or jax.tree.leaves(mean) else (), "watch": watch}

    def update(state: Any) -> Tree:
        active = True if trigger is None else state.watch.losses.triggered
        return average.update(state.average, Kept(state.weights, state.stats), active)

    def candidate(state: Any) -> Kept:
        return average.averaged(state.average, Kept(state.weights, state.stats))

    def judged(state: Any, epoch: jax.Array, score: jax.Array, loss: jax.Array) -> Any:
        kept, watch = candidate(state), state.watch
        if trigger is not None:
            watch = watch._replace(losses=trigger.update(watch.losses, loss))
        if patience:
            best = (watch.epoch == 0) | jnp.isnan(watch.score) | (score > watch.score)
            best &= ~watch.stopped  # other seeds may go on
            kept = jax.tree.map(lambda new, old: jnp.where(best, new, old), kept, state.kept)
            watch = watch._replace(
                score=jnp.where(best, score, watch.score), epoch=jnp.where(best, epoch, watch.epoch).astype(jnp.int32)
            )
            watch = watch._replace(stopped=watch.stopped | (epoch - watch.epoch >= patience))
        return state._replace(kept=kept, watch=watch)

    return Selection(init, update, candidate, judged)


def loaded(state: Any) -> Kept:
    """What a state (leaves of one seed, or [S, ...]) is evaluated and loaded by."""
    return state.kept or Kept(state.weights, state.stats)
