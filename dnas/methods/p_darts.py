"""P-DARTS: the supernet deepens from phase to phase while its operations are pruned, and skips are held back.

    phase 1: all operations, few cells;  phase 2: 5 operations, more cells;  phase 3: 3 operations, as many as evaluated

A deep search finds cells that are good when deep. Every phase begins with new weights and alphas; skip connections
drop values at a rate that decays, and the final normal cell keeps a few of them only. Chen, Xie, Wu and Tian,
"Progressive Differentiable Architecture Search", ICCV 2019, arXiv:1904.12760. Reference code: chenxin061/pdarts,
followed in the decay, in pruning by the softmax of every edge, and in how skips are struck
(`discretise.limited_skips`).
"""

from dataclasses import replace
from typing import Annotated

import jax.numpy as jnp

from dnas.errors import UserError
from dnas.ranges import Acts, Whole
from dnas.search import discretise, phases, supernets
from dnas.search.method import Method, Phase

DECAY = 0.2  # of the drop rate, per epoch behind the warm-up


def method(
    *,
    deeper: str = "0+6+12",
    keep: Annotated[str, Acts("several phases, as in deeper=0+6+12,", lambda given: "+" in given["deeper"])] = "5+3",
    dropout: str = "0.1+0.4+0.7",
    skips: Whole = 2,
) -> Method:
    """The phases share `search.epochs`; warm-up epochs are those of each.

    deeper: cells of each phase beside `search.cells` (published: 5). keep: how many operations an edge keeps, for each
    phase but the first. dropout: initial rate on skip connections in each phase. skips: most skip connections in a
    normal cell.
    """
    added = phases.numbers(int, "deeper", deeper)
    rates = phases.numbers(float, "dropout", dropout, len(added))
    kept = phases.kept(keep, len(added))
    if max(rates) >= 1:
        raise UserError(f"The setting 'dropout' is '{dropout}', but rates are at least 0 and below 1.")

    def plan(space, config):
        phases.check_kept(kept, space)
        return tuple(
            Phase(
                replace(share, cells=share.cells + more),
                keep=number,
                restart=True,
                drop_rate=decaying(rate, config.alphas.warmup_epochs),
            )
            for share, more, number, rate in zip(phases.split(config, len(added)), added, kept, rates, strict=True)
        )

    return Method(supernet=supernets.dropped_skips, phases=plan, discretise=discretise.limited_skips(skips))


def decaying(rate: float, warmup: int):
    """Linear in the epoch while the alphas warm up, then from `rate` on exponential."""

    def now(clock):
        linear = rate * (clock.epochs - clock.epoch - 1) / clock.epochs
        return jnp.where(clock.epoch < warmup, linear, rate * jnp.exp(-DECAY * (clock.epoch - warmup)))

    return now
