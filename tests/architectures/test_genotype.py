"""Genotypes: every text form both ways, a sentence for every malformed input, mixing weights, random ones."""

import json

import numpy as np
import pytest

from dnas.architectures import genotype as genotypes
from dnas.architectures.genotype import CellGenotype, Edge, Genotype
from dnas.architectures.topology import Cell, Norm, Space, all_edges
from dnas.errors import UserError

OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
)
RARE = ("dil_conv_5x5", "sep_conv_7x7", "conv_7x1_1x7", "conv_3x1_1x3", "noise")
ACTIVATIONS = ("none", "tanh", "relu", "sigmoid", "identity")
NASBENCH201 = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
DARTS = (
    "Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0)], normal_concat=range(2, 3), "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0)], "
    "reduce_concat=[2, 3])"
)


def cell(inputs, nodes, names, kept, concat):
    edges = all_edges(inputs, nodes)
    return Cell(inputs, nodes, edges, (names,) * len(edges), concat=concat, kept=kept)


def space(name, cells, names):
    norm = Norm(affine=False, pools=True)
    return Space(name, cells, dict.fromkeys(names), lambda *_: None, norm, norm)


DARTS_CELL = cell(2, 4, OPERATIONS, 2, (2, 3, 4, 5))
SPACES = {
    "darts": space("darts", {"normal": DARTS_CELL, "reduce": DARTS_CELL}, OPERATIONS + RARE),
    "rnn": space("rnn", {"recurrent": cell(1, 8, ACTIVATIONS, 1, tuple(range(1, 9)))}, ACTIVATIONS),
    "nasbench201": space("nasbench201", {"cell": cell(1, 3, NASBENCH201, None, None)}, NASBENCH201),
}


def two(normal, reduce=None, concat=(2, 3, 4, 5)):
    """A genotype of the DARTS space from (node, source, operation) triples."""
    cells = [CellGenotype(tuple(Edge(*edge) for edge in edges), concat) for edges in (normal, reduce or normal)]
    return Genotype("darts", (("normal", cells[0]), ("reduce", cells[1])))


def record(text):
    """A JSON text of the DARTS space with these cells."""
    return f'{{"space": "darts", "cells": {{{text}}}}}'


def test_pairs_enter_nodes_two_by_two():
    parsed = genotypes.parse(DARTS)
    assert parsed.space == "darts"
    assert parsed.cell("normal") == CellGenotype((Edge(2, 1, "sep_conv_3x3"), Edge(2, 0, "skip_connect")), (2,))
    assert [edge[:2] for edge in parsed.cell("reduce").edges] == [(2, 0), (2, 1), (3, 2), (3, 0)]


def test_triples_are_operation_node_source():
    entries = "[('skip_connect', 2, 1), ('noise', 4, 2)]"
    text = f"Genotype(normal={entries}, normal_concat=range(2, 6), reduce=[], reduce_concat=[2])"
    assert genotypes.parse(text).cell("normal").edges == (Edge(2, 1, "skip_connect"), Edge(4, 2, "noise"))


def test_a_list_of_every_edge_enters_nodes_in_order():
    sources = [0, 1, 2, 0, 1, 3, 2, 1, 0, 4, 3, 2, 1, 0]
    entries = [("none", source) for source in sources]
    text = f"Genotype(normal={entries}, normal_concat=[2, 3, 4, 5], reduce=[], reduce_concat=[2])"
    nodes = [edge.node for edge in genotypes.parse(text).cell("normal").edges]
    assert nodes == [2] * 2 + [3] * 3 + [4] * 4 + [5] * 5


def test_recurrent_entries_enter_one_node_each():
    parsed = genotypes.parse("Genotype(recurrent=[('tanh', 0), ('relu', 1), ('relu', 1)], concat=range(1, 4))")
    assert parsed.space == "rnn"
    assert parsed.cell("recurrent") == CellGenotype(
        (Edge(1, 0, "tanh"), Edge(2, 1, "relu"), Edge(3, 1, "relu")), (1, 2, 3)
    )


