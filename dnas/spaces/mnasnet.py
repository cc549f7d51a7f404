"""MnasNet: seven blocks of equal layers; each decides operation, kernel, squeeze-excite, skip, filters and layers.

Tan et al., "MnasNet: Platform-Aware Neural Architecture Search for Mobile", CVPR 2019, arXiv:1807.11626 (section 4.1),
around MobileNetV2: filters are shares of its own, to multiples of 8, layers one less or one more. Operations are a
convolution, a depthwise separable one, and inverted residuals of expansion 3 and 6, which are those of the networks
that they found. The skip is nothing, the input where the shape stays, or its mean over 3x3 pixels where the channels
do. The first layer of a block may stride.

Their networks A1 and B1 have 112 and 192 filters where MobileNetV2 has 96 and 160: shares of 1.2, not 1.25 as the paper
says. `filters=0.75+1+1.2` has both of them. A decision stands for several layers, and other decisions say what shape
its weights have, so there is no supernet: search it black-box, as they did.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, NoReturn

from flax import nnx

from dnas.architectures.blocks import Block, genotype_of, rounded, write
from dnas.architectures.genotype_data import Genotype, shown
from dnas.architectures.topology import Cell, NetworkSize, Norm, Space
from dnas.errors import UserError, unknown
from dnas.nets import chain
from dnas.spaces import layers

EXPANSIONS = {"separable": 1, "mb3": 3, "mb6": 6}  # of operations with a depthwise convolution
MOBILENET_V2 = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
SIZES = {  # stem, (filters, layers, stride) of every block, head
    "imagenet": ("conv3_c32_s2", MOBILENET_V2, "conv1_c1280"),
    "cifar": (
        "conv3_c32",
        tuple((c, n, 1 if place == 1 else s) for place, (c, n, s) in enumerate(MOBILENET_V2)),
        "conv1_c1280",
    ),
    "tiny": ("conv3_c8", ((8, 1, 1), (16, 2, 2)), "conv1_c32"),
}


def space(*, size: str = "imagenet", filters: str = "0.75+1+1.25") -> Space:
    """`size`: imagenet, as published, for 224 pixels; cifar, for 32; tiny, two blocks. filters: shares `a+b+c` of those
    of MobileNetV2; of shares that give as many filters one counts."""
    stem, blocks, head = layers.sized("mnasnet", SIZES, size)
    shares = shares_of(filters)
    edges = tuple((number + 1, number) for number in range(len(blocks)))
    rows: dict[str, list[tuple[str, ...]]] = {
        "operation": [("conv", *EXPANSIONS)] * len(blocks),
        "kernel": [("3", "5")] * len(blocks),
        "squeeze": [("0", "0.25")] * len(blocks),
        "skip": [("none", "identity", "pool")] * len(blocks),
        "filters": [tuple(dict.fromkeys(str(rounded(share * c)) for share in shares)) for c, _, _ in blocks],
        "layers": [tuple(str(n + more) for more in (-1, 0, 1) if n + more) for _, n, _ in blocks],
    }
    cells = {
        name: Cell(inputs=1, nodes=len(edges), edges=edges, operations=tuple(options)) for name, options in rows.items()
    }
    around = Around(stem, tuple(stride for _, _, stride in blocks), head)
    return Space(
        name="mnasnet",
        cells=cells,
        operations=dict.fromkeys((name for options in rows.values() for row in options for name in row), _no_operation),
        backbone=_no_operation,
        search_norm=layers.AFFINE,
        network_norm=layers.AFFINE,
        supernet=_no_supernet,
        network=_network,
        sizes=("remat",),
        chain=True,
        chain_of=partial(_chain_of, cells=cells, around=around),
        joint=True,
    )


class Around(NamedTuple):
    """What no decision is about: the words of stem and head, and the stride of every block."""

    stem: str
    strides: tuple[int, ...]
    head: str


def shares_of(text: str) -> tuple[float, ...]:
    """`"0.75+1"` -> (0.75, 1.0). Errors: `UserError` for what are no shares from 0.1 to 10, each once."""
    try:
        found = tuple(float(part) for part in text.split("+"))
    except ValueError:
        found = ()
    if not found or len(set(found)) < len(found) or not all(0.1 <= share <= 10 for share in found):
        raise UserError(
            f"The filters '{text}' of space 'mnasnet' are no shares of those of MobileNetV2: write numbers from 0.1 to "
            "10, each once, as in 0.75+1+1.25."
        )
    return found


def _chain_of(genotype: Genotype, *, cells: Mapping[str, Cell], around: Around) -> Genotype:
    """All blocks of the network of a genotype. Errors: `UserError` for decisions that the space does not have."""
    found = {kind: [edge.operation for edge in cell.edges] for kind, cell in genotype.cells}
    if {kind: len(options) for kind, options in found.items()} != dict.fromkeys(cells, len(around.strides)):
        raise UserError(
            f"A genotype of 'mnasnet' decides {', '.join(cells)} once for each of {len(around.strides)} blocks, and "
            f"this one has {shown({kind: len(options) for kind, options in found.items()})}: give one of this size."
        )
    for kind, options in found.items():
        for number, (option, known) in enumerate(zip(options, cells[kind].operations, strict=True), 1):
            if option not in known:
                raise unknown(f"{kind} of block {number} of 'mnasnet':", option, known)
    words = list[str]()
    for number, stride in enumerate(around.strides):
        one = {kind: options[number] for kind, options in found.items()}
        first = _layer(one, stride)
        words += [write(first), *[write(replace(first, stride=1))] * (int(one["layers"]) - 1)]
    return genotype_of("chain", [around.stem, *words, around.head])


def _layer(one: Mapping[str, str], stride: int) -> Block:
    """The first layer of a block with these decisions."""
    kernel, channels, squeeze = int(one["kernel"]), int(one["filters"]), 4 if one["squeeze"] == "0.25" else 0
    pooled = one["skip"] == "pool"
    sizes: dict[str, Any] = {"channels": channels, "stride": stride, "squeeze": squeeze, "pooled": pooled}
    if one["operation"] == "conv":
        return Block("conv", kernel, added=one["skip"] == "identity", **sizes)
    return Block("mb", kernel, expansion=EXPANSIONS[one["operation"]], residual=one["skip"] != "none", **sizes)


def _network(
    genotype: Genotype, space: Space, size: NetworkSize, *, norm: Norm | None = None, rngs: nnx.Rngs
) -> chain.Network:
    return chain.Network(layers.whole(genotype, space), space, size, norm=norm, rngs=rngs)


def _no_supernet(space: Space, size: NetworkSize, *, rngs: nnx.Rngs) -> NoReturn:
    raise UserError(
        "The space 'mnasnet' has no supernet, so no method can train its networks together: search it with dnas "
        "blackbox, or choose a space that has one, as 'fbnet' or 'proxyless'."
    )


def _no_operation(*_: Any, **__: Any) -> NoReturn:
    raise UserError("The options of 'mnasnet' are no operations by themselves: build networks with its 'network'.")
