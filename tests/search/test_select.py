"""Selection by accuracy, on an accuracy that is known."""

import numpy as np
import pytest

from dnas.architectures.genotype import as_mix, check, cross, mutate, random
from dnas.errors import UserError
from dnas.search import select
from dnas.spaces import darts, nasbench201

DARTS, BENCH = darts.space(), nasbench201.space()


def judge(space, noise=0.0):
    """How much a mix has of a hidden one; the first batch alone sees it through noise. Remembers what it was asked."""
    hidden, asked, rng = as_mix(random(space, 1000), space), [], np.random.default_rng(0)

    def evaluate(mix, train=False, batches=None):
        asked.append((batches, train))
        return float(sum((mix[kind] * hidden[kind]).sum() for kind in mix)) + (noise * rng.normal() if batches else 0)

    return evaluate, asked, float(sum(m.sum() for m in hidden.values()))


@pytest.mark.parametrize("space", [DARTS, BENCH], ids=lambda space: space.name)
def test_evolution_improves_on_random_search_with_as_many_trials(space):
    evaluate, asked, best = judge(space)
    found = select.evolution(20, 15, 5, 0.1)(space, {}, evaluate, 0)
    check(found, space)
    assert len(asked) <= 300 and set(asked) == {(None, True)}
    values = [evaluate(as_mix(random(space, seed), space)) for seed in range(300)]
    assert evaluate(as_mix(found, space)) > max(values) or evaluate(as_mix(found, space)) == best


def test_random_search_ranks_on_one_batch_and_decides_on_all():
    evaluate, asked, _ = judge(BENCH, noise=0.5)
    found = select.random_search(2, 50, 5)(BENCH, {}, evaluate, 0)
    rounds = [batches for batches, _ in asked]
    assert rounds.count(1) == 100 and 5 < rounds.count(None) <= 10 and rounds[:50] == [1] * 50
    assert not any(train for _, train in asked)
    values = [evaluate(as_mix(random(BENCH, seed), BENCH)) for seed in range(100)]
    assert evaluate(as_mix(found, BENCH)) >= np.quantile(values, 0.9)


def test_a_small_space_is_exhausted_without_repeats():
    space, seen = nasbench201.space(nodes=2), []
    select.evolution(10, 3, 2, 0.5)(space, {}, lambda mix, train: seen.append(mix["cell"].argmax()) or 0.0, 0)
    assert sorted(seen) == list(range(5))


@pytest.mark.parametrize("space", [DARTS, BENCH], ids=lambda space: space.name)
def test_children_are_genotypes_of_their_parents(space):
    generator = np.random.default_rng(0)
    changed = []
    for seed in range(30):
        a, b = random(space, seed), random(space, seed + 1)
        child, mutant = cross(a, b, space, generator), mutate(a, space, 0.1, generator)
        for genotype in (child, mutant):
            mix = as_mix(genotype, space)  # refuses two operations on an edge
            for kind, cell in space.cells.items():
                for node in cell.computed:
                    incoming = cell.incoming(node)
                    assert mix[kind][incoming].sum() == min(cell.kept or len(incoming), len(incoming))
                assert cell.kept is None or all(edge.operation != "none" for edge in genotype.cell(kind).edges)
        for kind, cell in child.cells:
            assert set(cell.edges) <= set(a.cell(kind).edges) | set(b.cell(kind).edges)
        pairs = [(x, y) for kind, cell in mutant.cells for x, y in zip(cell.edges, a.cell(kind).edges, strict=True)]
        changed += [x != y for x, y in pairs]
    assert 0.04 < np.mean(changed) < 0.12  # a tenth, of which some are drawn as they were
    assert mutate(a, space, 0.0, generator) == a
    assert cross(a, a, space, generator) == a


def test_numbers_are_checked():
    with pytest.raises(UserError, match="'finalists' must be at least 1"):
        select.random_search(1, 10, 0)
    with pytest.raises(UserError, match="'mutation' is a probability"):
        select.evolution(10, 2, 2, 0.0)