def test_nasbench201_string():
    text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|a~0|b~1|c~2|"
    parsed = genotypes.parse(text)
    assert parsed.space == "nasbench201" and parsed.cell("cell").concat is None
    assert [edge[:2] for edge in parsed.cell("cell").edges] == list(all_edges(1, 3))
    assert genotypes.to_text(parsed) == text


def test_text_is_what_the_original_code_prints():
    written = DARTS.replace("[2, 3]", "range(2, 4)")
    assert genotypes.to_text(genotypes.parse(DARTS)) == written
    assert genotypes.parse(f"  genotype = {written}\n") == genotypes.parse(DARTS)
    gap = written.replace("range(2, 4)", "[3, 2]")
    assert genotypes.to_text(genotypes.parse(gap)) == gap


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("seed", range(5))
def test_every_form_reads_back_what_it_wrote(name, seed, tmp_path):
    drawn = genotypes.random(SPACES[name], seed)
    assert genotypes.parse(genotypes.to_text(drawn)) == drawn
    assert genotypes.from_json(json.loads(json.dumps(genotypes.to_json(drawn)))) == drawn
    path = tmp_path / "genotype.json"
    path.write_text(json.dumps(genotypes.to_json(drawn)))
    assert genotypes.parse(str(path)) == drawn
    assert hash(genotypes.parse(str(path))) == hash(drawn)


@pytest.mark.parametrize("edges", [[], [(3, 0, "noise")], [(2, 0, "none"), (2, 0, "skip_connect"), (2, 1, "none")]])
def test_cells_without_a_pair_layout_are_written_as_triples(edges):
    odd = two(edges, [(2, 0, "skip_connect"), (2, 1, "skip_connect")])
    assert genotypes.parse(genotypes.to_text(odd)) == odd


