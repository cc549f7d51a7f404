"""Traced searchers as searchers on the host: what they propose is what they would in a traced loop."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dnas import keys
from dnas.blackbox import warmup
from dnas.blackbox.jobs import REFUSALS, Job
from dnas.blackbox.searcher import HostSearcher, Proposal, Searcher
from dnas.blackbox.traced import key_of_run
from dnas.blackbox.warmup import Openings


def searchers(job: Job, opening: Openings | None = None) -> Callable[[int], HostSearcher]:
    """run -> its searcher, compiled once for all of them. opening: what they begin with."""
    config, strategy = job.config, job.strategy
    if strategy.host is not None:
        made = strategy.host

        def host(run: int) -> HostSearcher:
            first = () if opening is None else tuple(opening.first[run])
            return made(job.problem._replace(first=first), keys.generator(config.seed, f"blackbox run {run}"))

        return host
    assert strategy.build is not None
    own = strategy.build(job.problem)
    traced = own if opening is None else warmup.opened(own)
    compiled = Searcher(jax.jit(traced.init), jax.jit(traced.ask), jax.jit(traced.tell))

    def of_run(run: int) -> HostSearcher:
        first = () if opening is None else (jnp.asarray(opening.first[run]),)
        return _Traced(job, compiled, key_of_run(config.seed, run), first)

    return of_run


class _Traced:
    """A traced searcher with its state. first: what it begins with, if it is `warmup.opened`.

    Of a proposal beyond the limits it is told nothing: it is asked again in the same state, with another key.
    Errors: `UserError` where `REFUSALS` in a row are beyond.
    """

    def __init__(self, job: Job, searcher: Searcher, key: jax.Array, first: tuple[jax.Array, ...]):
        self.job, self.searcher, self.key, self.asked = job, searcher, key, 0
        self.state: Any = searcher.init(keys.stream(key, "init"), *first)

    def ask(self) -> Proposal:
        key = keys.stream(self.key, "ask", self.asked)
        for again in range(REFUSALS):
            state, architecture = self.searcher.ask(self.state, keys.stream(key, "again", again) if again else key)
            if self.job.allows(np.asarray(architecture)):
                self.state, self.asked = state, self.asked + 1
                return Proposal(np.asarray(architecture))
        raise self.job.refused

    def tell(self, proposal: Proposal, scores: np.ndarray) -> None:
        told = jnp.asarray(scores if self.job.strategy.several else scores[0], jnp.float32)
        self.state = self.searcher.tell(self.state, jnp.asarray(proposal.architecture, jnp.int32), told)
