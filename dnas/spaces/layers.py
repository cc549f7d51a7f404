"""What spaces of layers share: a chain in which every layer is one of several blocks (`architectures/blocks.py`)."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from flax import nnx

from dnas.architectures.blocks import KIND, Block, genotype_of, parse, placed, write
from dnas.architectures.genotype_data import Genotype
from dnas.architectures.topology import Cell, Norm, Space
from dnas.errors import UserError, unknown
from dnas.nets import blocks, chain

STAGE = re.compile(r"([1-9]\d{0,3})x([1-9]\d?)(?:s([12]))?")
AFFINE = Norm(affine=True, pools=False)


class Words(Mapping[str, Callable[..., Any]]):
    """The blocks of a space by their words; besides its candidates it knows every other block that can be written."""

    def __init__(self, candidates: Sequence[str]):
        self.candidates = tuple(dict.fromkeys(candidates))

    def __getitem__(self, word: str) -> Callable[..., Any]:
        return _Builder(word)

    def __contains__(self, word: object) -> bool:
        try:
            parse(str(word))
        except UserError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self.candidates)

    def __len__(self) -> int:
        return len(self.candidates)


@dataclass(frozen=True)
class _Builder:
    """Builds the block of a word by itself, with the stride that its word has. Those of one word are equal, so that
    what was counted of it is found again."""

    word: str

    def __call__(self, channels: int, stride: int, norm: Norm, *, rngs: nnx.Rngs) -> Any:
        return blocks.build(parse(self.word), channels, 0, norm, rngs=rngs)


def space_of(
    name: str, rows: Sequence[Sequence[str]], *, before: Sequence[str] = (), after: Sequence[str] = ()
) -> Space:
    """The space in which layer l is one of the blocks `rows[l]`; before, after: words of the blocks around them.

    Errors: `UserError` for blocks that do not fit together.
    """
    edges = tuple((i + 1, i) for i in range(len(rows)))
    _check(rows, before, after)
    return Space(
        name=name,
        cells={KIND: Cell(inputs=1, nodes=len(rows), edges=edges, operations=tuple(map(tuple, rows)))},
        operations=Words([word for row in rows for word in row]),
        backbone=_no_backbone,
        search_norm=AFFINE,
        network_norm=AFFINE,
        supernet=partial(chain.Supernet, before=tuple(before), after=tuple(after)),
        network=partial(chain.Network, before=tuple(before), after=tuple(after)),
        sizes=("remat",),
        chain=True,
    )


def whole(genotype: Genotype, space: Space) -> Genotype:
    """All blocks of the network of a genotype, as one of the space "chain"."""
    return genotype_of("chain", chain.words_of(genotype, space)[0])


def rows_of(stages: str, candidates: Sequence[str], inputs: int) -> list[list[str]]:
    """The candidates of every layer of the stages `16x1s1+24x4s2`: channels, layers, stride of the first of them.

    inputs: channels before the first. candidates: words without channels and stride. `skip` is the identity; where the
    shape changes it is a 1x1 convolution, as in the code of FBNet. Errors: `UserError`.
    """
    found = list[list[str]]()
    named = [parse(word) for word in candidates]
    if len(set(candidates)) < len(candidates):
        raise UserError(f"A block stands twice among the candidates {'+'.join(candidates)}: name each once.")
    for text in stages.split("+"):
        stage = STAGE.fullmatch(text.strip())
        if stage is None:
            raise UserError(
                f"Cannot read the stage '{text.strip()}' of '{stages}': expected channels, layers and a stride, as in "
                "24x4s2."
            )
        channels, layers, stride = int(stage[1]), int(stage[2]), int(stage[3] or 1)
        for layer in range(layers):
            first = stride if layer == 0 else 1
            found.append([write(_sized(block, inputs, channels, first)) for block in named])
            if len({*found[-1]}) < len(found[-1]):
                raise UserError(
                    f"Two candidates of layer {len(found)} are the same block, {', '.join(found[-1])}: leave out one."
                )
            inputs = channels
    return found


def _sized(block: Block, inputs: int, channels: int, stride: int) -> Block:
    if block.channels or block.stride > 1 or block.kind in ("pool", "dense", "logits"):
        raise UserError(
            f"The candidate {write(block)} is no block of any layer: leave out channels and stride, which are those of "
            "the layer, and what stands behind the pool."
        )
    if block.kind == "skip":
        return block if stride == 1 and inputs == channels else Block("conv", channels=channels, stride=stride)
    return replace(block, channels=channels, stride=stride)


def sized(name: str, sizes: Mapping[str, Any], size: str) -> Any:
    """The preset of a size. Errors: `UserError` with the sizes that there are."""
    if size not in sizes:
        raise unknown(f"size of space '{name}':", size, sizes)
    return sizes[size]


def _check(rows: Sequence[Sequence[str]], before: Sequence[str], after: Sequence[str]) -> None:
    """All candidates of a layer give what the first gives, and the chain of any of them can be built."""
    around = [*map(parse, before)], [*map(parse, after)]
    for place in range(max(map(len, rows))):
        placed([*around[0], *(parse(row[min(place, len(row) - 1)]) for row in rows), *around[1]])


def _no_backbone(*_: Any, **__: Any) -> Any:
    raise UserError("Networks of chains of blocks have no backbone: build them with the 'network' of their space.")
