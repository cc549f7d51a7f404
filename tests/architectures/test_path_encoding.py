"""Path encoding against sets of sequences, gathered by walking."""

import numpy as np
import pytest

from dnas import find
from dnas.architectures.paths import has_branches, paths


def walked(cell, architecture):
    """The sequences of operations from the first node to the last."""
    found = set()

    def walk(node, sequence):
        if node == cell.computed[-1]:
            found.add(sequence)
        for e in cell.outgoing(node):
            walk(cell.edges[e][0], (*sequence, cell.operations[e][architecture[e]]))

    walk(0, ())
    return found


@pytest.mark.parametrize("most, features", [(30, 30), (155, 155), (7, 7), (1000, 155)])
def test_features_are_the_sequences_of_operations(most, features):
    cell = find.resolve("space", "nasbench201").cells["cell"]
    table = paths([cell], most)
    assert table.length == features and has_branches([cell])
    names = sorted(cell.operations[0])
    every = [(a,) for a in names] + [(a, b) for b in names for a in names]
    every += [(a, b, c) for c in names for b in names for a in names]
    for architecture in np.random.default_rng(0).integers(0, 5, (20, 6)):
        operations = table.operations[range(6), architecture]
        numbers = table.starts + (operations[table.edges] * table.weights).sum(1)
        ours = {every[number] for number in numbers[numbers < table.ends]}
        assert ours == walked(cell, architecture) & set(every[:features])


def test_features_of_several_cells_follow_each_other():
    cells = list(find.resolve("space", "nasbench201:nodes=3").cells.values())
    one, two = paths(cells, 20), paths(cells * 2, 20)
    assert two.length == 2 * one.length == 40
    np.testing.assert_array_equal(two.starts, [*one.starts, *(one.starts + 20)])
    np.testing.assert_array_equal(two.ends, [20] * len(one.ends) + [40] * len(one.ends))
    np.testing.assert_array_equal(two.edges, [*one.edges, *(one.edges + 3 * (one.weights > 0))])


def test_chains_and_cells_that_choose_edges_have_no_paths_to_tell_apart():
    for name in ("tabular", "darts"):
        assert not has_branches(list(find.resolve("space", name).cells.values()))
