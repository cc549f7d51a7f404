"""Discretisation on hand-made mixes."""

import numpy as np

from dnas.architectures.genotype import Edge, as_mix, check, random
from dnas.search.discretise import every_edge, limited_skips, strongest
from dnas.spaces import darts, nasbench201


def test_none_never_wins_in_darts_but_may_in_nasbench201():
    for space, allowed in ((darts.space(nodes=1), False), (nasbench201.space(nodes=2), True)):
        mix = {kind: np.zeros(shape) for kind, shape in space.mix_shapes.items()}
        for table in mix.values():
            table[:, 0] = 1.0
        names = {edge.operation for _, cell in strongest(space, mix).cells for edge in cell.edges}
        assert names == ({"none"} if allowed else {"max_pool_3x3"})


def test_two_strongest_edges_in_descending_order():
    space = darts.space(nodes=2)
    mix = {kind: np.full(shape, 0.01) for kind, shape in space.mix_shapes.items()}
    mix["normal"][2:5, 4] = [0.2, 0.1, 0.3]  # the edges 0, 1, 2 -> 3
    cell = strongest(space, mix).cell("normal")
    assert cell.edges[2:] == (Edge(3, 2, "sep_conv_3x3"), Edge(3, 0, "sep_conv_3x3"))


def test_ties_go_to_the_lower_edge_and_operation():
    space = darts.space()
    genotype = strongest(space, {kind: np.ones(shape) for kind, shape in space.mix_shapes.items()})
    for _, cell in genotype.cells:
        assert [edge.source for edge in cell.edges] == [0, 1] * 4
        assert {edge.operation for edge in cell.edges} == {"max_pool_3x3"}


def test_every_edge_is_kept_but_those_that_chose_none():
    space = darts.space(nodes=2, operations="none+skip_connect+sep_conv_3x3")
    mix = {kind: np.zeros(shape) for kind, shape in space.mix_shapes.items()}
    for table, best in zip(mix.values(), ([2, 0, 1, 2, 1], [0, 0, 0, 0, 0]), strict=True):
        table[range(5), best] = 1.0
    genotype = every_edge(space, mix)
    skip, conv = "skip_connect", "sep_conv_3x3"
    assert genotype.cell("normal").edges == ((2, 0, conv), (3, 0, skip), (3, 1, conv), (3, 2, skip))
    assert genotype.cell("reduce").edges == ()
    check(genotype, space)
    bench = nasbench201.space(nodes=3)
    for seed in range(5):
        assert every_edge(bench, as_mix(random(bench, seed), bench)) == random(bench, seed)


def test_a_one_hot_mix_gives_its_genotype_back():
    for space in (darts.space(), nasbench201.space()):
        for seed in range(5):
            genotype = random(space, seed)
            found = strongest(space, as_mix(genotype, space))
            assert [sorted(c.edges) for _, c in found.cells] == [sorted(c.edges) for _, c in genotype.cells]


def random_mix(space, seed):
    rng = np.random.default_rng(seed)
    return {kind: rng.dirichlet(np.ones(shape[1]), shape[0]) for kind, shape in space.mix_shapes.items()}


def skips(cell):
    return [edge for edge in cell.edges if edge.operation == "skip_connect"]


def test_skips_are_struck_one_by_one_until_few_are_left():
    space, changed = darts.space(operations="none+skip_connect+sep_conv_3x3"), 0
    for seed in range(20):
        mix = random_mix(space, seed)
        free, cells = strongest(space, mix), []
        for limit in (8, 2, 1, 0):
            genotype = limited_skips(limit)(space, mix)
            assert len(skips(genotype.cell("normal"))) <= limit
            assert genotype.cell("reduce") == free.cell("reduce")
            cells.append(genotype.cell("normal"))
        assert cells[0] == free.cell("normal")
        changed += cells[1] != cells[0]
    assert changed > 5


def test_the_weakest_skip_goes_first_and_another_edge_may_take_its_place():
    space = darts.space(nodes=2, operations="none+skip_connect+sep_conv_3x3")
    mix = {kind: np.full(shape, 0.1) for kind, shape in space.mix_shapes.items()}
    mix["normal"][:, 1] = [0.5, 0.6, 0.7, 0.45, 0.3]  # the edges 0, 1 -> 2 and 0, 1, 2 -> 3
    mix["normal"][:, 2] = [0.2, 0.2, 0.1, 0.1, 0.4]
    assert [tuple(e) for e in strongest(space, mix).cell("normal").edges] == [
        (2, 1, "skip_connect"),
        (2, 0, "skip_connect"),
        (3, 0, "skip_connect"),
        (3, 1, "skip_connect"),
    ]
    assert [tuple(e) for e in limited_skips(3)(space, mix).cell("normal").edges] == [
        (2, 1, "skip_connect"),
        (2, 0, "skip_connect"),
        (3, 0, "skip_connect"),
        (3, 2, "sep_conv_3x3"),
    ]
    two = limited_skips(2)(space, mix).cell("normal").edges
    assert set(map(tuple, two)) == {
        (2, 1, "skip_connect"),
        (2, 0, "sep_conv_3x3"),
        (3, 0, "skip_connect"),
        (3, 2, "sep_conv_3x3"),
    }
    np.testing.assert_array_equal(mix["normal"][:, 1], [0.5, 0.6, 0.7, 0.45, 0.3])


def test_where_nothing_but_skips_is_left_they_stay():
    space = darts.space(nodes=1, operations="none+skip_connect")
    genotype = limited_skips(0)(space, random_mix(space, 0))
    assert len(skips(genotype.cell("normal"))) == 2
