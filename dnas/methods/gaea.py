"""GAEA: weights of operations are distributions themselves, trained by exponentiated gradient.

    p <- p exp(-rate dF/dp) / sum

Mirror descent on the simplex finds sparse mixes, which lose less when they are discretised. Li, Khodak, Balcan and
Talwalkar, "Geometry-Aware Gradient Algorithms for Neural Architecture Search", ICLR 2021, arXiv:2004.07802. Reference
code: liamcli/gaea_release, followed in the floor under the weights of operations, in the uniform start, and in that
`search.alphas.decay` weighs the relative entropy to the uniform mix and `clip` leaves edges out. Bilevel, or with
`search.levels` single on one loss (empirical risk minimisation), where theirs draws a batch of its own for the alphas.
The paper's `search.alphas.learning_rate` is 0.1 and its decay 0, as in experiments/gaea.py.
"""

from typing import Annotated

from dnas.errors import unknown
from dnas.ranges import Parts, Rate, beside
from dnas.search import relax, supernets
from dnas.search.alpha_tx import GEOMETRIES, gradient_descent
from dnas.search.method import Method


def method(
    *,
    partial: Parts = 1,
    edges: bool = False,
    edge_rate: Annotated[Rate, beside(edges=True)] = 0.1,
    geometry: str = "exponentiated",
) -> Method:
    """GAEA on the space as it is, or with `partial=4,edges=true` on that of PC-DARTS.

    edges: learn weights of edges, at `edge_rate`. geometry: "euclidean" for plain steps, for comparison.
    """
    if geometry not in GEOMETRIES:
        raise unknown("geometry of method 'gaea':", geometry, GEOMETRIES)
    return Method(
        alphas=relax.uniform_with_edges if edges else relax.uniform,
        relax=relax.simplex_with_edges if edges else relax.simplex,
        alpha_tx=lambda config: gradient_descent(config, edge_rate),
        move=GEOMETRIES[geometry],
        supernet=supernets.partial_channels(partial),
    )
