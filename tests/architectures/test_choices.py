"""Independent choices: every combination is an architecture, and every architecture one combination."""

from itertools import product

import numpy as np
import pytest

from dnas import find
from dnas.architectures import choices, encoding
from dnas.architectures.genotype import check, random
from dnas.architectures.topology import with_operations
from dnas.errors import UserError


@pytest.mark.parametrize("name", find.available("space"))
def test_every_space_there_and_back(name):
    space = find.resolve("space", name)
    options, groups = choices.choices(space)
    assert len(options) == len(groups) and int(np.prod(options, dtype=object)) == encoding.count(space)
    known = choices.named(space)
    assert [len(of_choice) for _, of_choice in known] == list(options)
    assert len({called for called, _ in known}) == len(known)
    assert all(len({*of_choice}) == len(of_choice) for _, of_choice in known)
    for seed in range(5):
        genotype = random(space, seed)
        found = choices.encode(genotype, space)
        assert (found >= 0).all() and (found < options).all()
        np.testing.assert_array_equal(choices.numbers(found, space), encoding.encode(genotype, space))
    drawn = choices.decode(np.random.default_rng(0).integers(0, options), space)
    check(drawn, space)


@pytest.mark.parametrize(
    "choice", ["darts:nodes=2,operations=none+skip_connect+max_pool_3x3", "rnn:nodes=3", "robust:name=s1,nodes=1"]
)
def test_no_two_are_the_same(choice):
    space = find.resolve("space", choice)
    options, _ = choices.choices(space)
    everything = {choices.decode(np.array(chosen), space) for chosen in product(*map(range, options))}
    assert len(everything) == np.prod(options) == encoding.count(space)


def test_where_all_edges_are_kept_they_are_the_decisions():
    space = find.resolve("space", "nasbench201")
    assert choices.choices(space) == ((5,) * 6, (1, 2, 2, 3, 3, 3))
    np.testing.assert_array_equal(choices.numbers(np.arange(6) % 5, space), np.arange(6) % 5)


def test_names_say_what_is_chosen():
    space = find.resolve("space", "darts:nodes=2,operations=none+skip_connect+max_pool_3x3")
    known, genotype = dict(choices.named(space)), random(space, 0)
    kinds = [
        f"{kind}.{name}"
        for kind in space.cells
        for name in ("2<-0", "2<-1", "3.sources", "3.operation_1", "3.operation_2")
    ]
    assert list(known) == kinds
    assert known["normal.3.sources"] == ("0+1", "0+2", "1+2")
    said = {name: options[o] for (name, options), o in zip(known.items(), choices.encode(genotype, space), strict=True)}
    edges = [edge for edge in genotype.cell("normal").edges if edge.node == 3]
    assert said["normal.3.sources"] == "+".join(str(edge.source) for edge in edges)
    assert [said[f"normal.3.operation_{i}"] for i in (1, 2)] == [edge.operation for edge in edges]


def test_what_is_no_architecture():
    space = find.resolve("space", "darts:nodes=2")
    with pytest.raises(UserError, match="has 10 choices, not 3"):
        choices.decode(np.zeros(3), space)
    names = ["none", "skip_connect", "max_pool_3x3"]
    unlike = with_operations(space, {kind: [names] * 4 + [names[:2]] for kind in space.cells})
    with pytest.raises(UserError, match="keeps 2 of its edges, which have 1 to 2 operations"):
        choices.choices(unlike)
    with pytest.raises(UserError, match="7 is none of the 7 options of a choice of 'darts', 0 to 6"):
        choices.decode(np.full(10, 7), space)
