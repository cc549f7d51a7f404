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
