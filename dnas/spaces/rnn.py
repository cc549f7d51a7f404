"""DARTS' recurrent cell: 8 nodes, 36 edges and 5 activations, in a language model with tied embedding.

Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, arXiv:1806.09055, section 3.1.2; after
quark0/darts `rnn/`. A node of a genotype has one input; the cell outputs the mean of its nodes. Networks have one cell,
whose width `channels` is that of the embedded words as well: 300 in the paper's search, 850 on Penn Treebank.
"""

from functools import partial
from typing import Annotated

from dnas.architectures.topology import Cell, Norm, Space, all_edges
from dnas.nets.activations import ACTIVATIONS
from dnas.nets.recurrent import Backbone, Dropout, RecurrentNetwork, RecurrentSupernet
from dnas.ranges import Portion, Range
from dnas.spaces import candidates

PRIMITIVES = ("none", "tanh", "relu", "sigmoid", "identity")


def space(
    *,
    nodes: Annotated[int, Range(1, 16)] = 8,
    operations: str = "+".join(PRIMITIVES),
    words: Portion = 0.0,
    embedded: Portion = 0.2,
    inputs: Portion = 0.75,
    hidden: Portion = 0.25,
    outputs: Portion = 0.75,
    norm: bool = True,
) -> Space:
    """The space with `nodes` nodes and the activations `a+b+c` on every edge.

    words, embedded, inputs, hidden, outputs: rates of `recurrent.Dropout`, of the supernet and of networks. norm:
    whether the states of the supernet are normalised; without, it is equal to the network of a one-hot mix.
    """
    names, edges = candidates.named(operations, ACTIVATIONS), all_edges(1, nodes)
    rates = Dropout(words, embedded, inputs, hidden, outputs)
    cell = Cell(
        inputs=1,
        nodes=nodes,
        edges=edges,
        operations=(names,) * len(edges),
        concat=tuple(range(1, 1 + nodes)),
        kept=1,
    )
    return Space(
        name="rnn",
        cells={"recurrent": cell},
        operations=ACTIVATIONS,
        backbone=Backbone,
        search_norm=Norm(affine=False, pools=False),
        network_norm=Norm(affine=False, pools=False),
        supernet=partial(RecurrentSupernet, rates=rates, norm=norm),
        network=partial(RecurrentNetwork, rates=rates),
        takes="tokens",
        sizes=("cells", "remat"),
        recurrent=True,
        draws=any(rates),
    )
