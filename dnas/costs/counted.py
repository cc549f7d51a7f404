"""Costs that are counted: of every architecture by its network, of a mix by the operations."""

from dnas.architectures.genotype import Genotype, as_mix, random
from dnas.architectures.topology import NetworkSize, Space
from dnas.costs.protocol import Additive, Build, Cost
from dnas.nets import count


def counted(name: str, resource: str, unit: str = "", factor: float = 1) -> Build:
    """A field of `count.Table`, times a factor."""

    def build(space: Space, size: NetworkSize, image_size: int) -> Cost:
        def of(genotype: Genotype) -> float:
            return factor * getattr(count.of_network(genotype, space, size, image_size), resource)

        return Cost(name, unit, space, of, _additive(space, size, image_size, resource, factor))

    return build


def _additive(space: Space, size: NetworkSize, image_size: int, resource: str, factor: float) -> Additive | None:
    """None where the cost of single operations is not counted, as of recurrent cells, or depends on others."""
    if space.takes != "images" or space.joint:
        return None
    found = count.candidates(space, size, image_size)
    tables = {kind: factor * getattr(table, resource).sum(0) for kind, table in found.items()}
    one = random(space, 0)
    operations = sum(float((as_mix(one, space)[kind] * table).sum()) for kind, table in tables.items())
    whole = factor * getattr(count.of_network(one, space, size, image_size), resource)
    return Additive(whole - operations, tables)
