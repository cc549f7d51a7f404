"""The landscape of NAS-Bench-201: what the field knows of it comes out of the table."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from dnas.tables import nasbench201
from dnas.tables.protocol import at, place

TABLE = nasbench201.table()


def neighbours():
    """The places of all cells that differ in one operation, int [N, 24]."""
    cells = at(np.arange(TABLE.size), TABLE.options)
    found = []
    for edge, count in enumerate(TABLE.options):
        for step in range(1, count):
            changed = cells.copy()
            changed[:, edge] = (changed[:, edge] + step) % count
            found.append(place(changed, TABLE.options))
    return np.stack(found, 1)


NEIGHBOURS = neighbours()


def ascended(values):
    """Where steepest ascent from each cell ends, and after how many steps; of equal neighbours the first."""
    best = NEIGHBOURS[np.arange(TABLE.size), values[NEIGHBOURS].argmax(1)]
    better = np.where(values[best] > values, best, np.arange(TABLE.size))
    place, steps = np.arange(TABLE.size), np.zeros(TABLE.size)
    while (better[place] != place).any():
        steps += better[place] != place
        place = better[place]
    return place, steps


@pytest.mark.parametrize(
    "data, maxima, share, steps",
    [("cifar10", 52, 18.9, 3.8), ("cifar100", 46, 48.5, 4.8), ("imagenet16", 49, 10.9, 4.0)],
)
def test_local_maxima_of_one_training(data, maxima, share, steps):
    """Unrounded numbers, in which errors of rounding break some ties, were once counted to 52, 44 and 47 maxima."""
    values = TABLE.column(data, "single_200")
    ends, taken = ascended(values)
    assert len(np.unique(ends)) == maxima
    assert 100 * (values[ends] == values.max()).mean() == pytest.approx(share, abs=0.05)
    assert taken.mean() == pytest.approx(steps, abs=0.05)


@pytest.mark.parametrize("data, maxima", [("cifar10", 18), ("cifar100", 25), ("imagenet16", 37)])
def test_local_maxima_of_the_mean(data, maxima):
    assert len(np.unique(ascended(TABLE.column(data, "test_200"))[0])) == maxima


@pytest.mark.parametrize("data, expected", [("cifar10", 0.772), ("cifar100", 0.825), ("imagenet16", 0.818)])
def test_how_a_short_training_ranks_cells_as_a_long_one_does(data, expected):
    found = spearmanr(TABLE.column(data, "valid_12"), TABLE.column(data, "test_200")).statistic
    assert found == pytest.approx(expected, abs=0.0005)


def test_what_a_size_alone_says():
    """Parameters rank cells as well as many a proxy: 0.71 to 0.75 by Spearman in the surveys of proxies."""
    for data in TABLE.datasets:
        found = spearmanr(TABLE.column(data, "parameters"), TABLE.column(data, "test_200")).statistic
        assert 0.69 < found < 0.77
