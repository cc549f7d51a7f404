"""Latency by blocks: of spaces of chains where what an option takes depends on others, as `ofa` and `mnasnet`.

A network takes the sum over its blocks. An entry of a table is a block as a chain writes it, with the height, width and
channels of its input.
"""

from itertools import count

from dnas.architectures.blocks import write
from dnas.architectures.genotype import Genotype, random
from dnas.architectures.topology import NetworkSize, Space
from dnas.costs.latency_table import LatencyTable
from dnas.costs.protocol import Cost
from dnas.errors import UserError
from dnas.nets.count import OfChain, blocks_of_chain

PATIENCE = 500  # random networks without a new block, after which all are known
ASKED = 100  # random networks whose blocks a table is asked for before a search begins


def by_blocks(space: Space) -> bool:
    """Whether a table of a space is of blocks."""
    return space.joint and space.chain


def parts_of(genotype: Genotype, space: Space, size: NetworkSize, image_size: int) -> list[tuple[str, OfChain]]:
    """The names of a network's blocks in a table, and these."""
    found = blocks_of_chain(genotype, space, size, image_size)
    return [(f"{write(part.block)} of {'x'.join(map(str, part.shape[1:]))}", part) for part in found]


def every(space: Space, size: NetworkSize, image_size: int) -> dict[str, OfChain]:
    """All blocks of which networks of a space are made, by drawing networks until nothing new comes."""
    found, last = dict[str, OfChain](), 0
    for seed in count():
        known = len(found)
        found |= parts_of(random(space, seed), space, size, image_size)
        last = seed if len(found) > known else last
        if seed - last == PATIENCE:
            return found
    raise AssertionError("not reached")


def cost(table: LatencyTable, space: Space, size: NetworkSize, image_size: int, sizes: dict[str, int | str]) -> Cost:
    """Errors: `UserError` for a table of another space, of other sizes, or without blocks that networks have; of a rare
    block only when a network is asked for that has it."""
    table.check_networks(space, sizes)

    def of(genotype: Genotype) -> float:
        names = [name for name, _ in parts_of(genotype, space, size, image_size)]
        missing = [name for name in names if name not in table.blocks]
        if missing:
            others = f", and {len(missing) - 1} more of this network are missing" if len(missing) > 1 else ""
            raise UserError(
                f"The latency table on '{table.device}' has no block '{missing[0]}'{others}: measure it with the same "
                "settings of the space, and images of as many channels."
            )
        return table.constant + sum(table.blocks[name] for name in names)

    for seed in range(ASKED):
        of(random(space, seed))
    return Cost("latency", "ms", space, of, None, table.how)
