"""S1 to S4: their operations, and the noise of S4 inside a supernet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.architectures.topology import NetworkSize
from dnas.errors import UserError
from dnas.nets.functional import functionalize
from dnas.nets.ops import GaussianNoise
from dnas.nets.supernet import Supernet
from dnas.spaces.robust import space
from dnas.types import Noise


@pytest.mark.parametrize("name, count", [("s1", 2), ("s2", 2), ("s3", 3), ("s4", 2)])
def test_shapes(name, count):
    assert space(name=name).mix_shapes == {"normal": (14, count), "reduce": (14, count)}
    assert space(name=name, nodes=2).mix_shapes == {"normal": (5, count), "reduce": (5, count)}


def test_edges_of_s1_differ():
    cells = space().cells
    assert len(set(cells["normal"].operations)) == 5 and len(set(cells["reduce"].operations)) == 5
    assert "skip_connect" not in {name for name in cells["normal"].operations[-1]}


def test_bad_names_and_sizes_are_one_sentence():
    with pytest.raises(UserError, match="name of space 'robust'"):
        space(name="s6")
    with pytest.raises(UserError, match="have 4 nodes"):
        space(nodes=5)


def test_noise_is_standard_normal_and_hides_its_input():
    noise, x = GaussianNoise(2), jnp.full((50, 8, 8, 4), 1e6)
    y = noise(x, Noise(jax.random.key(1)))
    assert y.shape == (50, 4, 4, 4)
    assert abs(y.mean()) < 0.06 and abs(y.std() - 1) < 0.06
    assert np.abs(y - noise(x, Noise(jax.random.key(2)))).max() > 1
    np.testing.assert_array_equal(noise(x), noise(0 * x))


@pytest.mark.slow
def test_in_a_supernet_noise_is_drawn_for_every_step_edge_and_cell():
    small = space(name="s4", nodes=2)
    assert small.random == {"noise"} and not space(name="s2").random
    network = functionalize(lambda rngs: Supernet(small, NetworkSize(3, 2, 3), rngs=rngs))
    looped = functionalize(lambda rngs: Supernet(small, NetworkSize(3, 2, 3, loop=True), rngs=rngs))
    weights, stats = jax.jit(network.init)(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (4, 8, 8, 3))
    mix = {kind: np.full(shape, 0.5, np.float32) for kind, shape in small.mix_shapes.items()}

    @jax.jit
    def logits(key):
        return network.apply(weights, stats, x, mix, Noise(key), train=True)[0]

    one, two = logits(jax.random.key(0)), logits(jax.random.key(1))
    np.testing.assert_array_equal(one, logits(jax.random.key(0)))
    assert np.abs(one - two).max() > 1e-3
    twin = jax.jit(lambda key: looped.apply(weights, stats, x, mix, Noise(key), train=True)[0])(jax.random.key(0))
    np.testing.assert_allclose(one, twin, rtol=1e-3, atol=1e-4)
    evaluated = jax.jit(lambda: network.apply(weights, stats, x, mix, train=False)[0])
    np.testing.assert_array_equal(evaluated(), evaluated())
