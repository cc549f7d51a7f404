"""quark0/darts: what its networks of images are called, their sizes, and how they see images."""

from collections.abc import Iterator, Mapping

import numpy as np

from dnas.interop.walk import Pair, chain, operations, pairs_of
from dnas.spaces import darts

# of the operations in a derived cell and in a cell of a supernet, and of an auxiliary one there
EDGE_NAMES = "_ops.{edge}", "_ops.{edge}._ops.{column}", "_ops.{edge}.auxiliary_op"
STEM_MULTIPLIER = 3  # channels of the stem for small images, for one of the cells
MOMENTS = {  # mean and std of images in [0, 1], by stem: of CIFAR-10, of ImageNet
    "cifar": ((0.49139968, 0.48215827, 0.44653124), (0.24703233, 0.24348505, 0.26158768)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def size_of(arrays: Mapping[str, np.ndarray]) -> dict[str, int | str | bool]:
    """Cells, channels, stem and auxiliary head of the network that has these arrays. Errors: `KeyError`."""
    large = "stem0.0.weight" in arrays
    channels = len(arrays["stem1.1.weight"]) if large else len(arrays["stem.0.weight"]) // STEM_MULTIPLIER
    cells = 1 + max(int(name.split(".")[1]) for name in arrays if name.startswith("cells."))
    auxiliary = any(name.startswith("auxiliary_head.") for name in arrays)
    return {"cells": cells, "channels": channels, "stem": "imagenet" if large else "cifar", "auxiliary": auxiliary}


def walk(net: darts.Backbone) -> Iterator[Pair]:
    stems = ["stem"] if len(net.stem) == 1 else ["stem0", "stem1"]
    for i, name in enumerate(stems):
        yield from chain(net.stem[i], name, ("backbone", "stem", i))
    for s, (stage, (_, cells)) in enumerate(zip(net.stages, net.plan, strict=True)):
        path = ("backbone", "stages", s)
        for i, cell in enumerate(cells):
            prefix = f"cells.{cell}"
            older = (stage.entry[2 * i], (*path, "entry", 2 * i), ()) if i < 2 else None
            newer = (stage.entry[1], (*path, "entry", 1), ()) if i < 1 else None
            for key, place in (
                ("preprocess0", older or (stage.older, (*path, "older"), (i - 2,))),
                ("preprocess1", newer or (stage.newer, (*path, "newer"), (i - 1,))),
            ):
                yield from pairs_of(place[0], f"{prefix}.{key}", *place[1:])
            yield from operations(stage.core, EDGE_NAMES, prefix, (*path, "core"), i)
    yield from pairs_of(net.auxiliary, "auxiliary_head", ("backbone", "auxiliary"))
    yield from pairs_of(net.classifier, "classifier", ("backbone", "classifier"))