def test_cells_without_a_text_say_so():
    with pytest.raises(UserError, match="no text form; use JSON"):
        genotypes.to_text(two([(2, 0, "none")], concat=None))
    with pytest.raises(UserError, match="no text form; use JSON"):
        genotypes.to_text(Genotype("nasbench201", (("cell", CellGenotype((Edge(2, 0, "none"),))),)))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "found ''"),
        ("DARTS_V7", "Did you mean .*darts_v2"),
        ("no/such/file.json", "genotype file 'no/such/file.json': there is no such file"),
        ("no/such/run", "genotype file 'no/such/run': there is no such file"),
        ("x" * 5000, "found 'xxxx.*expected a published cell's name"),
        ("15625", "NAS-Bench-201 has no cell 15625: expected an index from 0 to 15624"),
        ("9" * 5000, "expected a published cell's name"),
        ("a cell of mine", "expected a published cell's name"),
        ("|", "node 1 of the NAS-Bench-201 string"),
        ("|a~0|+|a~0|", "node 2 of the NAS-Bench-201 string: found '|a~0|'"),
        ("|a~0|+|a~1|a~0|", "node 2 .* with the sources 0 to 1"),
        ("|a~0|+|a~0|b|", "found '|a~0|b|'"),
        ("|a~0|b~0|", "node 1"),
        (f"|a~{'0' * 5000}|", "node 1"),
        ("|a~0|+|a~0|b~1", r"node 2 .* found '|a~0|b~1'"),
        ("|a a~0|", "an operation of node 1: found 'a a'"),
        ("+".join("|" + "".join(f"a~{i}|" for i in range(n)) for n in range(1, 60)), "has 1,770 edges"),
        ("Genotype(normal=[('a', 0)", r"a complete Genotype\(...\) .*never closed"),
        ("Genotype(" + "(" * 9000, "a complete Genotype"),
        ("Genotype(normal=[])\0", "the fields normal, normal_concat"),
        ("Genotype(normal=[\0])", "a complete Genotype"),
        ("Genotype(normal=" + "-" * 9000 + "1)", "nested too deeply"),
        (DARTS.replace("[2, 3]", "-" * 900 + "1"), "'reduce_concat': found '-----"),
        ("Genotype(" + "1," * 200_000 + ")", "at most 200,000 characters"),
        (DARTS.replace("reduce=", "normal=[], reduce="), "expected the field 'normal' once"),
        ("Genotype(normal=[], normal_concat=[2])", "the fields normal, normal_concat, reduce, reduce_concat"),
        ("Genotype(1, 2, 3, 4)", "every field with its name"),
        ("Genotype(**x)", r"what '\*\*' unpacks: found 'x'"),
        ("Genotype(space='darts', cells=3)", "'cells': found 3"),
        ("Genotype(space='darts', cells=[['normal', CellGenotype()]])", "'cells': found"),
        ("Genotype(recurrent=[('tanh', 0)])", "the fields recurrent, concat"),
        (DARTS + "; import os", "end of the genotype: found '; import os'"),
        (DARTS + "[0]", "nothing after its last bracket"),
        (DARTS.replace("[2, 3]", "open('x')"), r"'reduce_concat': found \"open\('x'\)\""),
        (DARTS.replace("[2, 3]", "[]"), "'reduce_concat': found"),
        (DARTS.replace("[2, 3]", "['2']"), "'reduce_concat': found"),
        (DARTS.replace("[2, 3]", "[2000000]"), "expected a number from 0 to 999"),
        (DARTS.replace("[2, 3]", f"[0x{'f' * 9000}]"), "a node <int>, expected a number from 0 to 999"),
        (DARTS.replace("('skip_connect', 2)", f"('skip_connect', 0x{'f' * 9000})"), "reads node <int>"),
        (DARTS.replace("[2, 3]", "[2, 2]"), r"concatenates a node twice: \[2, 2\]"),
        (DARTS.replace("[2, 3]", "[True]"), "'reduce_concat': found"),
        (DARTS.replace("[2, 3]", "range(2, 4, 0)"), "'reduce_concat': found 'range"),
        (DARTS.replace("[2, 3]", "range('a')"), "'reduce_concat': found"),
        (DARTS.replace("range(2, 3)", "range(2, 10**9)"), "'normal_concat': found"),
        (
            DARTS.replace("('sep_conv_3x3', 1)", "('sep_conv_3x3',)"),
            r"entry 0 of 'normal': found \['sep_conv_3x3'\]",
        ),
        (DARTS.replace("('sep_conv_3x3', 1)", "('sep_conv_3x3', 2, 1)"), "entry 0 of 'normal'"),
        (DARTS.replace("('sep_conv_3x3', 1)", "(1, 'sep_conv_3x3')"), "expected ..operation., source"),
        (DARTS.replace("('sep_conv_3x3', 1)", "('sep_conv_3x3', 1.0)"), "entry 0 of 'normal'"),
        (DARTS.replace("('sep_conv_3x3', 1)", "('sep_conv_3x3', True)"), "entry 0 of 'normal'"),
        (DARTS.replace("'sep_conv_3x3'", "'sep conv'"), "operation of entry 0 of 'normal': found 'sep conv'"),
        (DARTS.replace("'sep_conv_3x3'", r"'\ud800'"), "operation of entry 0 of 'normal'"),
        ("Genotype(recurrent=[('tanh', 1, 0)], concat=[1])", "entry 0 of 'recurrent'"),
        (DARTS.replace("('sep_conv_3x3', 1), ", ""), "found 1 operations, expected two for each node"),
        (
            DARTS.replace("('skip_connect', 2)", "('skip_connect', 3)"),
            "Node 3 of the reduce cell reads node 3",
        ),
        (
            DARTS.replace("('skip_connect', 2)", "('skip_connect', -1)"),
            "Node 3 of the reduce cell reads node -1",
        ),
        (DARTS.replace("('sep_conv_3x3', 1)", "('sep_conv_3x3', 1, 0), ('sep_conv_3x3', 1)"), "entry 0 of 'normal'"),
        ("Genotype(normal=[('a', 1, 0)], normal_concat=[2], reduce=[], reduce_concat=[2])", "which is a cell input"),
        ("Genotype(normal=7, normal_concat=[2], reduce=[], reduce_concat=[2])", "'normal': found 7"),
        ("{", r"found '{', expected JSON \(Expecting"),
        ("[]", r"found \[\], expected {'space'"),
        ("[" * 100_000, "expected JSON .it is nested too deeply"),
        ('{"a": 1' + "1" * 5000 + "}", "expected JSON"),
        ('{"space": "a", "space": "b"}', "has 'space' twice"),
        ('{"normal": [], "normal_concat": [2]}', "the fields normal, normal_concat, reduce, reduce_concat"),
    ],
)
def test_malformed_text_gets_one_sentence(text, sentence):
    with pytest.raises(UserError, match=sentence.replace("|", r"\|")) as error:
        genotypes.parse(text)
    assert "\n" not in str(error.value) and len(str(error.value)) < 2000


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "expected JSON"),
        ("\x81", "not a text in UTF-8"),
        ("", "found '', expected JSON"),
        ("a" * (2**24 + 1), "more than 16 MiB"),
        ("[]", r"found \[\], expected"),
        ('{"space": "darts"}', "expected {'space': name"),
        ('{"space": "darts", "cells": {"normal": []}}', r"the normal cell: found \[\]"),
        ('{"space": "darts", "cells": {"normal": {"edges": [[2, 0]], "concat": null}}}', r"found \[2, 0\]"),
        ('{"space": "darts", "cells": {"normal": {"edges": [], "concat": ["2"]}}}', "a list of nodes"),
        ('{"space": "darts", "cells": {}}', "expected {'space': name"),
        (
            record('"normal": {"edges": [], "concat": []}'),
            r"'concat' of the normal cell: found \[\], expected a list",
        ),
        (record('"normal": {"edges": [], "concat": [3, 2, 3]}'), "concatenates a node twice"),
        (record('"normal": {"edges": [], "concat": [1000]}'), "a node 1000, expected a number from 0 to 999"),
        (record('"normal": {"edges": [], "concat": [-1]}'), "a node -1"),
        (record('"normal": {"edges": []}'), "the normal cell: found {'edges'"),
        (record('"normal": {"edges": [[0, 0, "none"]], "concat": null}'), "an earlier node"),
        (record('"normal": {"edges": [[2, 3, "none"]], "concat": null}'), "an earlier node"),
        (record('"normal": {"edges": [[1, 0, "none"]], "concat": null}'), "node 1, which is a cell input"),
        (record('"normal": {"edges": [[2.0, 0, "none"]], "concat": null}'), r"an edge .* found \[2.0, 0"),
        (record('"normal": {"edges": [[true, 0, "none"]], "concat": null}'), r"an edge .* found \[True, 0"),
        (record('"normal": {"edges": [[NaN, 0, "none"]], "concat": null}'), r"an edge .* found \[nan, 0"),
        (
            record('"normal": {"edges": [[2, 0, 3]], "concat": null}'),
            "operation of an edge of the normal cell: found 3",
        ),
        (
            record('"normal": {"edges": [[2, 0, "\\ud800"]], "concat": null}'),
            "operation of an edge of the normal cell",
        ),
        (
            record('"normal": {"edges": [], "concat": [2]}, "normal": {"edges": [], "concat": [2]}'),
            "'normal' twice",
        ),
        (record('"a\\nb": {"edges": [], "concat": [2]}'), "the kind of a cell: found 'a"),
        (record('"cell": {"edges": [' + "[1, 0, null]," * 3 + '[1, 0, "none"]], "concat": null}'), "found None"),
        (
            record('"cell": {"edges": [' + '[1, 0, "none"],' * 1000 + '[1, 0, "none"]], "concat": null}'),
            "1,001 edges",
        ),
        (
            '{"space": "darts:nodes=2", "cells": {"cell": {"edges": [], "concat": null}}}',
            "found 'darts:nodes=2'",
        ),
        ('{"space": null, "cells": {"cell": {"edges": [], "concat": null}}}', "'space': found None"),
        ('{"a": ' * 500 + "1" + "}" * 500, r"found {'a': {'a': .*\.\.\."),
    ],
)
def test_malformed_file_gets_one_sentence_that_names_it(tmp_path, content, sentence):
    path = tmp_path / "genotype.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=sentence) as error:
        genotypes.parse(str(path))
    message = str(error.value)
    assert "\n" not in message and str(path) in message and len(message) < 1000


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (
            two([(2, 0, "sep_conv_3x4")]),
            "Unknown operation in the normal cell: 'sep_conv_3x4'. Did you mean sep_conv_3x3",
        ),
        (two([(3, 4, "none")]), "reads node 4"),
        (two([(1, 0, "none")]), "node 1, which is a cell input"),
        (two([(2, 0, "none")], concat=(2, 6)), "concatenates node 6, expected 2 to 5"),
        (two([(2, 0, "none")], concat=(1, 2)), "concatenates node 1, expected 2 to 5"),
        (two([(2, 0, "none")], concat=None), "concatenates no nodes, expected a list"),
        (
            Genotype("darts", two([]).cells[:1]),
            "has the cells normal, expected those of 'darts': normal, reduce",
        ),
        (
            Genotype("darts", (*two([]).cells, ("cell", CellGenotype(())))),
            "has the cells normal, reduce, cell",
        ),
    ],
)
def test_check_refuses_what_cannot_be_built(bad, sentence):
    with pytest.raises(UserError, match=sentence):
        genotypes.check(bad, SPACES["darts"])


