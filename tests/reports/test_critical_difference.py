"""Average ranks and critical differences against the example and the table of Demsar's paper."""

import numpy as np
import pytest

from dnas.reports import critical_difference as cd

# Demsar 2006, table 6: areas under the curve of four learners on 14 data sets.
SCORES = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.975, 0.9749],  # printed as equal, and ranked apart
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def test_the_example_of_the_paper():
    found = cd.ranks(SCORES)
    assert found.average == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    assert found.critical == pytest.approx(1.25, abs=5e-3)
    assert found.p < 0.05


@pytest.mark.parametrize("methods, q", [(3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_critical_values_are_those_of_the_table(methods, q):
    blocks = 6
    found = cd.ranks(np.random.default_rng(0).normal(size=(blocks, methods)))
    assert found.critical / np.sqrt(methods * (methods + 1) / (6 * blocks)) == pytest.approx(q, abs=1e-3)


def test_bars_are_the_widest_spans_of_what_does_not_differ():
    found = cd.Ranks(np.array([4.0, 1.0, 1.5, 2.9]), 0.01, 1.45)
    assert cd.groups(found) == [(1.0, 1.5), (1.5, 2.9), (2.9, 4.0)]
    assert cd.groups(found._replace(critical=2.0)) == [(1.0, 2.9), (2.9, 4.0)]
    assert cd.groups(found._replace(critical=0.1)) == []


def test_a_picture(tmp_path):
    found = cd.plot_ranks(["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"], SCORES, tmp_path / "x.png", "areas")
    assert (tmp_path / "x.png").stat().st_size > 5_000 and found.p < 0.05
    alike = cd.plot_ranks(["a", "b", "c"], np.ones((3, 3)), tmp_path / "y.png")
    assert alike.p == 1 and alike.average.tolist() == [2, 2, 2]
