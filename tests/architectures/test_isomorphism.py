"""Isomorphic cells, against a slow second way: operations as formulas, under all ways to give them weights."""

import random
from itertools import permutations, product

import pytest

from dnas import find
from dnas.architectures import encoding
from dnas.architectures.genotype import parse
from dnas.architectures.isomorphism import canonical
from dnas.errors import UserError

PRIME = 2**61 - 1
OPERATIONS = ("nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def computed(cell, weights):
    """What a cell computes of one number; weights: edge -> those of a cubic without a constant term."""
    values = [12345678910111213, 0, 0, 0]
    for node, source, operation in cell:
        x = values[source]
        if operation not in ("none", "skip_connect"):
            a, b, c = weights.get((node, source), (0, 0, 0))
            x = (a * x + b * x * x + c * x * x * x) % PRIME
        values[node] = (values[node] + x * (operation != "none")) % PRIME
    return values[max(node for node, *_ in cell)]


def outputs(genotype):
    """All that a cell can compute, whatever edge has which of the weights of its operation; edges count that lie on a
    path from the input to the output."""
    cell = sorted(genotype.cells[0][1].edges)
    last = max(edge.node for edge in cell)
    live = {edge for path in routes({e[:2] for e in cell if e.operation != "none"}, last) for edge in path}
    names = {(e.node, e.source): e.operation for e in cell if e.operation not in ("none", "skip_connect")}
    alike = [[edge for edge in sorted(live) if names.get(edge) == name] for name in sorted({*names.values()})]
    draws = random.Random(0)
    known = {name: [[draws.randrange(PRIME) for _ in range(3)] for _ in range(6)] for name in OPERATIONS}
    found = set()
    for orders in product(*map(permutations, alike)):
        found.add(computed(cell, {e: known[names[e]][i] for order in orders for i, e in enumerate(order)}))
    return frozenset(found)


def routes(edges, node):
    """All paths from node 0 to a node."""
    if node == 0:
        yield ()
    for target, source in edges:
        if target == node:
            for path in routes(edges, source):
                yield (*path, (target, source))


@pytest.mark.parametrize(
    "choice, number",
    [
        ("nasbench201:nodes=3", 0),
        ("nasbench201:operations=none+skip_connect+nor_conv_3x3", 0),
        pytest.param("nasbench201", 5425, marks=pytest.mark.slow),
    ],
)
def test_forms_are_equal_where_outputs_are(choice, number):
    cells = list(encoding.every(find.resolve("space", choice)))
    pairs = {(canonical(cell), outputs(cell)) for cell in cells}
    assert len(pairs) == len({form for form, _ in pairs}) == len({found for _, found in pairs}) < len(cells)
    assert number in (0, len(pairs))


def test_one_operation_used_twice_is_not_two():
    once = parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|nor_conv_1x1~1|nor_conv_1x1~2|")
    twice = parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|nor_conv_1x1~1|nor_conv_1x1~2|")
    assert canonical(once) != canonical(twice)
    other = parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|none~2|")
    assert canonical(other) == (("avg_pool_3x3", (-1,)), (0,))


def test_cells_of_several_kinds_have_none():
    with pytest.raises(UserError, match="not for those of 'darts'"):
        canonical(parse("DARTS_V2"))
