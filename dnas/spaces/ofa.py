"""OFA: MobileNetV3 with elastic kernels {3, 5, 7}, expansions {3, 4, 6}, depths {2, 3, 4} of five stages, resolutions.

Cai et al., "Once-for-All: Train One Network and Specialize it for Efficient Deployment", ICLR 2020, arXiv:1908.09791
(section 4.1); widths and blocks as in mit-han-lab/once-for-all. Every stage has as many blocks as its largest depth,
and what a genotype says of blocks beyond its depth counts for nothing: `networks` are fewer than genotypes.
"""

from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Annotated, Any, NamedTuple

from dnas.architectures.blocks import genotype_of, of_size, parse, rounded, write
from dnas.architectures.genotype_data import Genotype, shown
from dnas.architectures.topology import Cell, Norm, Space
from dnas.errors import UserError
from dnas.nets.chain import Network
from dnas.nets.elastic import Plan, Supernet, reorganised, widths_of
from dnas.ranges import Range
from dnas.spaces import layers
from dnas.spaces.tabular import in_no_cell


class Size(NamedTuple):
    """The networks of one size: their stem, stages `(channels, stride, squeeze, activation)` and head, and the options.
    fixed: whether the first block after the stem has no options and stands before the stages."""

    stem: str
    stages: tuple[tuple[int, int, bool, str], ...]
    head: tuple[str, ...]
    kernels: str = "3+5+7"
    expansions: str = "3+4+6"
    depths: str = "2+3+4"
    resolutions: str = ""
    fixed: bool = True


def _stages(strides: str) -> tuple[tuple[int, int, bool, str], ...]:
    widths, squeezed = (24, 40, 80, 112, 160), (False, True, False, True, True)
    activations = ("relu", "relu", "hswish", "hswish", "hswish")
    return tuple(zip(widths, map(int, strides), squeezed, activations, strict=True))


HEAD = ("conv1_c960_hswish", "pool", "dense_c1280_hswish_nobias", "logits")
SIZES = {
    "imagenet": Size("conv3_c16_s2_hswish", _stages("22212"), HEAD, resolutions="128+160+192+224"),
    "cifar": Size("conv3_c16_hswish", _stages("12212"), HEAD, resolutions="24+28+32"),
    "tiny": Size(
        "conv3_c8_hswish",
        ((8, 1, False, "relu"), (16, 2, True, "hswish")),
        ("conv1_c32_hswish", "pool", "logits"),
        kernels="3+5",
        expansions="2+3",
        depths="1+2",
        fixed=False,
    ),
}
NONE = ("", "none")  # one resolution, that of the images


def space(
    *,
    size: str = "imagenet",
    width: Annotated[float, Range(0.05, 8)] = 1.0,
    kernels: str = "",
    expansions: str = "",
    depths: str = "",
    resolutions: str = "",
) -> Space:
    """`size`: imagenet, as published but for fewer resolutions; cifar, for 32 pixels; tiny, four blocks. `width`: by
    which all channels are multiplied (published: 1 and 1.2). The options `a+b+c` of each decision, ascending; empty:
    those of the size. `resolutions`: pixels of a side; none: images are as they come."""
    own = layers.sized("ofa", SIZES, size)
    options = {
        "kernel": _options("kernels", kernels or own.kernels, 3, 31),
        "depth": _options("depths", depths or own.depths, 1, 16),
        "expansion": _options("expansions", expansions or own.expansions, 2, 32),
    }
    if any(kernel % 2 == 0 for kernel in options["kernel"]):
        raise UserError(f"A kernel of the space 'ofa' has an odd number of pixels on a side, and '{kernels}' has not.")
    written = resolutions or own.resolutions
    if written not in NONE:
        options["resolution"] = _options("resolutions", written, 8, 4096)
    plan = _plan(own, width, options)
    blocks = sum(map(len, plan.stages))
    lengths = {"kernel": blocks, "depth": len(plan.stages), "expansion": blocks, "resolution": 1}
    named = {kind: tuple(map(str, values)) for kind, values in options.items()}
    norm = Norm(affine=True, pools=False)
    return Space(
        name="ofa",
        cells={kind: _cell(lengths[kind], names) for kind, names in named.items()},
        operations=dict.fromkeys((name for names in named.values() for name in names), in_no_cell),
        backbone=in_no_cell,
        search_norm=norm,
        network_norm=norm,
        supernet=partial(Supernet, plan=plan),
        network=partial(_network, plan=plan),
        sizes=("remat",),
        chain=True,
        chain_of=partial(chain_of, plan=plan),
        joint=True,
        reorder=partial(reordered, plan=plan),
    )


