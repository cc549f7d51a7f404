"""Lambda-DARTS: the derivative of the alignment against finite differences, and mixes of every cell's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.architectures.topology import NetworkSize
from dnas.config import SearchConfig
from dnas.errors import UserError
from dnas.nets.functional import functionalize
from dnas.nets.supernet import Supernet
from dnas.search.alignment import aligning, alignment
from dnas.search.method import adapted
from dnas.spaces import darts, nasbench201
from dnas.types import Clock, Evaluated

NOW = Clock(jnp.int32(0), jnp.int32(0), 1)


def measured_by_hand(gradients, measure):
    """The mean over pairs of cells of a kind."""
    found = []
    for rows in gradients:
        flat = [np.asarray(row).ravel() for row in rows]
        for i in range(len(flat)):
            for j in range(i + 1, len(flat)):
                size = np.abs(flat[i]) @ np.abs(flat[j])
                norms = np.linalg.norm(flat[i]) * np.linalg.norm(flat[j])
                found.append(flat[i] @ flat[j] / (size if measure == "sign" else norms))
    return np.mean(found)


@pytest.mark.parametrize("measure", ["cosine", "sign"])
def test_the_alignment_is_the_mean_over_pairs(measure):
    rows = np.random.default_rng(0).normal(size=(5, 3, 2))
    cells, given = {"a": [0, 2, 3], "b": [1, 4]}, {"a": jnp.array(rows), "b": jnp.array(rows[:, :1])}
    given = {"a": given["a"].at[1].set(0), "b": given["b"].at[0].set(0)}  # a cell that is not compared
    measured = jax.jit(jax.value_and_grad(lambda gradients: alignment(gradients, cells, measure)))
    got, slope = measured(given)
    np.testing.assert_allclose(got, measured_by_hand([rows[[0, 2, 3]], rows[[1, 4], :1]], measure), rtol=1e-5)
    assert not slope["a"][1].any() and slope["a"][0].any()
    _, slope = measured({"a": given["a"], "b": given["b"].at[4].set(0)})  # a cell without a gradient
    assert all(np.isfinite(leaf).all() for leaf in slope.values())


def formula():
    """Three cells, each the mix of four layers; the loss of their weights and of the mix, in float64."""
    x, y = (jax.random.normal(jax.random.key(seed), (8, 3), float) for seed in (1, 2))
    weights = jax.random.normal(jax.random.key(0), (3, 4, 3, 3), float)

    def loss(weights, mix):
        state = x
        for cell in range(3):
            layers = jnp.tanh(jnp.einsum("bi,oij->obj", state, weights[cell]))
            state = jnp.einsum("o,obj->bj", mix["cell"][cell, 0], layers)
        return jnp.square(state - y).mean(), Evaluated(())

    return loss, weights, {"cell": jnp.array([[0.1, 0.2, 0.3, 0.4]])}


def supernet():
    """The same of a supernet of three cells."""
    space = nasbench201.space(nodes=2, operations="skip_connect+nor_conv_1x1")
    network = functionalize(lambda rngs: Supernet(space, NetworkSize(1, 2, 3), rngs=rngs))
    weights, stats = jax.jit(network.init)(jax.random.key(0))
    images, labels = jax.random.normal(jax.random.key(1), (4, 4, 4, 3), float), jnp.arange(4) % 3

    def loss(weights, mix):
        logits, moments = network.apply(weights, stats, images, mix, train=True)
        return -jax.nn.log_softmax(logits)[jnp.arange(4), labels].mean(), Evaluated(moments)

    return loss, weights, {"cell": jax.nn.softmax(jax.random.normal(jax.random.key(2), (1, 2), float))}


@pytest.mark.parametrize(
    "made, measure", [(formula, "cosine"), (formula, "sign"), pytest.param(supernet, "cosine", marks=pytest.mark.slow)]
)
def test_weights_step_by_the_exact_derivative_of_the_alignment(made, measure):
    with jax.enable_x64(True):
        loss, weights, mix = made()
        copies = {"cell": jnp.broadcast_to(mix["cell"], (3, *mix["cell"].shape))}
        both = jax.jit(lambda w: jax.value_and_grad(loss, (0, 1), has_aux=True)(w, copies))
        own = aligning(lambda clock: jnp.float64(1), {"cell": [0, 1, 2]}, 3, measure)
        (value, _), gradient = jax.jit(lambda w: own(loss, w, mix, NOW))(weights)
        (expected, _), (plain, _) = both(weights)
        assert value == pytest.approx(float(expected), rel=1e-12)

        radius, rng, slopes = 1e-6, np.random.default_rng(0), []
        for _ in range(3):
            direction = jax.tree.map(lambda leaf: jnp.array(rng.normal(size=leaf.shape)), weights)  # noqa: B023
            ends = []
            for sign in (1, -1):
                moved = jax.tree.map(lambda w, d, s=sign: w + s * radius * d, weights, direction)
                ends.append(measured_by_hand([both(moved)[1][1]["cell"]], measure))
            slopes.append((ends[0] - ends[1]) / (2 * radius))
            terms = jax.tree.map(lambda p, g, d: ((p - g) * d).sum(), plain, gradient, direction)
            assert sum(map(float, jax.tree.leaves(terms))) == pytest.approx(slopes[-1], rel=1e-4, abs=1e-7)
        assert max(map(abs, slopes)) > 1e-3


@pytest.mark.slow
def test_every_cell_can_have_a_mix_of_its_own():
    with jax.enable_x64(True):
        loss, weights, mix = supernet()
        gradients = jax.jit(jax.value_and_grad(loss, 1, has_aux=True))
        copies = jnp.broadcast_to(mix["cell"], (3, 1, 2))
        ((one, _), shared), ((same, _), apart) = gradients(weights, mix), gradients(weights, {"cell": copies})
        assert float(same) == pytest.approx(float(one), rel=1e-12)
        np.testing.assert_allclose(apart["cell"].sum(0), shared["cell"], rtol=1e-9, atol=1e-12)
        (other, _), _ = gradients(weights, {"cell": copies.at[1].set(jnp.flip(copies[1], -1))})
        assert abs(float(other) - float(one)) > 1e-6
        with pytest.raises(UserError, match=r"is \[2, 1, 2\], expected \[3, 1, 2\]: 3 cells, each \[1, 2\]: 1 edges"):
            jax.eval_shape(loss, weights, {"cell": copies[:2]})


def test_which_cells_are_compared():
    method = find.resolve("method", "lambda_darts:weight=0.5")
    space = darts.space(nodes=1, operations="skip_connect")
    for cells in (1, 2, 3):
        with pytest.raises(UserError, match=f"no two of them with search.cells {cells}: choose more cells"):
            adapted(method, space.within(cells), SearchConfig(cells=cells))
    tried = []

    def loss(weights, mix):
        tried.append({kind: table.shape for kind, table in mix.items()})
        return (weights * sum(m.sum() for m in mix.values())) ** 2, Evaluated(())

    own = adapted(method, space, SearchConfig(cells=8)).weight_gradient
    tables = {"normal": jnp.ones((2, 1)), "reduce": jnp.ones((2, 1))}
    jax.eval_shape(lambda weights: own(loss, weights, tables, NOW), jnp.ones(()))
    assert tried[0] == {"normal": (8, 2, 1), "reduce": (2, 1)}  # its reducing cells share theirs


def test_the_weight_grows_linearly():
    """cos(g_0, g_1) of L = w_0 m_0 + w_1 m_1 with tables of two entries."""
    own = aligning(lambda clock: 0.25 * clock.epoch / 4, {"cell": [0, 1]}, 2, "cosine")

    def loss(weights, mix):
        return (weights * mix["cell"][:, 0]).sum(), Evaluated(())

    weights, mix = jnp.array([[1.0, 0.0], [1.0, 1.0]]), {"cell": jnp.array([[0.5, 0.5]])}
    step = jax.jit(lambda epoch: own(loss, weights, mix, Clock(epoch, epoch, 5))[1])
    gradients = [step(jnp.int32(epoch)) for epoch in (0, 2, 4)]
    np.testing.assert_allclose(gradients[0], 0.5)
    half = 1 / np.sqrt(2)  # sin and cos of the angle between the two
    slope = [[0, half], [half / 2, -half / 2]]
    for share, gradient in zip((0.125, 0.25), gradients[1:], strict=True):
        np.testing.assert_allclose((0.5 - gradient) / share, slope, atol=1e-6)
