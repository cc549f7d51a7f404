"""What the comparisons with original codes share: an oracle folder, a comparison, the networks of both sides."""

import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas import interop
from dnas.architectures.genotype import Genotype, parse
from dnas.architectures.topology import NetworkSize, Space
from dnas.nets.functional import Functional, functionalize
from dnas.nets.supernet import Supernet
from dnas.spaces import darts
from dnas.types import Batch, Tree

SHARED = Path(os.environ.get("DNAS_SHARED") or Path(__file__).resolve().parents[3] / "shared")


class Comparison(NamedTuple):
    """Our value and the original code's, and the largest error allowed, relative to the largest entry."""

    key: str
    ours: Any
    theirs: Any
    tolerance: float


class Oracle:
    """One folder; remembers which arrays were asked for. every: of what is alike (variants, cells) take each n-th."""

    def __init__(self, folder: Path, every: int = 1):
        self.folder, self.every, self.asked = folder, every, set[str]()
        self.meta = self.table("meta.json")
        self.arrays = interop.load(folder / "oracle.npz")

    def __getitem__(self, key: str) -> np.ndarray:
        self.asked.add(key)
        return self.arrays[key]

    def table(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """All arrays whose names begin with a prefix, without it."""
        return {key.removeprefix(prefix): self[key] for key in self.arrays if key.startswith(prefix)}

    def batch(self, prefix: str = "") -> Batch:
        """Images, as NHWC, and labels."""
        return Batch(jnp.asarray(self[f"{prefix}x"].transpose(0, 2, 3, 1)), jnp.asarray(self[f"{prefix}y"]))

    def weights(self, pairs: tuple[interop.Pair, ...], *prefixes: str) -> tuple[Tree, Tree]:
        """(weights, stats) from the arrays with one of the prefixes."""
        arrays = [self.under(prefix) for prefix in prefixes]
        return interop.from_torch({name: a for group in arrays for name, a in group.items()}, pairs)

    def compare(self, prefix: str, ours: Any, tolerance: float) -> Iterator[Comparison]:
        """One array, or all arrays under `prefix/` with those of the same names in a dictionary."""
        if not isinstance(ours, dict):
            yield Comparison(prefix, ours, self[prefix], tolerance)
        else:
            for name, theirs in self.under(f"{prefix}/").items():
                yield Comparison(f"{prefix}/{name}", ours[name], theirs, tolerance)


def prepared(module: Callable[..., Any], *settings: Any) -> tuple[Functional, tuple[interop.Pair, ...]]:
    """A network and the names of its weights."""

    def build(rngs):
        return module(*settings, rngs=rngs)

    return functionalize(build), interop.layout(build)


def supernet(space: Space, meta: dict, cells: int) -> tuple[Functional, tuple[interop.Pair, ...]]:
    """The supernet of an oracle."""
    return prepared(Supernet, space, NetworkSize(cells, meta["C"], meta["num_classes"]))


@cache
def darts_supernet(channels: int, cells: int, classes: int) -> tuple[Functional, tuple[interop.Pair, ...]]:
    """The supernet of the two DARTS search oracles. Its jitted `apply` is differentiated in several ways, each of which
    compiles once for all that follows."""
    network, pairs = supernet(darts.space(), {"C": channels, "num_classes": classes}, cells)
    return network._replace(apply=jax.jit(network.apply, static_argnames="train")), pairs


def genotype_rows(genotypes: list[Genotype], kind: str, operations: list[str]) -> np.ndarray:
    """The edges of one kind of cell as (index of the operation, input) [N, edges, 2]."""
    cells = [genotype.cell(kind).edges for genotype in genotypes]
    return np.array([[(operations.index(e.operation), e.source) for e in edges] for edges in cells])


def darts_genotype_of(record: dict) -> Genotype:
    """A genotype from the lists of a JSON record."""
    fields = ("normal", "normal_concat", "reduce", "reduce_concat")
    entries = {field: [tuple(e) if isinstance(e, list) else e for e in record[field]] for field in fields}
    return parse(f"Genotype({', '.join(f'{field}={value!r}' for field, value in entries.items())})")
