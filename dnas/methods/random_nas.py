"""RandomNAS-WS: weights shared by uniformly random architectures, then a random search among them by accuracy.

    w = argmin E_{a uniform} L(w, a),   a* = argmax over samples of accuracy(w, a)

Li and Talwalkar, "Random Search and Reproducibility for Neural Architecture Search", UAI 2019, arXiv:1902.07638.
Reference code: liamcli/randomNAS_release. Each step trains one architecture. At the end, in each of `rounds`,
`samples` architectures are ranked on one validation batch and the `finalists` on the whole validation part; the best
of all rounds counts. (The code takes a round for every 10,000 steps.) There are no alphas to train: until then the
genotype is that of one random architecture.
"""

from dataclasses import replace
from functools import partial

from dnas.errors import UserError
from dnas.ranges import Count
from dnas.search import relax, select
from dnas.search.method import Method


def method(*, rounds: Count = 5, samples: Count = 1000, finalists: Count = 10) -> Method:
    """How many architectures are tried at the end."""
    if finalists > samples:
        raise UserError(f"Method 'random_nas' cannot rank {finalists} finalists of {samples} samples: choose fewer.")
    return Method(
        hypergrad=None,
        supernet=lambda space: replace(space, paths="one"),
        select=select.random_search(rounds, samples, finalists),
        select_within=partial(select.random_search, rounds, samples, finalists),
        adapt=lambda method, space, config: replace(method, relax=relax.uniform_path(space)),
    )
