"""200 pairs of alphas and their genotypes."""

from collections.abc import Iterator

import numpy as np

from dnas.architectures.genotype import to_text
from dnas.search.discretise import strongest
from dnas.spaces import darts
from oracles.common import Comparison, Oracle, darts_genotype_of, genotype_rows


def compare(oracle: Oracle) -> Iterator[Comparison]:
    space, operations = darts.space(), oracle.meta["ops"]
    alphas = oracle.under("alphas/")
    shifted = {kind: np.exp(a - a.max(-1, keepdims=True)) for kind, a in alphas.items()}
    mixes = {kind: e / e.sum(-1, keepdims=True) for kind, e in shifted.items()}
    genotypes = [strongest(space, {kind: m[i] for kind, m in mixes.items()}) for i in range(len(mixes["normal"]))]
    for kind in mixes:
        yield from oracle.compare(f"genotype/{kind}", genotype_rows(genotypes, kind, operations), 0)
    for ours, record in zip(genotypes, oracle.table("genotypes.json")["genotypes"], strict=True):
        yield Comparison("genotypes.json", to_text(ours), to_text(darts_genotype_of(record)), 0)
