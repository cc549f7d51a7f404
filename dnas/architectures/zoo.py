"""Published cells and networks by name: `DARTS_V2`, `PC_DARTS_cifar`, `DARTS_V2_rnn`, `efficientnet_b3`, ...

They stand in zoo.json in the text forms of `genotype_text.py`. `SDARTS_<data set>_<space>_<method>` are those of
SmoothDARTS (Chen and Hsieh 2020, arXiv:2002.05283) for the spaces S1-S5; `_rnn` marks recurrent cells.
Networks are chains of blocks for ImageNet (networks.json), by their words or as another one scaled; and transformers
(transformers.json), with the space that says what their decisions leave open.
The cells of NAS-Bench-201 (Dong and Yang 2020, arXiv:2001.00326) have an index: its place in the benchmark's own table.
"""

import json
import random
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import product

from dnas.architectures.blocks import genotype_of, parse, write
from dnas.architectures.genotype_data import CellGenotype, Edge, Genotype
from dnas.architectures.genotype_text import from_texts
from dnas.architectures.scaling import Factors, scaled
from dnas.architectures.topology import all_edges
from dnas.errors import UserError, unknown


@dataclass(frozen=True)
class Entry:
    """A published cell, or a whole network.

    source: where it was published, `owner+repository:file:variable`.
    parameters, multiply_adds: of its CIFAR-10 network with 36 channels and 20 cells, without auxiliary head;
    None if not known exactly. Of a whole network, with 1,000 classes. pixels: side of the images. space: with the
    settings that the network is built with; empty: those of the genotype's space. accuracy: on the test images of
    CIFAR-10, or the validation images of ImageNet, in percent, as its authors print it; None where that is not here.
    accuracy_from: where this was read.
    """

    name: str
    genotype: Genotype
    source: str
    parameters: int | None
    multiply_adds: int | None
    pixels: int = 32
    space: str = ""
    accuracy: float | None = None
    accuracy_from: str = ""

    @property
    def large(self) -> bool:
        """Whether it is a network for ImageNet, by its images."""
        return self.pixels > 32


def names() -> list[str]:
    """The names of all published cells, in the order of their publication's repository."""
    return list(_records("zoo"))


def networks() -> list[str]:
    """The names of all published networks."""
    return list(_records("networks"))


def transformers() -> list[str]:
    """The names of all published transformers."""
    return list(_records("transformers"))


def scalings() -> dict[str, Factors]:
    """By what published networks are another one scaled. The factors of one network are no powers of one phi."""
    records = _records("networks")
    return {
        name: Factors(record["width"], record["depth"], record["pixels"] / records[record["of"]]["pixels"])
        for name, record in records.items()
        if "of" in record
    }


def find(name: str) -> Entry | None:
    """What is published under a name, in upper or lower case, also with `-` or blanks for `_`; None if nothing is."""
    wanted = re.sub(r"[\s-]", "_", name.lower())
    if wanted in (records := _records("networks")):
        own = ("source", "parameters", "multiply_adds", "pixels", "accuracy", "accuracy_from")
        counts = {key: records[wanted][key] for key in own if key in records[wanted]}
        return Entry(wanted, genotype_of("chain", _words(records[wanted])), **counts)
    written = {known.lower(): (known, record) for known, record in (_records("zoo") | _records("transformers")).items()}
    if wanted not in written:
        return None
    known, record = written[wanted]
    (genotype,) = from_texts(record["genotype"])
    return Entry(**{**record, "name": known, "genotype": genotype})


def _words(record: dict) -> list[str]:
    """The blocks of a network."""
    if "of" not in record:
        return record["blocks"].split()
    blocks = [parse(word) for word in _records("networks")[record["of"]]["blocks"].split()]
    return [write(block) for block in scaled(blocks, record["width"], record["depth"])]


def entry(name: str) -> Entry:
    """The same. Errors: `UserError` with the nearest names."""
    found = find(name)
    if found is None:
        raise unknown("published cell", name, (known.lower() for known in [*names(), *networks(), *transformers()]))
    return found


def nasbench201(index: int) -> Genotype:
    """The cell of an index of NAS-Bench-201, from 0. Errors: `UserError`."""
    order = _nasbench201()
    if not 0 <= index < len(order):
        raise UserError(f"NAS-Bench-201 has no cell {index}: expected an index from 0 to {len(order) - 1}.")
    edges = (Edge(*edge, operation) for edge, operation in zip(NASBENCH201_EDGES, order[index], strict=True))
    return Genotype("nasbench201", (("cell", CellGenotype(tuple(edges))),))


def nasbench201_index(genotype: Genotype) -> int | None:
    """Where NAS-Bench-201 lists a cell; None if it does not."""
    edges = [edge for _, cell in genotype.cells for edge in cell.edges]
    order = {operations: index for index, operations in enumerate(_nasbench201())}
    found = order.get(tuple(edge.operation for edge in edges))
    return found if found is not None and nasbench201(found) == genotype else None


@cache
def _records(file: str) -> dict[str, dict]:
    return json.loads(files("dnas.architectures").joinpath(f"{file}.json").read_text(encoding="utf-8"))


NASBENCH201_EDGES = all_edges(1, 3)
NASBENCH201_OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


@cache
def _nasbench201() -> list[tuple[str, ...]]:
    """The operations of every cell, in the order of D-X-Y/AutoDL-Projects: all cells, shuffled with its seed."""
    order = list(product(NASBENCH201_OPERATIONS, repeat=len(NASBENCH201_EDGES)))
    random.Random(88).shuffle(order)
    return order
