"""D-X-Y/AutoDL-Projects: what the networks of NAS-Bench-201 are called, their sizes, and how they see images."""

from collections.abc import Iterator, Mapping

import numpy as np

from dnas.interop.walk import Pair, chain, operations, pairs_of
from dnas.spaces import nasbench201

# of the operations in a derived cell and in a cell of a supernet, and of an auxiliary one there
EDGE_NAMES = "layers.{edge}", "edges.{node}<-{source}.{column}", "edges.{node}<-{source}.auxiliary_op"
STAGES = 3  # of cells, with a reduction between two
MOMENTS = {  # mean and std of images in [0, 1], by stem: of CIFAR-10
    "cifar": ((125.3 / 255, 123.0 / 255, 113.9 / 255), (63.0 / 255, 62.1 / 255, 66.7 / 255)),
}


def size_of(arrays: Mapping[str, np.ndarray]) -> dict[str, int | str | bool]:
    """Cells of a stage and channels of the network that has these arrays. Errors: `KeyError`."""
    cells = 1 + max(int(name.split(".")[1]) for name in arrays if name.startswith("cells."))
    channels = len(arrays["stem.0.weight"])
    return {"cells": (cells - STAGES + 1) // STAGES, "channels": channels, "stem": "cifar", "auxiliary": False}


def walk(net: nasbench201.Backbone) -> Iterator[Pair]:
    yield from chain(net.stem, "stem", ("backbone", "stem"))
    for s, stage in enumerate(net.stages):
        start = s * (net.cells + 1)
        if s:
            place = ("backbone", "reductions", s - 1)
            yield from pairs_of(net.reductions[s - 1], f"cells.{start - 1}", place)
        for i in range(net.cells):
            path = ("backbone", "stages", s)
            yield from operations(stage, EDGE_NAMES, f"cells.{start + i}", path, i)
    yield from pairs_of(net.last_norm, "lastact.0", ("backbone", "last_norm"))
    yield from pairs_of(net.classifier, "classifier", ("backbone", "classifier"))
