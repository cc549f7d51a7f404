"""What follows from a look between epochs, and how decided a mix is."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dnas.runs import loop
from dnas.search.levels import StepMetrics
from dnas.search.method import Outcome
from dnas.tasks.task import Task
from dnas.training.epoch import measured


def turned(progress: loop.Progress, outcomes: list[Outcome]) -> loop.Progress:
    """The progress with the masks, knobs and alphas that the method wants from now on."""
    if not any(o.mask is not None or o.knobs or o.alphas is not None for o in outcomes):
        return progress
    state = progress.state
    alphas = state.alphas
    if any(outcome.alphas is not None for outcome in outcomes):
        before = [jax.tree.map(lambda leaf, i=i: leaf[i], alphas) for i in range(len(outcomes))]
        after = [old if o.alphas is None else o.alphas for o, old in zip(outcomes, before, strict=True)]
        alphas = jax.tree.map(lambda old, *new: jnp.stack([jnp.asarray(n, old.dtype) for n in new]), alphas, *after)
    mask = {
        kind: jnp.stack(
            [old[i] if o.mask is None else jnp.asarray(o.mask[kind], old.dtype) for i, o in enumerate(outcomes)]
        )
        for kind, old in (state.mask or {}).items()
    }
    knobs = {
        name: jnp.stack([jnp.asarray(o.knobs.get(name, old[i]), old.dtype) for i, o in enumerate(outcomes)])
        for name, old in state.knobs.items()
    }
    return progress._replace(state=state._replace(mask=mask or state.mask, knobs=knobs, alphas=alphas))


def seen(task: Task, sums: StepMetrics, seeds: int, searching: bool) -> list[dict[str, Any]]:
    """The measures of the steps of an epoch, of every seed; sums: on the host, leaves [S]. searching: whether any step
    was one of the alphas."""
    found = []
    for i in range(seeds):
        trained = measured(task, sums.train, i, "train")
        of_alphas = measured(task, sums.valid, i, "search")
        unseen = dict.fromkeys(name.replace("train_", "search_", 1) for name in trained)
        found.append(trained | (of_alphas if searching and of_alphas else unseen))
    return found


def entropy_of(mix: np.ndarray) -> float:
    """Mean entropy of the rows of a mix [E, O], each normalised to one; log(O) when nothing is decided."""
    p = np.clip(mix, 1e-12, None)
    p = p / p.sum(-1, keepdims=True)
    return float(-(p * np.log(p)).sum(-1).mean())
