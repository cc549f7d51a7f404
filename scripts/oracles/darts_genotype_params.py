"""Parameters and multiply-adds of published genotypes."""

from collections.abc import Iterator

from dnas.architectures.topology import NetworkSize
from dnas.nets.count import count
from dnas.spaces import darts
from oracles.common import Comparison, Oracle, darts_genotype_of


def compare(oracle: Oracle) -> Iterator[Comparison]:
    network_sizes = {"cifar10": NetworkSize(20, 36, 10), "imagenet": NetworkSize(14, 48, 1000, stem="imagenet")}
    sizes = {"cifar10": 32, "imagenet": 224}
    table = oracle.table("table.json")
    for i, record in list(enumerate(table))[:: oracle.every]:
        genotype = darts_genotype_of(record["genotype"])
        for name, size in network_sizes.items():
            ours = count(genotype, darts.space(), size, sizes[name])
            for key, value in zip(("params", "params_with_aux", "macs"), ours, strict=True):
                yield Comparison(f"{name}/{key}", value, oracle[f"{name}/{key}"][i], 0)
