"""Relaxations: from alphas to the mix that multiplies the operations. (alphas, key, clock) -> mix.

With weights on the edges too (PC-DARTS, GAEA) alphas are `{"operations": {kind: [E, O]}, "edges": {kind: tuple}}`, one
array of logits for the incoming edges of every node; the mix of an edge is its operations' times its own weight.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dnas.types import Alphas, Clock, EvaluationMix, Mix, Relaxation


def noise(space: Any, key: jax.Array, config: Any) -> Alphas:
    """Initial alphas: normal noise of scale `config.initial_scale`, for a softmax that is nearly uniform."""
    keys = jax.random.split(key, len(space.mix_shapes))
    return {
        kind: config.initial_scale * jax.random.normal(k, shape)
        for k, (kind, shape) in zip(keys, sorted(space.mix_shapes.items()), strict=True)
    }


def noise_with_edges(space: Any, key: jax.Array, config: Any) -> Alphas:
    """The same, and for every node the logits of its incoming edges."""
    operations_key, edges_key = jax.random.split(key)

    def logits(kind: str, key: jax.Array) -> tuple[jax.Array, ...]:
        sizes = [len(space.cells[kind].incoming(node)) for node in space.cells[kind].computed]
        keys = jax.random.split(key, len(sizes))
        return tuple(config.initial_scale * jax.random.normal(k, (n,)) for k, n in zip(keys, sizes, strict=True))

    kinds = sorted(space.cells)
    edge_keys = jax.random.split(edges_key, len(kinds))
    edges = {kind: logits(kind, k) for kind, k in zip(kinds, edge_keys, strict=True)}
    return {"operations": noise(space, operations_key, config), "edges": edges}


def uniform(space: Any, key: jax.Array, config: Any) -> Alphas:
    """Initial alphas that are the mix itself (`simplex`): the same for every operation of an edge, 1 in total."""
    return {
        kind: jnp.array(
            [[(o < len(names)) / len(names) for o in range(cell.mix_shape[1])] for names in cell.operations]
        )
        for kind, cell in space.cells.items()
    }


def uniform_with_edges(space: Any, key: jax.Array, config: Any) -> Alphas:
    """The same, and for every node the weights of its incoming edges (`simplex_with_edges`)."""
    sizes = {kind: [len(cell.incoming(node)) for node in cell.computed] for kind, cell in space.cells.items()}
    edges = {kind: tuple(jnp.full(n, 1 / n) for n in sizes[kind]) for kind in space.cells}
    return {"operations": uniform(space, key, config), "edges": edges}


def softmax(alphas: Alphas, key: jax.Array, clock: Clock) -> Mix:
    """Softmax over the operations of each edge, `none` included (DARTS, equation 2)."""
    return jax.tree.map(lambda a: jax.nn.softmax(a, -1), alphas)


def simplex(alphas: Alphas, key: jax.Array, clock: Clock) -> Mix:
    """Alphas that are the mix itself; their optimiser keeps every row a distribution (GAEA)."""
    return alphas


def simplex_with_edges(alphas: Alphas, key: jax.Array, clock: Clock) -> Mix:
    """The same, times the weight of each edge, which is one of a distribution over the edges of its node."""
    return on_edges(alphas["operations"], alphas["edges"])


def concentration(alphas: Alphas) -> Alphas:
    """elu(a) + 1, the positive parameters of a Dirichlet distribution (DrNAS, section 2): 1, uniform, at a = 0."""
    return jax.tree.map(lambda a: jax.nn.elu(a) + 1, alphas)


def dirichlet(alphas: Alphas, key: jax.Array, clock: Clock) -> Mix:
    """A sample of Dir(`concentration`) for every edge: independent gamma variates g_o, as g_o / sum g.

    Its derivative is pathwise, dg/dc by implicit differentiation of the gamma distribution function (Figurnov, Mohamed
    and Mnih 2018, arXiv:1805.08498). PyTorch, and so DrNAS, differentiates the sample itself implicitly: another
    estimator, which differs sample by sample and agrees in expectation.
    """
    kinds = sorted(alphas)
    keys = dict(zip(kinds, jax.random.split(key, len(kinds)), strict=True))
    return {kind: jax.nn.softmax(jax.random.loggamma(keys[kind], c), -1) for kind, c in concentration(alphas).items()}


def sigmoid(alphas: Alphas, key: jax.Array, clock: Clock) -> Mix:
    """Every operation by itself, between 0 and 1: operations do not compete (FairDARTS, equation 3)."""
    return jax.tree.map(jax.nn.sigmoid, alphas)


def with_auxiliary(relax: Relaxation, coefficient: Callable[[Clock], jax.Array]) -> Relaxation:
    """One more column [E, O + 1], equal on all edges: of an operation without alphas (DARTS-, equation 7)."""

    def mix(alphas, key, clock):
        weight = coefficient(clock)
        return {
            kind: jnp.concatenate([m, jnp.broadcast_to(weight, (len(m), 1)).astype(m.dtype)], -1)
            for kind, m in relax(alphas, key, clock).items()
        }

    return mix


def edge_normalised(relax: Relaxation) -> Relaxation:
    """Operations by `relax`, times a softmax over the incoming edges of each node (PC-DARTS, equation 4)."""

    def mix(alphas, key, clock):
        return on_edges(relax(alphas["operations"], key, clock), jax.tree.map(jax.nn.softmax, alphas["edges"]))

    return mix


def on_edges(mix: Mix, edges: dict[str, tuple[jax.Array, ...]]) -> Mix:
    """A mix times one weight per edge, given node by node: edges stand in the order of the nodes they enter."""
    return {kind: m * jnp.concatenate(edges[kind])[:, None] for kind, m in mix.items()}


def keyless(relax: Relaxation) -> EvaluationMix:
    """A relaxation that needs no key, as what evaluation and discretisation read."""
    return lambda alphas, clock: relax(alphas, jax.random.key(0), clock)


def masked(mix: Mix, mask: Mix) -> Mix:
    """The mix of the operations that are left; a row keeps its total, a row with nothing left is zero.

    Columns beyond the mask's (what a method adds to the space) stay as they are.
    """
    if not mask:
        return mix

    def rows(m, left):
        own, added = m[:, : left.shape[-1]], m[:, left.shape[-1] :]
        kept = own * left.astype(m.dtype)
        total, rest = own.sum(-1, keepdims=True), kept.sum(-1, keepdims=True)
        scaled = kept * jnp.where(rest > 0, total / jnp.where(rest > 0, rest, 1), 0)
        return jnp.concatenate([scaled, added], -1)

    return {kind: rows(m, mask[kind]) for kind, m in mix.items()}


# Random mixes of one operation per edge, and the differentiable ones between these and a softmax.

Schedule = Callable[[Clock], jax.Array]


def linear(start: float, end: float) -> Schedule:
    """From `start` in the first epoch to `end` in the last."""
    return lambda clock: start + (end - start) * clock.epoch / max(clock.epochs - 1, 1)


def exponential(start: float, end: float) -> Schedule:
    """The same, by the same factor from epoch to epoch."""
    return lambda clock: start * (end / start) ** (clock.epoch / max(clock.epochs - 1, 1))


def straight_through(probabilities: jax.Array) -> jax.Array:
    """The one-hot of the largest of every row [E, O], with the derivative of the probabilities themselves."""
    return _hardened(jax.nn.one_hot(probabilities.argmax(-1), probabilities.shape[-1]), probabilities)


LEAST = 40.0  # no weight is below exp(-LEAST) of the largest: `masked` divides by the square of what it leaves


def annealed(temperature: Schedule) -> Relaxation:
    """softmax(alpha / temperature): ever closer to one operation alone, without noise (ASAP)."""

    def mix(alphas, key, clock):
        def rows(a):
            logits = a / jnp.asarray(temperature(clock), a.dtype)
            return jax.nn.softmax(jnp.maximum(logits, logits.max(-1, keepdims=True) - LEAST))

        return jax.tree.map(rows, alphas)

    return mix


def concrete(temperature: Schedule) -> Relaxation:
    """softmax((alpha + Gumbel noise) / temperature), a sample of the concrete distribution (SNAS, equation 5)."""

    def sample(a, key, clock):
        return jax.nn.softmax((a + jax.random.gumbel(key, a.shape, a.dtype)) / temperature(clock).astype(a.dtype))

    return lambda alphas, key, clock: _by_kind(lambda a, k: sample(a, k, clock), alphas, key)


def hard_concrete(temperature: Schedule) -> Relaxation:
    """Its largest operation alone, an exact sample of softmax(alpha), with its derivative (GDAS, equations 3 to 6)."""
    soft = concrete(temperature)
    return lambda alphas, key, clock: jax.tree.map(straight_through, soft(alphas, key, clock))


def sampled(alphas: Alphas, key: jax.Array, clock: Clock) -> Mix:
    """One operation per edge with probability softmax(alpha); without a derivative."""
    return _by_kind(lambda a, k: jax.nn.one_hot(jax.random.categorical(k, a), a.shape[-1], dtype=a.dtype), alphas, key)


def reinmax(temperature: Schedule) -> Relaxation:
    """The same, with the derivative of `second_order`."""

    def sample(a, key, clock):
        hard = jax.nn.one_hot(jax.random.categorical(key, a), a.shape[-1], dtype=a.dtype)
        return second_order(hard, a, temperature(clock).astype(a.dtype))

    return lambda alphas, key, clock: _by_kind(lambda a, k: sample(a, k, clock), alphas, key)


def second_order(hard: jax.Array, a: jax.Array, temperature: jax.Array | float = 1.0) -> jax.Array:
    """One-hot samples [E, O] of softmax(a), with the derivative 2 J(q) - J(p) / 2 (ReinMax, algorithm 2).

    J(p) = diag(p) - p p^T is the Jacobian that a softmax has where its value is p = softmax(a), and
    q = (hard + softmax(a / temperature)) / 2. At temperature 1 its mean over all samples is the gradient of the mean of
    any f that is quadratic in the samples (Heun's method, of second order).
    """
    q = jax.lax.stop_gradient((hard + jax.nn.softmax(a / temperature)) / 2)
    moved = q * (a - (q * a).sum(-1, keepdims=True))
    return _hardened(hard, 2 * moved - jax.nn.softmax(a) / 2)


def two_paths(alphas: Alphas, key: jax.Array, clock: Clock) -> Mix:
    """Two operations per edge without replacement, one of them active (ProxylessNAS, section 3.2.1).

    With p the softmax over the two, the gate g is one-hot by p and its derivative that of p, which is equation 4
    restricted to the two: dL/dalpha_i = sum_j dL/dg_j p_j ([i = j] - p_i).
    """

    def gates(a, key):
        pair_key, gate_key = jax.random.split(key)
        chances = a + jax.random.gumbel(pair_key, a.shape, a.dtype)
        pair = jax.nn.one_hot(jax.lax.top_k(chances, min(2, a.shape[-1]))[1], a.shape[-1]).sum(-2) > 0
        logits = jnp.where(pair, a, -jnp.inf)
        active = jax.nn.one_hot(jax.random.categorical(gate_key, logits), a.shape[-1])
        return _hardened(active, jax.nn.softmax(logits))

    return _by_kind(gates, alphas, key)


def uniform_path(space: Any, allowed: dict[str, np.ndarray] | None = None) -> Relaxation:
    """A genotype of the space as a mix, all with equal probability, whatever the alphas are; see `genotype.random`.
    allowed: operations that edges may have {kind: [E, O]}; None: all that a genotype may have there."""
    open_to = {kind: allowed_operations(cell) for kind, cell in space.cells.items()} if allowed is None else allowed

    def one(kind: str, key: jax.Array) -> jax.Array:
        cell = space.cells[kind]
        edge_key, operation_key = jax.random.split(key)
        operations = jax.random.categorical(operation_key, jnp.where(open_to[kind], 0.0, -jnp.inf))
        mix = jax.nn.one_hot(operations, cell.mix_shape[1], dtype=float)
        if cell.kept is None:
            return mix
        return mix * _kept_edges(cell, edge_key)[:, None]

    return _by_cell(space, one)


def fair_paths(space: Any) -> Relaxation:
    """Several paths {kind: [K, E, O]} that together have every operation of an edge equally often, whatever the alphas
    are (FairNAS, "strict fairness"): every edge goes through its operations in a random order of its own.

    K is the number of operations of an edge, so each stands in one path; where edges have different numbers, the least
    common multiple. Where a genotype keeps some of the edges, those of each path are drawn, and an operation stands in
    at most as many paths as on other edges.
    """
    options = {kind: [np.flatnonzero(row) for row in allowed_operations(cell)] for kind, cell in space.cells.items()}
    count = math.lcm(*(len(row) for rows in options.values() for row in rows))

    def several(kind: str, key: jax.Array) -> jax.Array:
        cell = space.cells[kind]
        edge_key, operation_key = jax.random.split(key)
        turns = np.stack([np.resize(row, count) for row in options[kind]])
        order = jax.random.permutation(operation_key, turns, axis=1, independent=True)
        mixes = jax.nn.one_hot(order.T, cell.mix_shape[1], dtype=float)
        if cell.kept is None:
            return mixes
        return mixes * jax.vmap(partial(_kept_edges, cell))(jax.random.split(edge_key, count))[..., None]

    return _by_cell(space, several)


def _kept_edges(cell: Any, key: jax.Array) -> jax.Array:
    """1 for the edges that a random genotype keeps, 0 for the others [E]."""
    chances, kept = jax.random.uniform(key, (len(cell.edges),)), jnp.zeros(len(cell.edges))
    for node in cell.computed:
        incoming = np.array(cell.incoming(node))
        best = jax.lax.top_k(chances[incoming], min(cell.kept, len(incoming)))[1]
        kept = kept.at[jnp.asarray(incoming)[best]].set(1)
    return kept


def allowed_operations(cell: Any) -> np.ndarray:
    """What a genotype may have on every edge [E, O]: any operation, but not `none` where some edges are kept only."""
    allowed = np.zeros(cell.mix_shape, bool)
    for e, names in enumerate(cell.operations):
        allowed[e, : len(names)] = [cell.kept is None or name != "none" for name in names]
    return allowed


def _hardened(hard: jax.Array, soft: jax.Array) -> jax.Array:
    """The value of one, the derivative of the other; where `hard` is zero it stays exactly zero."""
    return hard.astype(soft.dtype) - jax.lax.stop_gradient(soft) + soft


def _by_cell(space: Any, function: Callable[[str, jax.Array], jax.Array]) -> Relaxation:
    """A relaxation that reads no alphas: function(kind, key) of every kind, with a key of its own."""

    def relaxation(alphas, key, clock):
        keys = jax.random.split(key, len(space.cells))
        return {kind: function(kind, k) for k, kind in zip(keys, sorted(space.cells), strict=True)}

    return relaxation


def _by_kind(function: Callable[[jax.Array, jax.Array], jax.Array], alphas: Alphas, key: jax.Array) -> Mix:
    """Apply function(table, key) to every kind's table with a key of its own."""
    keys = jax.random.split(key, len(alphas))
    return {kind: function(alphas[kind], k) for k, kind in zip(keys, sorted(alphas), strict=True)}
