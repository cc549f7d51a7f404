"""The gate of OLES, step by step against NumPy."""

import jax
import numpy as np
import pytest

from dnas.errors import UserError
from dnas.search.gates import cosine, freeze_disagreeing
from dnas.types import Clock

CLOCK = Clock(0, 0, 1)
CELLS, EDGES = 2, 3


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def gradient(rng):
    def operation(*shape):
        return {"operation": {"conv": rng.normal(size=(CELLS, EDGES, *shape)), "norm": rng.normal(size=(CELLS, EDGES))}}

    return {
        "stage": {
            "core": {"candidates": {0: operation(3, 2), 4: operation(5)}},
            "older": {"kernel": rng.normal(size=4)},
        },
        "stem": rng.normal(size=3),
    }


def vectors(tree, number):
    """[cells, edges, N] of one operation."""
    operation = tree["stage"]["core"]["candidates"][number]["operation"]
    return np.concatenate([leaf.reshape(CELLS, EDGES, -1) for leaf in (operation["conv"], operation["norm"])], -1)


def cos(a, b):
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def test_freezes_what_disagrees_on_average_over_a_window_and_for_good():
    rng, threshold, window = np.random.default_rng(0), -0.1, 3
    gate = freeze_disagreeing(threshold, window)
    memory, apply = gate.init(gradient(rng)), jax.jit(gate.apply)
    previous, seen, frozen = None, [], np.zeros((2, CELLS, EDGES), bool)
    history = []
    for step in range(14):
        of_alphas, g = step % 2 == 0, gradient(rng)
        memory, gated = apply(memory, g, of_alphas, CLOCK)
        if of_alphas and previous is not None:
            seen.append([cos(vectors(g, n), vectors(previous, n)) for n in (0, 4)])
            if len(seen) == window:
                frozen |= np.mean(seen, 0) < threshold
                seen = []
        elif not of_alphas:
            previous = g
        for i, number in enumerate((0, 4)):
            expected = np.where(frozen[i][..., None], 0, vectors(g, number))
            np.testing.assert_allclose(vectors(gated, number), expected, rtol=1e-12)
        np.testing.assert_array_equal(gated["stem"], g["stem"])
        np.testing.assert_array_equal(gated["stage"]["older"]["kernel"], g["stage"]["older"]["kernel"])
        history.append(int(frozen.sum()))
    assert history[:6] == [0] * 6 and 0 < history[6] < history[-1] < 2 * CELLS * EDGES


def test_equal_gradients_agree_and_opposite_ones_do_not():
    g = vectors(gradient(np.random.default_rng(1)), 0)
    np.testing.assert_allclose(cosine({"a": g}, {"a": 3 * g}), np.ones((CELLS, EDGES)), rtol=1e-12)
    np.testing.assert_allclose(cosine({"a": g}, {"a": -g}), -np.ones((CELLS, EDGES)), rtol=1e-12)
    np.testing.assert_array_equal(cosine({"a": g}, {"a": 0 * g}), 0)


def test_settings_are_checked():
    for threshold, window in ((2.0, 20), (0.4, 0)):
        with pytest.raises(UserError, match="window"):
            freeze_disagreeing(threshold, window)
