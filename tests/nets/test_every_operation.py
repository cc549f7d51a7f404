"""What holds for every operation: it enumerates ops.py, so a new one is tested without an edit here."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dnas.architectures.topology import Norm
from dnas.errors import UserError
from dnas.nets.functional import functionalize, over_copies, stack
from dnas.nets.ops import OPERATIONS

CHANNELS, COPIES = 4, 2
SEARCHED, DERIVED = Norm(affine=False, pools=True), Norm(affine=True, pools=False)
FLOWING = [name for name, build in OPERATIONS.items() if build(CHANNELS, 1, DERIVED, rngs=nnx.Rngs(0)) is not None]


class Copies(nnx.Module):
    """Copies of an operation that all read the same image, as in the supernet."""

    def __init__(self, name: str, loop: bool, rngs: nnx.Rngs):
        self.stacked = stack(lambda rngs: OPERATIONS[name](CHANNELS, 1, SEARCHED, rngs=rngs), COPIES, rngs)
        self.loop = loop

    def __call__(self, x):
        return over_copies(self.stacked, COPIES, x, loop=self.loop)


def image():
    return jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 5, CHANNELS)), jnp.float32)


def test_nothing_flows_through_none_only():
    assert set(OPERATIONS) - set(FLOWING) == {"none"}


@pytest.mark.parametrize("stride, norm", [(1, SEARCHED), (2, DERIVED)], ids=["searched", "derived-stride-2"])
@pytest.mark.parametrize("name", FLOWING)
def test_shape_and_gradient(name, stride, norm):
    network = functionalize(lambda rngs: OPERATIONS[name](CHANNELS, stride, norm, rngs=rngs))
    weights, stats = network.init(jax.random.key(0))

    @jax.jit
    def step(weights, x):
        def loss(weights, x):
            y, moments = network.apply(weights, stats, x, train=True)
            assert jax.tree.structure(moments) == jax.tree.structure(stats)
            return (y * jnp.cos(jnp.arange(y.size).reshape(y.shape))).sum(), y

        return jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(weights, x)

    (_, y), gradients = step(weights, image())
    assert y.shape == (2, -(-6 // stride), -(-5 // stride), CHANNELS)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((y, gradients)))
    assert (np.abs(gradients[1]).max() > 0) == (name != "noise")  # which hides what came in
    for leaf in jax.tree.leaves(gradients[0]):
        assert leaf.size == 0 or np.abs(leaf).max() > 0


@pytest.mark.parametrize("name", [name for name in FLOWING if name != "noise"])  # which reads nothing but the shape
def test_other_channels_and_whole_numbers_are_refused(name):
    network = functionalize(lambda rngs: OPERATIONS[name](CHANNELS, 2, SEARCHED, rngs=rngs))
    weights, stats = jax.eval_shape(network.init, jax.random.key(0))
    for train in (True, False):
        for x in (image()[..., :1], jnp.tile(image(), 2), image().astype(jnp.uint8), image()[0]):
            with pytest.raises(UserError, match=r"takes .* got "):
                jax.eval_shape(partial(network.apply, train=train), weights, stats, x)


WEIGHTED = [name for name in FLOWING if jax.tree.leaves(OPERATIONS[name](CHANNELS, 1, DERIVED, rngs=nnx.Rngs(0)))]


@pytest.mark.parametrize("name", WEIGHTED)
def test_vmapped_copies_are_a_loop(name):
    wide, slow = (functionalize(lambda rngs, loop=loop: Copies(name, loop, rngs)) for loop in (False, True))
    weights, stats = wide.init(jax.random.key(0))
    outputs = [jax.jit(lambda x, n=n: n.apply(weights, stats, x, train=True))(image()) for n in (wide, slow)]
    assert outputs[0][0].shape == (COPIES, 2, 6, 5, CHANNELS)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), *outputs)
