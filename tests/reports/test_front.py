"""Pareto fronts and their volumes, against counting."""

import numpy as np
import pytest

from dnas.reports import front

POINTS = np.random.default_rng(0).integers(0, 6, (40, 3)).astype(float)


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_a_volume_is_what_counting_gives(objectives):
    points = POINTS[:, :objectives]
    axes = np.meshgrid(*[np.arange(6) + 0.5] * objectives, indexing="ij")
    grid = np.stack([axis.ravel() for axis in axes], -1)
    covered = (points[:, None] > grid[None]).all(-1).any(0).sum()
    assert front.hypervolume(points) == pytest.approx(covered)
    growing = front.growing(points)
    assert growing[-1] == pytest.approx(covered) and growing[4] == pytest.approx(front.hypervolume(points[:5]))


def test_nothing_beats_the_front():
    points = POINTS[:, :2]
    kept = front.nondominated(points)
    beaten = [any((other >= point).all() and (other > point).any() for other in points) for point in points]
    for i, point in enumerate(points):
        first = not (points[:i] == point).all(1).any()
        assert kept[i] == (not beaten[i] and first)
