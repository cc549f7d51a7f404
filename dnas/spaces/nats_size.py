"""NATS-Bench's size space: five layers, each with one of eight numbers of channels, 32,768 networks of one cell.

Dong et al., "NATS-Bench: Benchmarking NAS Algorithms for Architecture Topology and Size", TPAMI 2021, arXiv:2009.00437;
the network, and the supernet by masked channels, are in `nets/sized.py`. Their text 8:16:64:8:8 is
`nats_size(channels=[8, 16, 64, 8, 8])` here. Their results of this space are not with this project, so there is no
table of it.
"""

from typing import Any, NoReturn

from dnas.architectures.topology import Cell, Norm, Space
from dnas.errors import UserError
from dnas.nets.sized import KIND, LAYERS, Network, Supernet
from dnas.spaces import layers

SIZES = {
    "cifar": tuple(str(8 * number) for number in range(1, 9)),
    "tiny": ("8", "16", "24"),
}


def space(*, size: str = "cifar") -> Space:
    """`size`: cifar, as published, for images of 32 and of 16 pixels; tiny, with 8, 16 and 24 channels."""
    widths = layers.sized("nats_size", SIZES, size)
    edges = tuple((number + 1, number) for number in range(LAYERS))
    return Space(
        name="nats_size",
        cells={KIND: Cell(inputs=1, nodes=LAYERS, edges=edges, operations=(widths,) * LAYERS)},
        operations=dict.fromkeys(widths, _no_operation),
        backbone=_no_operation,
        search_norm=Norm(affine=False, pools=False),
        network_norm=Norm(affine=True, pools=False),
        supernet=Supernet,
        network=Network,
        sizes=(),
        own_size=True,
        joint=True,
    )


def _no_operation(*_: Any, **__: Any) -> NoReturn:
    raise UserError("The options of 'nats_size' are widths and no operations: build networks with its 'network'.")
