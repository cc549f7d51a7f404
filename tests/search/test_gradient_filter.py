"""The gradient filter of OLES, step by step against NumPy."""

import jax
import numpy as np
import pytest

from dnas import find
from dnas.errors import UserError
from dnas.search.gradient_filter import RULES, freeze_disagreeing, mean_cosine, whole_cosine
from dnas.training.weights import clip
from dnas.types import Clock

CLOCK = Clock(0, 0, 1)
CELLS, EDGES = 2, 3


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def gradient(rng):
    def operation(*shape):
        return {
            "operation": {"conv": rng.normal(size=(CELLS, EDGES, *shape)), "norm": rng.normal(size=(CELLS, EDGES, 3))}
        }

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
    with np.errstate(invalid="ignore"):  # a stopped operation has none
        return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def along_channels(tree, previous, number):
    """[cells, edges]: what the reference code averages, parameter by parameter."""
    means = []
    for name in ("conv", "norm"):
        v, t = (g["stage"]["core"]["candidates"][number]["operation"][name] for g in (tree, previous))
        means.append(cos(v + t, t).reshape(CELLS, EDGES, -1).mean(-1))
    return np.mean(means, 0)


def clipped(tree, norm):
    total = np.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(tree)))
    return jax.tree.map(lambda leaf: leaf * min(1, norm / (total + 1e-6)), tree)


@pytest.mark.parametrize("rule, threshold, terms", [("paper", -0.1, 3), ("code", 0.6, 4)])
def test_freezes_what_disagrees_on_average_over_a_window_and_for_good(rule, threshold, terms):
    rng, window, norm = np.random.default_rng(0), 3, 4.0
    own = freeze_disagreeing(threshold, window, rule, clip(norm))
    memory, apply = own.init(gradient(rng)), jax.jit(own.apply)
    previous, seen, frozen = None, [], np.zeros((2, CELLS, EDGES), bool)
    history = []
    for step in range(18):
        of_alphas, g = step % 2 == 0, gradient(rng)
        memory, filtered = apply(memory, g, of_alphas, CLOCK)
        if of_alphas and previous is not None:
            if rule == "paper":
                seen.append([cos(vectors(g, n), vectors(previous, n)) for n in (0, 4)])
            else:
                seen.append([along_channels(g, previous, n) for n in (0, 4)])
            seen[-1] = np.where(frozen, 0, seen[-1])
            if len(seen) == terms:
                frozen |= np.sum(seen, 0) / window < threshold
                seen = []
        for i, number in enumerate((0, 4)):
            expected = np.where(frozen[i][..., None], 0, vectors(g, number))
            np.testing.assert_allclose(vectors(filtered, number), expected, rtol=1e-12)
        if not of_alphas:
            previous = clipped(filtered, norm)
        np.testing.assert_array_equal(filtered["stem"], g["stem"])
        np.testing.assert_array_equal(filtered["stage"]["older"]["kernel"], g["stage"]["older"]["kernel"])
        history.append(int(frozen.sum()))
    first = 2 * terms
    assert history[:first] == [0] * first and 0 < history[first] < history[-1] < 2 * CELLS * EDGES


def test_the_cosines_of_the_reference_code():
    """PyTorch: `cosine_similarity(grad, previous, dim=0).mean()` of a depthwise [3, 1, 3, 3] and a pointwise
    [4, 3, 1, 1] kernel, where `grad` was not cleared between the training and the validation pass, and the training
    gradient was clipped to a norm of 5 together with a vector [5]."""
    theirs = [0.5490921290671025, 0.5731145554793133, 0.5489389776559465, 0.5866347275671251, 0.6392696606867587]
    rng, shapes, ours, previous = np.random.default_rng(7), ((3, 1, 3, 3), (4, 3, 1, 1)), [], None

    def draw():
        kernels = [rng.normal(size=shape) for shape in shapes]
        return {"depthwise": kernels[0], "pointwise": kernels[1], "rest": rng.normal(size=5)}

    def placed(g):
        depthwise, pointwise = g["depthwise"][:, 0].transpose(1, 2, 0), g["pointwise"][:, :, 0, 0].T
        return {"depthwise": depthwise[None, None], "pointwise": pointwise[None, None]}

    for _ in range(6):
        valid, train = draw(), draw()
        if previous is not None:
            ours.append(float(mean_cosine(placed(valid), placed(previous))[0, 0]))
        previous = clipped(train, 5.0)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_equal_gradients_agree_and_opposite_ones_do_not():
    g = vectors(gradient(np.random.default_rng(1)), 0)
    np.testing.assert_allclose(whole_cosine({"a": g}, {"a": 3 * g}), np.ones((CELLS, EDGES)), rtol=1e-12)
    np.testing.assert_allclose(whole_cosine({"a": g}, {"a": -g}), -np.ones((CELLS, EDGES)), rtol=1e-12)
    np.testing.assert_array_equal(whole_cosine({"a": g}, {"a": 0 * g}), 0)


def test_opposite_gradients_of_validation_agree_with_the_code_as_long_as_training_is_stronger():
    g = {"a": vectors(gradient(np.random.default_rng(1)), 0)}
    weak = jax.tree.map(lambda leaf: -leaf / 2, g)
    np.testing.assert_allclose(mean_cosine(weak, g), np.ones((CELLS, EDGES)), rtol=1e-12)
    np.testing.assert_allclose(whole_cosine(weak, g), -np.ones((CELLS, EDGES)), rtol=1e-12)


def test_settings_are_checked():
    for setting in ("threshold=2.0", "window=0", "rule=both"):
        with pytest.raises(UserError, match=setting.partition("=")[0]):
            find.resolve("method", f"oles:{setting}")
    assert set(RULES) == {"paper", "code"}
