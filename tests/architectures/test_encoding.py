"""Architectures as integers: every space, there and back; sizes of spaces that are known."""

import numpy as np
import pytest

from dnas import find
from dnas.architectures import encoding
from dnas.architectures.genotype import check, random
from dnas.errors import UserError


@pytest.mark.parametrize("name", find.available("space"))
def test_every_space_there_and_back(name):
    space = find.resolve("space", name)
    numbers = []
    for seed in range(5):
        genotype = random(space, seed)
        found = encoding.encode(genotype, space)
        assert found.dtype == np.int32 and (found >= 0).all()
        again = encoding.decode(found, space)
        check(again, space)
        for kind, cell in genotype.cells:
            assert set(again.cell(kind).edges) == set(cell.edges) and again.cell(kind).concat == cell.concat
        numbers.append(found.tolist())
    assert len({len(row) for row in numbers}) == 1 and len(set(map(tuple, numbers))) > 1


@pytest.mark.parametrize(
    ("choice", "size"),
    [
        ("nasbench201", 15_625),
        ("darts", (1 * 3 * 6 * 10 * 7**8) ** 2),  # edges of the four nodes, operations: section 2.4 counts 10^18 too
        ("rnn", 4**8 * 40_320),  # table of the paper's recurrent cell: one of 1 to 8 inputs, one of 4 activations
        ("tabular:layers=1,widths=1,activations=relu+tanh,skips=none,norms=none,dropouts=0+0.1", 4),
    ],
)
def test_how_many_there_are(choice, size):
    assert encoding.count(find.resolve("space", choice)) == size


@pytest.mark.parametrize(
    "choice",
    [
        "nasbench201:nodes=3,operations=none+skip_connect+nor_conv_1x1",
        "darts:nodes=2,operations=none+skip_connect+max_pool_3x3",
    ],
)
def test_all_of_a_small_space_and_their_neighbours(choice):
    space = find.resolve("space", choice)
    everything = list(encoding.every(space))
    assert len(set(everything)) == len(everything) == encoding.count(space)
    codes = {tuple(encoding.encode(genotype, space)) for genotype in everything}
    assert len(codes) == len(everything)
    first = everything[0]
    near = {tuple(encoding.encode(genotype, space)) for genotype in encoding.neighbours(first, space)}
    own = tuple(encoding.encode(first, space))
    assert near and own not in near and near <= codes
    if choice.startswith("nasbench201"):
        assert near == {code for code in codes if sum(a != b for a, b in zip(code, own, strict=True)) == 1}


def test_what_encodes_nothing():
    space = find.resolve("space", "darts:nodes=2,operations=none+skip_connect")
    with pytest.raises(UserError, match="has 8 decisions, not 3"):
        encoding.decode(np.zeros(3, np.int32), space)
    for numbers in (np.ones(8), np.arange(8), np.arange(8) % 2 * 2):  # an edge twice, `none`, `none` on every edge
        with pytest.raises(UserError, match="no 2 decisions on node 2 of the normal cell"):
            encoding.decode(numbers.astype(np.int32), space)
    twice = find.resolve("space", "darts:nodes=1,operations=none+skip_connect")
    with pytest.raises(UserError, match="cannot be encoded"):
        encoding.encode(random(space, 0), find.resolve("space", "darts:nodes=3,operations=none+skip_connect"))
    assert encoding.encode(random(twice, 0), twice).tolist() == [1, 3, 1, 3]
