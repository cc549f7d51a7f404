"""SDARTS: the attack against closed forms, and which level it concerns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.architectures.topology import NetworkSize
from dnas.config import AlphaConfig, SearchConfig
from dnas.errors import UserError
from dnas.nets.functional import functionalize
from dnas.nets.supernet import Supernet
from dnas.search import perturb
from dnas.search.bilevel import make_search
from dnas.search.levels import Levels
from dnas.spaces import nasbench201
from dnas.tasks.classification import Classification
from dnas.types import Batch, Clock

MIX = {"cell": jnp.array([[0.5, 0.5], [0.4, 0.6]])}
NOTHING = {"cell": jnp.zeros((2, 2))}


def now(epoch):
    return Clock(jnp.int32(0), jnp.int32(epoch), 10)


def test_the_attack_climbs_a_linear_loss_to_the_border_of_the_ball():
    slope = jnp.array([[1.0, -1.0], [-2.0, 3.0]])
    found = perturb.attack(MIX, lambda m: (slope * m["cell"]).sum(), NOTHING, 0.1, 7)
    # a shift of (+r, -r) keeps the sum of a row, so that normalising changes nothing
    np.testing.assert_allclose(found.mix["cell"], [[0.6, 0.4], [0.3, 0.7]], atol=1e-6)
    assert found.path["cell"].shape == (8, 2, 2) and found.losses.shape == (9,)
    assert (np.diff(found.losses[1:]) >= -1e-6).all() and found.losses[-1] > found.losses[0]


def test_an_attack_that_lowers_the_loss_is_undone():
    found = perturb.attack(
        MIX, lambda m: -jnp.square(m["cell"] - MIX["cell"]).sum(), {"cell": NOTHING["cell"] + 0.05}, 0.3, 1
    )
    np.testing.assert_array_equal(found.mix["cell"], MIX["cell"])
    assert found.losses[0] > found.losses[-1]


def test_rows_are_clipped_and_normalised():
    rows = jnp.array([[0.2, 0.6, -0.1], [-0.3, -0.1, -0.2], [1.5, 0.5, 0.0]])
    np.testing.assert_allclose(perturb.normalised(rows), [[0.25, 0.75, 0], [0, 1, 0], [2 / 3, 1 / 3, 0]], rtol=1e-6)


def test_the_radius_grows_over_the_epochs_and_bounds_the_noise():
    radius = perturb.growing(0.03, 0.3)
    np.testing.assert_allclose([radius(now(e)) for e in (0, 5, 10)], [0.03, 0.165, 0.3], rtol=1e-6)
    wide = {"cell": jnp.zeros((200, 5))}
    noise = perturb.noise(wide, jax.random.key(0), 0.2)["cell"]
    assert 0.19 < noise.max() <= 0.2 and -0.2 <= noise.min() < -0.19 and abs(noise.mean()) < 0.01
    moved = perturb.random(radius)(MIX, None, jax.random.key(0), now(10))["cell"]
    np.testing.assert_allclose(moved.sum(-1), 1, rtol=1e-6)
    assert np.abs(moved - MIX["cell"]).max() > 0.01


@pytest.mark.slow
def test_only_the_weights_feel_the_attack():
    space = nasbench201.space(nodes=2, operations="skip_connect+nor_conv_1x1")
    network = functionalize(lambda rngs: Supernet(space, NetworkSize(1, 2, 3), rngs=rngs))
    batch = Batch(jax.random.normal(jax.random.key(1), (4, 4, 4, 3)), jnp.arange(4) % 3)

    def stepped(choice):
        config = SearchConfig(epochs=2, alphas=AlphaConfig(learning_rate=0.1))
        search = make_search(network, space, find.resolve("method", choice), config, 1, task=Classification())
        return jax.jit(search.step)(search.init(jax.random.key(0)), Levels(batch, batch))

    (plain, seen), (attacked, harder) = stepped("darts"), stepped("sdarts:start=0.3")
    np.testing.assert_allclose(plain.alphas["cell"], attacked.alphas["cell"], atol=1e-6)
    moved = [np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (plain.weights, attacked.weights)), strict=True)]
    assert max(moved) > 1e-5
    assert abs(float(harder.train["loss"][0] - seen.train["loss"][0])) > 1e-4
    np.testing.assert_allclose(harder.valid["loss"][0], seen.valid["loss"][0], rtol=1e-5)


def test_an_unknown_attack_is_named():
    with pytest.raises(UserError, match="attack of method 'sdarts'"):
        find.resolve("method", "sdarts:attack=strong")