def test_a_cell_with_one_output_concatenates_nothing():
    cell = CellGenotype(tuple(Edge(node, source, "none") for node, source in all_edges(1, 3)), (2, 3))
    with pytest.raises(UserError, match=r"The cell cell concatenates \(2, 3\), expected none"):
        genotypes.check(Genotype("nasbench201", (("cell", cell),)), SPACES["nasbench201"])


def test_mix_is_one_hot_in_the_order_of_the_space():
    mix = genotypes.as_mix(genotypes.parse("DARTS_V2"), SPACES["darts"])
    normal = {(2, 0): 4, (2, 1): 4, (3, 0): 4, (3, 1): 4, (4, 1): 4, (4, 0): 3, (5, 0): 3, (5, 2): 6}
    expected = np.zeros((14, 7), np.float32)
    for edge, operation in normal.items():
        expected[all_edges(2, 4).index(edge), operation] = 1
    assert mix["normal"].dtype == np.float32
    np.testing.assert_array_equal(mix["normal"], expected)
    assert mix["reduce"].sum() == 8 and set(mix) == {"normal", "reduce"}


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (two([(2, 0, "none"), (2, 0, "skip_connect")]), "two operations on edge 0 -> 2 of the normal cell"),
        (two([(6, 0, "none")]), "has no edge 0 -> 6 of the normal cell"),
        (two([(2, 0, "noise")]), "Unknown operation on edge 0 -> 2 of the normal cell of 'darts': 'noise'"),
        (two([(2, 0, "none")], concat=(4, 5)), r"outputs nodes \(4, 5\), expected \(2, 3, 4, 5\)"),
    ],
)
def test_mix_refuses_what_the_supernet_cannot_express(bad, sentence):
    genotypes.check(bad, SPACES["darts"])
    with pytest.raises(UserError, match=sentence):
        genotypes.as_mix(bad, SPACES["darts"])


@pytest.mark.parametrize("name", SPACES)
def test_random_genotypes_fit_their_space_and_vary(name):
    space = SPACES[name]
    drawn = [genotypes.random(space, seed) for seed in range(40)]
    assert drawn[3] == genotypes.random(space, 3)
    assert len(set(drawn)) > 30
    for genotype in drawn:
        mix = genotypes.as_mix(genotype, space)
        for kind, cell in space.cells.items():
            for node in cell.computed:
                kept = cell.kept or len(cell.incoming(node))
                assert mix[kind][cell.incoming(node)].sum() == min(kept, len(cell.incoming(node)))
    used = {edge.operation for genotype in drawn for _, cell in genotype.cells for edge in cell.edges}
    searched = set(next(iter(space.cells.values())).operations[0])
    assert used == (searched if name == "nasbench201" else searched - {"none"})


def test_any_whole_number_is_a_seed():
    cells = Cell(1, 1, all_edges(1, 1), (("none", "skip_connect"),))
    space = Space("a", {"cell": cells}, {}, print, Norm(False, False), Norm(False, False))
    assert genotypes.random(space, -3) == genotypes.random(space, 2**64 - 3)
