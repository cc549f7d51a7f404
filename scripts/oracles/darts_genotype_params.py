"""Parameters and multiply-adds of published genotypes."""

from collections.abc import Iterator

from dnas.architectures.topology import Body
from dnas.nets.count import count
from dnas.spaces import darts
from oracles.common import Comparison, Oracle, darts_genotype_of


def compare(oracle: Oracle) -> Iterator[Comparison]:
    bodies = {"cifar10": Body(20, 36, 10), "imagenet": Body(14, 48, 1000, stem="imagenet")}
    sizes = {"cifar10": 32, "imagenet": 224}
    table = oracle.table("table.json")
    for i, record in list(enumerate(table))[:: oracle.every]:
        genotype = darts_genotype_of(record["genotype"])
        for name, body in bodies.items():
            ours = count(genotype, darts.space(), body, sizes[name])
            for key, value in zip(("params", "params_with_aux", "macs"), ours, strict=True):
                yield Comparison(f"{name}/{key}", value, oracle[f"{name}/{key}"][i], 0)
