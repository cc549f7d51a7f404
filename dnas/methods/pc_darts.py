"""PC-DARTS: a part of the channels passes through the operations, and edges have weights of their own.

    node_j = sum_i softmax_i(b_ij) [sum_o softmax_o(a_ij) o(first 1/K of node_i), rest of node_i]    (sections 3.2, 3.3)

Sampled channels save memory for larger batches and keep operations without weights from an early lead; they unsettle
the choice of edges, which weights of their own steady. Xu et al., "PC-DARTS: Partial Channel Connections for
Memory-Efficient Architecture Search", ICLR 2020, arXiv:1907.05737. Reference code: yuhuixu1993/PC-DARTS. As in the code
the channels are always the first, shuffled behind every node, and the genotype reads operation times edge.
"""

from dnas.ranges import Parts
from dnas.search import relax, supernets
from dnas.search.method import Method


def method(*, partial: Parts = 4) -> Method:
    """`partial`: 1/partial of the channels passes through the operations."""
    return Method(
        alphas=relax.noise_with_edges,
        relax=relax.edge_normalised(relax.softmax),
        supernet=supernets.partial_channels(partial),
    )
