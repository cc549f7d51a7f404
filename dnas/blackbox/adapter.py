"""Traced searchers as searchers on the host: what they propose is what they would in a traced loop."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dnas import keys
from dnas.blackbox.jobs import Job
from dnas.blackbox.searcher import HostSearcher, Proposal, Searcher
from dnas.blackbox.traced import key_of_run


def searchers(job: Job) -> Callable[[int], HostSearcher]:
    """run -> its searcher; compiled once for all of them."""
    config, strategy = job.config, job.strategy
    if strategy.host is not None:
        made = strategy.host
        return lambda run: made(job.problem, keys.generator(config.seed, f"blackbox run {run}"))
    assert strategy.build is not None
    traced = strategy.build(job.problem)
    compiled = Searcher(jax.jit(traced.init), jax.jit(traced.ask), jax.jit(traced.tell))
    return lambda run: _Traced(compiled, key_of_run(config.seed, run), strategy.several)


class _Traced:
    """A traced searcher with its state; several: whether it takes all objectives."""

    def __init__(self, searcher: Searcher, key: jax.Array, several: bool):
        self.searcher, self.key, self.several, self.asked = searcher, key, several, 0
        self.state: Any = searcher.init(keys.stream(key, "init"))

    def ask(self) -> Proposal:
        self.state, architecture = self.searcher.ask(self.state, keys.stream(self.key, "ask", self.asked))
        self.asked += 1
        return Proposal(np.asarray(architecture))

    def tell(self, proposal: Proposal, scores: np.ndarray) -> None:
        told = jnp.asarray(scores if self.several else scores[0], jnp.float32)
        self.state = self.searcher.tell(self.state, jnp.asarray(proposal.architecture, jnp.int32), told)
