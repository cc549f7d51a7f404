"""Warm start (ours): alphas that begin with what zero-cost proxies say of random architectures.

    alpha_eo = noise + strength w_eo,   w = ridge regression of the votes of `pool` architectures on their operations

In a short search nothing tells operations apart at first, and those without weights, which need no training, get ahead
(arXiv:1910.11831 sees the same in long ones). A proxy tells them apart before any training, but says the same whatever
the images teach. So it is where the alphas begin, as a prior, and gradients take over from there. Before the first
epoch `pool` random architectures are scored as paths of the supernet with new weights on one training batch; several
proxies vote by the mean of their ranks. Mean and deviation of the votes become 0 and 1, so that `strength` is in units
of logits. No paper: related are the warm-ups of arXiv:2101.08134, where proxies choose the first architectures that a
black-box search trains. Compared with DARTS, random search and the proxies alone in experiments/small_warm_start.py.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from scipy.stats import rankdata

from dnas import find, keys
from dnas.architectures.genotype import as_mix, random
from dnas.architectures.topology import Space
from dnas.config import SearchConfig
from dnas.errors import UserError
from dnas.proxies.protocol import Proxy, named
from dnas.ranges import Amount, Count
from dnas.search import relax
from dnas.search.method import Method, Outcome, Phase, View, adapted
from dnas.types import Alphas, Mix

EDGES = "edges"
RIDGE = 1.0  # on weights whose features are 0 and 1: a pool of a few dozen must do


def method(*, on: str = "darts", proxy: str = "nwot+synflow", pool: Count = 50, strength: Amount = 1.0) -> Method:
    """`on`: the method that goes on from there. `proxy`: one, or several that vote, `nwot+synflow`; see `dnas list`.
    `pool`: random architectures that are scored. `strength`: of the prior, in logits per deviation of the votes."""
    return _around(find.resolve("method", on), on, named(proxy), pool, strength)


def _around(base: Method, on: str, proxies: Mapping[str, Proxy], pool: int, strength: float) -> Method:
    if base.between_epochs is not None or base.masks or base.proxies:
        raise UserError(f"Method 'warm_start' prepares one search, and '{on}' does things between epochs on its own.")

    def phases(space: Space, config: SearchConfig) -> tuple[Phase, ...]:
        if base.hypergrad is None or not are_logits(base, space, config):
            raise UserError(
                f"Method 'warm_start' adds to the logits of operations, and '{on}' trains none: choose another, "
                "as in warm_start:on=darts."
            )
        search = base.phases(space, config)
        first = search[0].config  # what warms up has nothing to do where nothing is trained
        alphas, weights = replace(first.alphas, warmup_epochs=0), replace(first.weights, warmup_epochs=0)
        before = replace(first, epochs=1, alphas=alphas, weights=weights)
        return (Phase(before, supernet=search[0].supernet, trains=False), *search)

    def look(view: View) -> Outcome:
        if view.phase:
            return Outcome()
        weights = prior(view, pool)
        notes = {"prior": {kind: table.tolist() for kind, table in weights.items()}}
        moved = {kind: table + strength * weights[kind] for kind, table in operations(view.alphas).items()}
        return Outcome(notes, alphas={**view.alphas, "operations": moved} if EDGES in view.alphas else moved)

    def adapt(method: Method, space: Space, config: SearchConfig) -> Method:
        return _around(adapted(base, space, config), on, proxies, pool, strength)

    return replace(
        base,
        phases=phases,
        between_epochs=look,
        proxies=proxies,
        adapt=adapt if base.adapt else None,
    )


def operations(alphas: Alphas) -> Mapping[str, Any]:
    """The alphas of operations, {kind: [E, O]}, members in front, where those of edges may stand beside them."""
    return alphas["operations"] if EDGES in alphas else alphas


def are_logits(method: Method, space: Space, config: SearchConfig) -> bool:
    """Whether its alphas have one logit for each operation of each edge."""
    if method.alphas in (relax.uniform, relax.uniform_with_edges):  # the mix itself
        return False
    alphas = jax.eval_shape(lambda key: method.alphas(space, key, config.alphas), jax.random.key(0))
    if not isinstance(alphas, dict):
        return False
    shapes = {kind: getattr(leaf, "shape", ())[-2:] for kind, leaf in operations(alphas).items()}
    return shapes == space.mix_shapes


def prior(view: View, pool: int) -> Mix:
    """What the votes of the method's proxies say of every operation, {kind: [E, O]}."""
    generator = keys.generator(view.seed, "warm start")
    mixes = [as_mix(random(view.space, generator), view.space) for _ in range(pool)]
    scores = [view.score(mix, 0) for mix in mixes]
    votes = np.mean([rankdata([score[name] for score in scores]) for name in scores[0]], 0)
    return regressed(mixes, votes)


def regressed(mixes: list[Mix], votes: np.ndarray) -> Mix:
    """Ridge regression of standardised votes on mixes, and no constant: {kind: [E, O]}; 0 where all votes are equal."""
    kinds, deviation = sorted(mixes[0]), votes.std()
    features = np.stack([np.concatenate([np.ravel(mix[kind]) for kind in kinds]) for mix in mixes])
    target = (votes - votes.mean()) / (deviation or 1.0)
    weights = np.linalg.solve(features.T @ features + RIDGE * np.eye(features.shape[1]), features.T @ target)
    sizes = [mixes[0][kind].size for kind in kinds]
    parts = np.split(weights, np.cumsum(sizes)[:-1])
    return {kind: part.reshape(mixes[0][kind].shape) for kind, part in zip(kinds, parts, strict=True)}