def chain_of(genotype: Genotype, *, plan: Plan) -> Genotype:
    """All blocks of the network of a genotype, as one of the space "chain". Errors: `UserError` for any other."""
    chosen = {kind: [edge.operation for edge in cell.edges] for kind, cell in genotype.cells}
    lengths = {"kernel": sum(map(len, plan.stages)), "depth": len(plan.stages)}
    expected = lengths | {"expansion": lengths["kernel"]} | ({"resolution": 1} if plan.resolutions else {})
    found = {kind: len(names) for kind, names in chosen.items()}
    if found != expected:
        raise UserError(f"A genotype of this space 'ofa' decides {shown(expected)}, and this one {shown(found)}.")
    words = [f"resize{chosen['resolution'][0]}"] if plan.resolutions else []
    words += plan.before
    number = 0
    for stage, depth, ends in zip(plan.stages, chosen["depth"], pairwise(plan.channels), strict=True):
        for place, word in enumerate(stage):
            if place < int(depth):
                (hidden,) = widths_of(ends[place > 0], [int(chosen["expansion"][number])])
                words.append(of_size(word, chosen["kernel"][number], hidden))
            number += 1
    return genotype_of("chain", [*words, *plan.after])


def networks(plan: Plan) -> int:
    """How many different networks there are: choices for blocks that a network has not count nothing."""
    block = len(plan.kernels) * len(plan.expansions)
    stage = sum(block**depth for depth in plan.depths)
    return stage ** len(plan.stages) * max(1, len(plan.resolutions))


def reordered(weights: Any, stats: Any, kind: str, opened: int, *, plan: Plan) -> tuple[Any, Any]:
    """What `topology.Space.reorder` is: channels are sorted before widths differ."""
    return reorganised(weights, stats, plan, opened) if kind == "expansion" else (weights, stats)


def _network(
    genotype: Genotype, space: Space, size: Any, *, plan: Plan, norm: Norm | None = None, rngs: Any
) -> Network:
    return Network(chain_of(genotype, plan=plan), space, size, norm=norm, rngs=rngs)


def _plan(own: Size, width: float, options: dict[str, tuple[int, ...]]) -> Plan:
    """The words of the largest network."""

    def scaled(word: str) -> str:
        block = parse(word)
        return write(replace(block, channels=rounded(width * block.channels)) if block.channels else block)

    before, stages = [scaled(own.stem)], list[tuple[str, ...]]()
    if own.fixed:
        before.append(scaled(f"mb3_e1_c{parse(own.stem).channels}"))
    for channels, stride, squeeze, activation in own.stages:
        parts = ["mb3_e1", f"c{channels}", *["s2"] * (stride == 2), *["se4h"] * squeeze]
        first = "_".join([*parts, *[activation] * (activation != "relu")])
        stages.append((scaled(first), *[scaled(first.replace("_s2", ""))] * (max(options["depth"]) - 1)))
    found = {kind: values for kind, values in options.items() if kind != "resolution"}
    after = tuple(map(scaled, own.head))
    return Plan(
        tuple(before),
        tuple(stages),
        after,
        tuple(parse(word).channels for word in (before[-1], *(stage[0] for stage in stages))),
        found["kernel"],
        tuple(map(float, found["expansion"])),
        found["depth"],
        options.get("resolution", ()),
    )


def _options(setting: str, text: str, least: int, most: int) -> tuple[int, ...]:
    """`"3+5+7"` -> (3, 5, 7). Errors: `UserError` for anything but ascending numbers within the limits."""
    parts = text.split("+")
    found = tuple(int(part) for part in parts if part.strip().isdecimal())
    if len(found) < len(parts) or list(found) != sorted({*found}) or not least <= found[0] <= found[-1] <= most:
        raise UserError(
            f"The setting '{setting}' of the space 'ofa' is '{text}', expected whole numbers from {least} to {most} in "
            "ascending order with + between them, as in 3+5+7."
        )
    return found


def _cell(length: int, names: tuple[str, ...]) -> Cell:
    """A decision for each of so many blocks, stages or networks."""
    return Cell(inputs=1, nodes=length, edges=tuple((i + 1, i) for i in range(length)), operations=(names,) * length)
