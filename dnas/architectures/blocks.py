"""Blocks of a chain as words: `mb3_e6_c24_s2_se4_swish` is an inverted residual with a 3x3 kernel, and so on.

    mb3_e6_c24_s2_se4_swish   inverted residual (MobileNetV2, arXiv:1801.04381): 1x1 to e times the channels, depthwise
                              3x3, squeeze-excite, 1x1 to 24 channels. `h72` for a hidden width in channels, `se4` for a
                              squeeze to 1/4 of the block's input, `se4h` to 1/4 of the hidden width (MobileNetV3),
                              `g2` for a projection in 2 groups with a channel shuffle (FBNet), `nores` for no shortcut,
                              `poolres` for one through the mean over 3x3 pixels (MnasNet), `convres` through the mean
                              over the stride and, where channels change, a 1x1 convolution (AttentiveNAS)
    conv3_c32_s2_relu6        convolution, norm, activation; `se4`, and `res` or `poolres` for a shortcut
    shuffle5_c160_s2          ShuffleNetV2's block (arXiv:1807.11164) with a 5x5 kernel; `xception_c160`: three of 3x3
    resize128                 the image, with so many pixels on a side
    skip, pool                nothing; the mean over the image
    dense_c1280_hswish        linear layer and activation; `nobias`
    logits_nobias             the classifier without a bias; with one where no word says so

Without `c` a block has as many channels as its input, without `s` a stride of 1. Parts stand in the order e or h, c, s,
se, g, activation (relu, which is not written, relu6, swish, hswish, linear), nores, res, poolres or convres, nobias.
No jax.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dnas.architectures.genotype_data import CellGenotype, Edge, Genotype
from dnas.errors import UserError

KIND = "block"  # of the cell of a genotype that is a chain of blocks
ACTIVATIONS = ("relu", "relu6", "swish", "hswish", "linear")
PARTS = {  # kind: the parts that its words may have
    "mb": ("expansion", "hidden", "channels", "stride", "squeeze", "groups", "activation", "nores"),
    "conv": ("channels", "stride", "squeeze", "activation", "res"),
    "shuffle": ("channels", "stride"),
    "xception": ("channels", "stride"),
    "resize": (),
    "skip": (),
    "pool": (),
    "dense": ("channels", "activation", "nobias"),
    "logits": ("nobias",),
}
BEHIND = ("dense", "logits")  # the mean over the image, which is added before the first of them
SIZED = ("mb", "conv", "shuffle", "resize")  # whose words have a number
HEAD = re.compile(r"(mb|conv|shuffle)([1-9]\d?)|(resize)([1-9]\d{0,3})|(xception|skip|pool|dense|logits)")
PART = {
    "expansion": re.compile(r"e(\d{1,3}(?:\.\d{1,4})?)"),
    "hidden": re.compile(r"h([1-9]\d{0,4})"),
    "channels": re.compile(r"c([1-9]\d{0,4})"),
    "stride": re.compile(r"s([12])"),
    "squeeze": re.compile(r"se([1-9]\d?)(h?)"),
    "groups": re.compile(r"g([2-9])"),
    "activation": re.compile("|".join(ACTIVATIONS)),
    "nores": re.compile("nores|poolres|convres"),
    "res": re.compile("res|poolres"),
    "nobias": re.compile("nobias"),
}


@dataclass(frozen=True)
class Block:
    """One block, as its word says. kernel: of a "resize" pixels of a side. channels: 0 for those of the input. squeeze:
    by what the channels of the input, or the hidden ones (`of_hidden`), are divided, 0 for no squeeze. residual:
    whether an inverted residual adds its input, where it fits; added: whether a convolution does; pooled: whether it is
    pooled first; projected: whether it is made to fit by a convolution. bias: of dense layers."""

    kind: str
    kernel: int = 1
    expansion: float = 1.0
    hidden: int = 0
    channels: int = 0
    stride: int = 1
    squeeze: int = 0
    of_hidden: bool = False
    groups: int = 1
    activation: str = "relu"
    residual: bool = True
    added: bool = False
    pooled: bool = False
    projected: bool = False
    bias: bool = True

    def outputs(self, inputs: int) -> int:
        """Channels that come out for so many that come in."""
        return self.channels or inputs

    def inner(self, inputs: int) -> int:
        """Hidden channels of an inverted residual."""
        return self.hidden or round(self.expansion * inputs)

    def squeezed(self, inputs: int) -> int:
        """Channels of the squeeze; 0 for none."""
        if not self.squeeze:
            return 0
        return rounded(self.inner(inputs) / self.squeeze) if self.of_hidden else max(1, inputs // self.squeeze)

    def keeps_shape(self, inputs: int) -> bool:
        """Whether what comes out is as large as what comes in."""
        return self.stride == 1 and self.outputs(inputs) == inputs

    def shortcut(self, inputs: int) -> bool:
        """Whether a block adds its input, or the mean of its surroundings: that has the block's stride."""
        if self.projected:
            return True
        if self.pooled:
            return self.outputs(inputs) == inputs
        return (self.residual if self.kind == "mb" else self.added) and self.keeps_shape(inputs)


