"""GAEA in whole steps: both levels, and one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dnas.architectures.topology import NetworkSize
from dnas.config import AlphaConfig, SearchConfig
from dnas.methods import gaea
from dnas.nets.functional import functionalize
from dnas.nets.supernet import Supernet
from dnas.search.bilevel import make_search
from dnas.search.levels import Levels
from dnas.spaces import nasbench201
from dnas.tasks.classification import Classification
from dnas.types import Batch

SPACE = nasbench201.space(nodes=2, operations="skip_connect+nor_conv_1x1+avg_pool_3x3")
NETWORK = functionalize(lambda rngs: Supernet(SPACE, NetworkSize(1, 2, 3), rngs=rngs))


@pytest.mark.slow
@pytest.mark.parametrize("levels", ["bilevel", "single"])
def test_a_step_is_exponentiated_gradient_on_the_batch_of_its_level(levels):
    with jax.enable_x64(True):
        config = SearchConfig(levels=levels, alphas=AlphaConfig(learning_rate=0.7, decay=0.0))
        search = make_search(NETWORK, SPACE, gaea.method(), config, 1, task=Classification())
        state, rng = search.init(jax.random.key(0)), np.random.default_rng(0)
        train, valid = (
            Batch(jnp.asarray(rng.normal(size=(6, 4, 4, 3))), jnp.asarray(rng.integers(0, 3, 6))) for _ in range(2)
        )
        read = train if levels == "single" else valid

        def loss(p):
            logits, _ = NETWORK.apply(state.weights, state.stats, read.inputs, {"cell": p}, train=True)
            return optax.softmax_cross_entropy_with_integer_labels(logits, read.targets).mean()

        p = np.full((1, 3), 1 / 3)
        np.testing.assert_allclose(state.alphas["cell"], p, rtol=1e-12)
        expected = p * np.exp(-0.7 * np.asarray(jax.jit(jax.grad(loss))(jnp.asarray(p))))
        new, _ = jax.jit(search.step)(state, Levels(train, valid))
        np.testing.assert_allclose(new.alphas["cell"], expected / expected.sum(), rtol=1e-9)
        np.testing.assert_allclose(search.mix(new)["cell"], new.alphas["cell"])
