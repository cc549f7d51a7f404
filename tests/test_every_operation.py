"""What holds for every operation: it enumerates ops.py, so a new one is tested without an edit here."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dnas.nets.functional import functionalize, over_copies, stack
from dnas.spaces.ops import OPERATIONS
from dnas.spaces.topology import Norm

CHANNELS = 4
NORMS = {"searched": Norm(affine=False, pools=True), "derived": Norm(affine=True, pools=False)}


def image(height=6, width=5):
    return jnp.asarray(np.random.default_rng(0).normal(size=(2, height, width, CHANNELS)), jnp.float32)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_shape_and_gradient(name, norm, stride):
    def build(rngs):
        return OPERATIONS[name](CHANNELS, stride, NORMS[norm], rngs=rngs)

    if build(nnx.Rngs(0)) is None:
        assert name == "none"
        return
    network = functionalize(build)
    weights, stats = jax.jit(network.init)(jax.random.key(0))

    @jax.jit
    def loss(weights, x):
        y, moments = network.apply(weights, stats, x, train=True)
        assert jax.tree.structure(moments) == jax.tree.structure(stats)
        return (y * jnp.cos(jnp.arange(y.size).reshape(y.shape))).sum(), y

    x = image()
    (_, y), gradients = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(weights, x)
    assert y.shape == (2, -(-6 // stride), -(-5 // stride), CHANNELS)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((y, gradients)))
    assert np.abs(gradients[1]).max() > 0
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradients[0]))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", OPERATIONS)
def test_vmapped_copies_are_a_loop(name, stride):
    def build(rngs):
        return OPERATIONS[name](CHANNELS, stride, NORMS["searched"], rngs=rngs)

    if build(nnx.Rngs(0)) is None:
        pytest.skip("nothing flows")
    module = stack(build, 3, nnx.Rngs(0))
    x = image()
    wide = jax.jit(lambda x: over_copies(module, x))
    slow = jax.jit(lambda x: over_copies(module, x, loop=True))
    np.testing.assert_allclose(wide(x), slow(x), rtol=1e-4, atol=1e-5)
