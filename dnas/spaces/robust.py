"""S1 to S4: DARTS spaces of few operations, on which DARTS fails.

Zela et al., "Understanding and Robustifying Differentiable Architecture Search", ICLR 2020, arXiv:1909.09656; the
operations follow automl/RobustDARTS `src/spaces.py`. S1: on every edge the two operations that an earlier search
preferred; S2: skip connection and separable convolution; S3: these and `none`; S4: noise and separable convolution.
"""

from dataclasses import replace
from typing import Annotated

from dnas.architectures.topology import Space
from dnas.errors import UserError, unknown
from dnas.ranges import Range
from dnas.spaces import candidates, darts

EVERYWHERE = {
    "s2": ("skip_connect", "sep_conv_3x3"),
    "s3": ("none", "skip_connect", "sep_conv_3x3"),
    "s4": ("noise", "sep_conv_3x3"),
}
SKIP, MAX, AVG = "skip_connect", "max_pool_3x3", "avg_pool_3x3"
SEP3, DIL3, DIL5 = "sep_conv_3x3", "dil_conv_3x3", "dil_conv_5x5"
S1 = {  # of the 14 edges
    "normal": (
        (SKIP, DIL3),
        (SKIP, DIL5),
        (SKIP, DIL5),
        (SKIP, SEP3),
        (SKIP, DIL3),
        (MAX, SKIP),
        (SKIP, SEP3),
        (SKIP, SEP3),
        (SKIP, DIL3),
        (SKIP, SEP3),
        (MAX, SKIP),
        (SKIP, DIL3),
        (DIL3, DIL5),
        (DIL3, DIL5),
    ),
    "reduce": (
        (MAX, AVG),
        (MAX, DIL3),
        (MAX, AVG),
        (MAX, AVG),
        (SKIP, DIL5),
        (MAX, AVG),
        (MAX, SEP3),
        (SKIP, DIL3),
        (SKIP, DIL5),
        (MAX, AVG),
        (MAX, AVG),
        (SKIP, DIL5),
        (SKIP, DIL5),
        (SKIP, DIL5),
    ),
}


def space(*, name: str = "s1", nodes: Annotated[int, Range(1, 16)] = 4) -> Space:
    """The space "s1", "s2", "s3" or "s4", of the first `nodes` nodes of its cells."""
    if name not in ("s1", *EVERYWHERE):
        raise unknown("name of space 'robust':", name, ("s1", *EVERYWHERE))
    if name == "s1" and nodes > 4:
        raise UserError(f"The cells of S1 have 4 nodes, not {nodes}: choose at most 4, or another of these spaces.")
    base = darts.space(nodes=nodes)
    cells = {
        kind: replace(
            cell,
            operations=S1[kind][: len(cell.edges)] if name == "s1" else (EVERYWHERE[name],) * len(cell.edges),
        )
        for kind, cell in base.cells.items()
    }
    return replace(base, name="robust", cells=cells, random=candidates.random(EVERYWHERE.get(name, ())))