class Placed(NamedTuple):
    """A block of a chain, the channels that enter it, and by how much the image is smaller there than at the start."""

    block: Block
    inputs: int
    reduced: int


def rounded(width: float, to: int = 8) -> int:
    """The nearest multiple, a multiple more where that is below 90 % (EfficientNet, MobileNetV3)."""
    nearest = max(to, int(width + to / 2) // to * to)
    return nearest + to if nearest < 0.9 * width else nearest


def parse(word: str) -> Block:
    """The block of a word. Errors: `UserError` that says what does not fit, or how it is written."""
    first, *rest = word.split("_")
    head = HEAD.fullmatch(first)
    if head is None:
        raise UserError(f"Cannot read the block '{word}': it begins with '{first}', expected {_kinds()}.")
    kind, kernel = head[1] or head[3] or head[5], int(head[2] or head[4] or 1)
    if kernel % 2 == 0 and kind != "resize":
        raise UserError(f"The block '{word}' has a kernel of {kernel}x{kernel} pixels: choose an odd size.")
    found: dict[str, str] = {}
    for text in rest:
        part = next((name for name in PARTS[kind] if PART[name].fullmatch(text)), None)
        if part is None or part in found:
            again = "stands twice" if part else f"is no part of a {kind} block ({', '.join(PARTS[kind]) or 'none'})"
            raise UserError(f"Cannot read the block '{word}': '{text}' {again}.")
        found[part] = text
    block = _of_parts(kind, kernel, found)
    if write(block) != word:
        raise UserError(f"The block '{word}' is written '{write(block)}'.")
    return block


def write(block: Block) -> str:
    """The word of a block."""
    kernel = block.kernel if block.kind in SIZED else ""
    parts = [f"{block.kind}{kernel}"]
    if block.kind == "mb":
        parts.append(f"h{block.hidden}" if block.hidden else f"e{block.expansion:g}")
    parts += [f"c{block.channels}"] * bool(block.channels) + [f"s{block.stride}"] * (block.stride > 1)
    parts += [f"se{block.squeeze}{'h' * block.of_hidden}"] * bool(block.squeeze) + [f"g{block.groups}"] * (
        block.groups > 1
    )
    parts += [block.activation] * (block.activation != "relu") + ["nores"] * (not block.residual)
    parts += ["res"] * block.added + ["poolres"] * block.pooled + ["convres"] * block.projected
    return "_".join([*parts, *["nobias"] * (not block.bias)])


def of_size(word: str, kernel: str, hidden: int) -> str:
    """The word of an inverted residual with another kernel and hidden width, much faster than by its block."""
    _, _, rest = word.split("_", 2)
    return f"mb{kernel}_h{hidden}_{rest}"


def blocks_of(genotype: Genotype) -> list[Block]:
    """The blocks of a genotype that is one chain of them. Errors: `UserError` for any other."""
    return [*map(parse, words(genotype))]


def words(genotype: Genotype) -> list[str]:
    """The same, as they are written."""
    kinds = [kind for kind, _ in genotype.cells]
    if kinds != [KIND]:
        raise UserError(
            f"A genotype of '{genotype.space}' is a list of blocks, {genotype.space}(block=[...]), and this one has "
            f"{', '.join(kinds) or 'nothing'}: give one of that space."
        )
    edges = genotype.cell(KIND).edges
    if [(e.node, e.source) for e in edges] != [(i + 1, i) for i in range(len(edges))]:
        raise UserError("The blocks of a chain stand one after the other, and those of this genotype do not.")
    return [edge.operation for edge in edges]


def genotype_of(space: str, words: Sequence[str]) -> Genotype:
    """The genotype of a chain of blocks."""
    edges = tuple(Edge(i + 1, i, word) for i, word in enumerate(words))
    return Genotype(space, ((KIND, CellGenotype(edges)),))


def placed(blocks: Sequence[Block], image_channels: int = 3) -> list[Placed]:
    """Every block with what enters it, up to the classifier, which is the last: by itself where no block is one.

    Errors: `UserError` for a chain that cannot be built: no block, blocks of images after the pool, an odd number of
    channels to be split in two, groups that do not divide the channels.
    """
    chain, found, channels, reduced = list(blocks), list[Placed](), image_channels, 1
    if not chain:
        raise UserError("A chain of blocks needs one at least, and there is none.")
    _check_order(chain)
    if all(block.kind != "pool" for block in chain):
        place = next((i for i, block in enumerate(chain) if block.kind in BEHIND), len(chain))
        chain.insert(place, Block("pool"))
    if chain[-1].kind != "logits":
        chain.append(Block("logits"))
    for block in chain:
        _check_widths(block, channels)
        found.append(Placed(block, channels, reduced))
        channels, reduced = block.outputs(channels), reduced * block.stride
    return found


def reduction(genotype: Genotype) -> int:
    """By how much the image of a chain's network is smaller at its end."""
    return placed(blocks_of(genotype))[-1].reduced


def _check_order(blocks: Sequence[Block]) -> None:
    """What reads images stands before the mean over them, what reads vectors after it, the classifier at the end."""
    behind = False
    for number, block in enumerate(blocks, 1):
        if block.kind == "logits" and number < len(blocks):
            raise UserError(f"Block {number}, {write(block)}, is the classifier: let it be the last one.")
        if behind and block.kind not in (*BEHIND, "skip"):
            raise UserError(
                f"Block {number}, {write(block)}, reads an image, and stands behind the mean over it: move it."
            )
        behind = behind or block.kind in (*BEHIND, "pool")


def _check_widths(block: Block, inputs: int) -> None:
    outputs = block.outputs(inputs)
    if block.kind in ("shuffle", "xception"):
        splits = inputs % 2 == 0 and inputs == outputs if block.stride == 1 else outputs > inputs
        if not splits:
            raise UserError(
                f"The block {write(block)} gets {inputs} channels: at stride 1 it keeps an even number of them, at "
                "stride 2 it gives more."
            )
    if block.kind == "mb" and (block.inner(inputs) % block.groups or outputs % block.groups):
        raise UserError(
            f"The block {write(block)} projects {block.inner(inputs)} channels to {outputs} in {block.groups} groups: "
            "choose numbers that they divide."
        )


def _of_parts(kind: str, kernel: int, found: dict[str, str]) -> Block:
    def number(part: str, default: float) -> float:
        match = PART[part].fullmatch(found.get(part, ""))
        return float(match[1]) if match else default

    squeeze = PART["squeeze"].fullmatch(found.get("squeeze", ""))
    return Block(
        kind,
        kernel,
        expansion=number("expansion", 1) or 1.0,
        hidden=int(number("hidden", 0)),
        channels=int(number("channels", 0)),
        stride=int(number("stride", 1)),
        squeeze=int(squeeze[1]) if squeeze else 0,
        of_hidden=bool(squeeze and squeeze[2]),
        groups=int(number("groups", 1)),
        activation=found.get("activation", "relu"),
        residual=found.get("nores") != "nores",
        added=found.get("res") == "res",
        pooled="poolres" in found.values(),
        projected="convres" in found.values(),
        bias="nobias" not in found,
    )


def _kinds() -> str:
    return "mb3, conv3, shuffle3 (or another odd size), resize128, xception, skip, pool, dense or logits"
