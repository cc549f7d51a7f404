"""REINFORCE: a categorical distribution for each decision, stepped by policy gradient. Williams 1992; in NAS-Bench-201.

As there (D-X-Y/AutoDL-Projects, `reinforce.py`): one sample a step, Adam, no entropy term; the baseline is a
bias-corrected moving average of the scores, which the score joins before it is subtracted.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dnas.blackbox.searcher import Problem, Searcher, Strategy
from dnas.ranges import Factor, Portion

INITIAL_SCALE = 1e-3


class Policy(NamedTuple):
    """logits: [D, O], minus infinity where there is no option. average, weight: of the scores so far."""

    logits: jax.Array
    optimiser: Any
    average: jax.Array
    weight: jax.Array


def searcher(*, learning_rate: Factor = 0.01, momentum: Portion = 0.9) -> Strategy:
    """`learning_rate` of Adam, as in NATS-Bench; `momentum` of the baseline."""
    adam = optax.adam(learning_rate)

    def build(problem: Problem) -> Searcher:
        options = np.array(problem.decisions.options)
        exists = np.arange(options.max()) < options[:, None]

        def init(key: jax.Array) -> Policy:
            logits = jnp.where(exists, INITIAL_SCALE * jax.random.normal(key, exists.shape), -jnp.inf)
            return Policy(logits, adam.init(jnp.zeros(exists.shape)), jnp.float32(0), jnp.float32(0))

        def ask(state: Policy, key: jax.Array) -> tuple[Policy, jax.Array]:
            return state, jax.random.categorical(key, state.logits).astype(jnp.int32)

        def tell(state: Policy, architecture: jax.Array, score: jax.Array) -> Policy:
            average = momentum * state.average + (1 - momentum) * score
            weight = momentum * state.weight + (1 - momentum)
            advantage = score - average / weight
            chosen = jax.nn.one_hot(architecture, exists.shape[1])
            gradient = advantage * (jax.nn.softmax(state.logits) - chosen)  # of minus the expected score
            updates, optimiser = adam.update(gradient, state.optimiser)
            return Policy(state.logits + updates, optimiser, average, weight)

        return Searcher(init, ask, tell)

    return Strategy(build)
