"""DrNAS: the mix of an edge is a sample of a Dirichlet distribution, whose concentration is learned.

    mix ~ Dir(elu(a) + 1),   min_a E F(w*, mix) + scale * d(Dir(elu(a) + 1), Dir(1))

Randomness explores, pathwise derivatives train it, and progressive phases - fewer operations, more channels - pay for
a search at the size of the final network. Chen, Wang, Cheng, Tang and Hsieh, "DrNAS: Dirichlet Neural Architecture
Search", ICLR 2021, arXiv:2006.10355. Reference code: xiangning-chen/DrNAS, followed in the two phases with one learning
rate schedule, in widened weights, and in that softmax(a) ranks edges and operations. Not in that gammas are
differentiated rather than the whole sample (`relax.dirichlet`).
"""

from typing import Annotated

from dnas.errors import unknown
from dnas.ranges import Acts, Amount, beside
from dnas.search import penalty, phases, relax, supernets
from dnas.search.method import Method, Phase

DISTANCES = ("l2", "kl")


def method(
    *,
    partial: str = "6+4",
    keep: Annotated[str, Acts("several phases, as in partial=6+4,", lambda given: "+" in given["partial"])] = "4",
    distance: str = "l2",
    scale: Annotated[Amount, beside(distance="kl")] = 1e-3,
) -> Method:
    """The phases share `search.epochs`; warm-up epochs are those of each.

    partial: 1/partial of the channels passes through the operations, for each phase (NAS-Bench-201: 4+2); `1` is one
    phase without it. keep: how many operations an edge keeps, for each phase but the first (NAS-Bench-201: 3).
    distance: to the prior, "l2" of the alphas to 0, which is `search.alphas.decay`, or "kl" times `scale`, where
    `search.alphas.decay` should be 0.
    """
    parts = phases.numbers(int, "partial", partial)
    kept = phases.kept(keep, len(parts))
    if distance not in DISTANCES:
        raise unknown("distance of method 'drnas':", distance, DISTANCES)

    def plan(space, config):
        shares = phases.split(config, len(parts))
        phases.check_kept(kept, space)
        return tuple(
            Phase(share, supernets.partial_channels(part), keep=number, continues=i > 0)
            for i, (share, part, number) in enumerate(zip(shares, parts, kept, strict=True))
        )

    return Method(
        relax=relax.dirichlet,
        evaluation_mix=relax.keyless(relax.softmax),
        penalty=penalty.dirichlet_kl(scale) if distance == "kl" else None,
        phases=plan,
    )
