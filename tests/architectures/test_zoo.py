"""The zoo: the published cells as their repositories wrote them, under readable names."""

import csv
import gzip
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from dnas.architectures import genotype as genotypes
from dnas.architectures import zoo
from dnas.architectures.topology import Cell, Norm, Space, all_edges
from dnas.errors import UserError
from dnas.spaces import nasbench201

SHARED = Path(os.environ.get("DNAS_SHARED", Path(__file__).parents[2] / ".." / "shared"))
PUBLISHED = SHARED / "data" / "genotypes" / "published.json"
COUNTS = SHARED / "oracles" / "darts_genotype_params" / "table.json"
TABLE = SHARED / "data" / "nasbench201" / "nasbench201.csv.gz"
needs = {
    path: pytest.mark.skipif(not path.exists(), reason=f"needs {path.name} of DNAS_SHARED")
    for path in (PUBLISHED, COUNTS, TABLE)
}


def entries():
    return {zoo.entry(name).source: zoo.entry(name) for name in zoo.names()}


@needs[PUBLISHED]
def test_every_published_cell_is_in_the_zoo():
    published = json.loads(PUBLISHED.read_text())
    known = entries()
    assert sorted(known) == sorted(published)
    for key, record in published.items():
        cells = known[key].genotype.cells
        for kind, cell in cells:
            written = record["genotype"][kind]
            assert [edge.operation for edge in cell.edges] == [entry[0] for entry in written]
            assert [edge.source for edge in cell.edges] == [entry[-1] for entry in written]
            assert list(cell.concat) == record["genotype"]["concat" if kind == "recurrent" else f"{kind}_concat"]
        if record["params_macs_c36_l20"]:
            assert [known[key].parameters, known[key].multiply_adds] == record["params_macs_c36_l20"]


@needs[COUNTS]
def test_sizes_agree_with_the_reference_networks():
    sizes = {name: row["cifar10"] for row in json.loads(COUNTS.read_text()) for name in row["names"]}
    counted = [entry for source, entry in entries().items() if source in sizes]
    assert len(counted) > 30
    for entry in counted:
        size = sizes[entry.source]
        assert (entry.parameters, entry.multiply_adds) == (size["params"], size["macs_eval"]), entry.name


def test_every_published_accuracy_says_where_it_was_read():
    known = [zoo.entry(name) for name in (*zoo.names(), *zoo.networks(), *zoo.transformers())]
    assert sum(entry.accuracy is not None for entry in known) > 35
    assert [entry.name for entry in known if (entry.accuracy is None) != (not entry.accuracy_from)] == []


def test_names_are_unique_without_regard_to_case():
    assert max(Counter(name.lower() for name in zoo.names()).values()) == 1
    assert zoo.entry("darts_v2") == zoo.entry("DARTS_V2")
    assert zoo.entry("pc_darts_CIFAR").name == zoo.entry("PC-DARTS cifar").name == "PC_DARTS_cifar"
    assert zoo.find("darts") is None and zoo.find("") is None
    assert zoo.entry("DARTS_V2_rnn").genotype.space == "rnn"


def test_an_unknown_name_gets_the_nearest_ones():
    with pytest.raises(UserError, match="Unknown published cell 'fairdart'. Did you mean .*fairdarts_a"):
        zoo.entry("fairdart")


KNOWN = {  # the benchmark's assertions of its own order; the cells that papers name by their index
    0: "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    9: "|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|",
    1835: "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|",
    6111: "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|",
    9930: "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
    13714: "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|",
}


@pytest.mark.parametrize("index", KNOWN)
def test_an_index_of_nasbench201_names_its_cell(index):
    genotype = genotypes.parse(KNOWN[index])
    assert zoo.nasbench201(index) == genotype == genotypes.parse(f" {index} ")
    assert zoo.nasbench201_index(genotype) == index


def test_other_cells_have_no_index():
    for text in ("|none~0|", KNOWN[0].replace("skip_connect", "sep_conv_3x3"), "DARTS_V2", "DARTS_V2_rnn"):
        assert zoo.nasbench201_index(genotypes.parse(text)) is None
    for index in (-1, 15625):
        with pytest.raises(UserError, match=f"has no cell {index}: expected an index from 0 to 15624"):
            zoo.nasbench201(index)


def test_operations_are_those_of_the_space():
    assert zoo.NASBENCH201_OPERATIONS == nasbench201.PRIMITIVES
    assert nasbench201.space().cells["cell"].edges == zoo.NASBENCH201_EDGES


@needs[TABLE]
def test_the_order_of_nasbench201_is_that_of_its_table():
    with gzip.open(TABLE, "rt", newline="") as file:
        for index, row in enumerate(csv.DictReader(file)):
            assert (int(row["index"]), row["arch"]) == (index, genotypes.to_text(zoo.nasbench201(index)))
    assert index == 15624


@pytest.mark.parametrize("name", zoo.names())
def test_every_entry_is_sound_and_reads_back(name):
    genotype = zoo.entry(name).genotype
    assert genotypes.parse(genotypes.to_text(genotype)) == genotype
    assert genotypes.from_json(genotypes.to_json(genotype)) == genotype
    assert genotypes.parse(name.upper()) == genotype
    genotypes.check(genotype, searched(genotype))


def searched(genotype):
    """A space with all operations of the zoo and cells as in the paper: 4 nodes, or 8 recurrent ones."""
    names = {
        edge.operation for name in zoo.names() for _, cell in zoo.entry(name).genotype.cells for edge in cell.edges
    }
    inputs, nodes = (1, 8) if genotype.space == "rnn" else (2, 4)
    edges = all_edges(inputs, nodes)
    cell = Cell(inputs, nodes, edges, (tuple(names),) * len(edges), concat=tuple(range(inputs, inputs + nodes)))
    norm = Norm(affine=False, pools=True)
    return Space(genotype.space, {kind: cell for kind, _ in genotype.cells}, dict.fromkeys(names), print, norm, norm)


@pytest.mark.parametrize("name", ["FairDARTS_a", "SNAS_mild_edge_all", "DARTS_V1", "SDARTS_c10_s4_pcdarts", "ENAS_rnn"])
def test_unusual_layouts(name):
    """What each layout means, checked on one known edge of each."""
    known = {
        "FairDARTS_a": ("normal", 2, (4, 0, "max_pool_3x3")),
        "SNAS_mild_edge_all": ("normal", 7, (4, 3, "none")),
        "DARTS_V1": ("normal", 7, (5, 2, "skip_connect")),
        "SDARTS_c10_s4_pcdarts": ("reduce", 0, (2, 0, "sep_conv_3x3")),
        "ENAS_rnn": ("recurrent", 10, (11, 8, "relu")),
    }
    kind, place, edge = known[name]
    assert zoo.entry(name).genotype.cell(kind).edges[place] == edge
