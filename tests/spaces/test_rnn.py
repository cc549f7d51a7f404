"""The space 'rnn': its cell, the genotypes of published alphas, published cells as text, its settings."""

import os
from pathlib import Path

import numpy as np
import pytest

from dnas import find
from dnas.architectures.genotype import as_mix, check, parse, to_text
from dnas.errors import UserError
from dnas.reports import diagram
from dnas.search.discretise import strongest
from dnas.spaces import rnn

ORACLE = Path(os.environ.get("DNAS_SHARED", "../shared")) / "oracles" / "darts_rnn" / "oracle.npz"


def test_it_is_the_paper_s():
    cell = rnn.space().cells["recurrent"]
    assert cell.mix_shape == (36, 5)
    assert cell.operations[0] == ("none", "tanh", "relu", "sigmoid", "identity")
    assert cell.edges[:4] == ((1, 0), (2, 0), (2, 1), (3, 0)) and cell.edges[-1] == (8, 7)
    assert cell.concat == tuple(range(1, 9)) and cell.kept == 1


@pytest.mark.skipif(not ORACLE.exists(), reason="needs oracles/darts_rnn of DNAS_SHARED")
def test_genotypes_are_those_of_the_reference():
    """The strongest activation of the strongest edge of every node, `none` aside."""
    with np.load(ORACLE) as oracle:
        alphas, expected = oracle["genotype/alphas"], oracle["genotype/recurrent"]
    space = rnn.space()
    for one, rows in zip(alphas, expected, strict=True):
        edges = (
            strongest(space, {"recurrent": np.exp(one) / np.exp(one).sum(-1, keepdims=True)}).cell("recurrent").edges
        )
        assert [[rnn.PRIMITIVES.index(edge.operation), edge.source] for edge in edges] == rows.tolist()
        assert [edge.node for edge in edges] == list(range(1, 9))
    assert len(alphas) == 100


def test_ties_go_to_the_first_input_and_the_first_activation():
    space = rnn.space(nodes=3)
    genotype = strongest(space, {"recurrent": np.full((6, 5), 0.2)})
    assert to_text(genotype) == "Genotype(recurrent=[('tanh', 0), ('tanh', 0), ('tanh', 0)], concat=range(1, 4))"
    mix = np.full((6, 5), 0.1)
    mix[:, 0] = 0.9  # what nothing flows through is never chosen
    mix[[4, 5], [3, 2]] = 0.2
    edges = strongest(space, {"recurrent": mix}).cell("recurrent").edges
    assert edges[2] == (3, 1, "sigmoid")


@pytest.mark.parametrize("name", ["DARTS_V1_RNN", "DARTS_V2_RNN", "ENAS_RNN"])
def test_published_cells(name):
    """Those of more nodes as well, and outputs of some nodes only."""
    genotype, space = parse(name), rnn.space()
    assert genotype.space == space.name == "rnn"
    check(genotype, space)
    assert parse(to_text(genotype)) == genotype
    assert "recurrent cell" in diagram.text(genotype) and "mean of" in diagram.text(genotype)
    if name == "ENAS_RNN":
        with pytest.raises(UserError, match=r"outputs nodes \(2, 5, 6, 9, 10, 11\)"):
            as_mix(genotype, space)
    else:
        assert as_mix(genotype, space)["recurrent"].sum() == 8


def test_settings_say_what_is_searched_and_dropped():
    space = find.resolve("space", "rnn:nodes=2,operations=none+relu,words=0.1,hidden=0.5,norm=false")
    assert space.cells["recurrent"].operations == (("none", "relu"),) * 3
    assert space.supernet.keywords["rates"] == space.network.keywords["rates"] == (0.1, 0.2, 0.75, 0.5, 0.75)
    assert space.supernet.keywords["norm"] is False
    assert space.draws and space.recurrent and space.takes == "tokens"
    assert not rnn.space(embedded=0.0, inputs=0.0, hidden=0.0, outputs=0.0).draws
    for choice, says in (
        ("rnn:operations=none", "Nothing flows through any of the operations 'none': add one, as in 'none\\+tanh'"),
        ("rnn:operations=tanh+sep_conv_3x3", "Unknown operation 'sep_conv_3x3'"),
        ("rnn:operations=tanh+tanh", "stands twice"),
        ("rnn:hidden=1", "'hidden' of space 'rnn' must be"),
    ):
        with pytest.raises(UserError, match=says):
            find.resolve("space", choice)
