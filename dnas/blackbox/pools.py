"""Workers by what a user writes: `4` processes of this machine, or `ray`, or `ray:HOST:PORT`, those of a cluster."""

import re
from typing import NamedTuple

from dnas.blackbox import cluster
from dnas.blackbox.jobs import Job
from dnas.blackbox.workers import Here, Pool, Processes, on_host
from dnas.errors import UserError

MOST_WORKERS = 1024


class Crew(NamedTuple):
    """Who evaluates. size: processes of this machine, 0 for this one alone. cluster: whether a Ray cluster does, and
    its address, empty for one that is made of this machine."""

    size: int = 0
    cluster: bool = False
    address: str = ""

    def prepare(self) -> None:
        """Leave the accelerators to the workers, before JAX takes them for this process.

        Errors: `UserError` where there is no such cluster, before anything else takes time.
        """
        if self.cluster:
            cluster.check(self.address)
        if self != NOBODY:
            import jax

            jax.config.update("jax_platforms", "cpu")


NOBODY = Crew()


def parse(text: str) -> Crew:
    """Empty: this process evaluates. Errors: `UserError` for what names no workers."""
    if not text:
        return NOBODY
    name, colon, address = text.partition(":")
    if name == "ray" and bool(colon) == bool(address):
        return Crew(cluster=True, address=address)
    if not re.fullmatch(r"\d{1,6}", text) or not 1 <= int(text) <= MOST_WORKERS:
        raise UserError(
            f"Workers are a number from 1 to {MOST_WORKERS:,}, or ray, or ray:HOST:PORT of a cluster, not '{text}'."
        )
    return Crew(int(text))


def check(crew: Crew, job: Job) -> None:
    """Errors: `UserError` for several workers of a searcher that takes one step after the other."""
    if not job.strategy.parallel and (crew.size > 1 or crew.cluster):
        raise UserError(
            f"The searcher '{job.config.searcher}' decides by each score what to try next, so several workers would "
            "wait for one: leave out --workers, or choose another searcher."
        )


def made(crew: Crew, job: Job) -> Pool:
    """The workers, started. Errors: `UserError` where there is no such cluster."""
    if crew.cluster:
        return cluster.Cluster(job.config.evaluator, crew.address)
    return Processes(job.config.evaluator, crew.size) if crew.size else Here(on_host(job.evaluator))
