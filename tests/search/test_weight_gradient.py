"""A gradient of a method's own steps the weights, wherever they step, or it is refused."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.config import AlphaConfig, SearchConfig, WeightConfig
from dnas.errors import UserError
from dnas.nets.functional import Functional
from dnas.search import hypergrad, perturb
from dnas.search.bilevel import make_search
from dnas.search.gradient_filter import freeze_disagreeing
from dnas.search.levels import Levels, check
from dnas.search.method import Method
from dnas.tasks.classification import Classification
from dnas.training.weights import clip
from dnas.types import Batch, SearchState

SPACE = find.resolve("space", "nasbench201:nodes=2,operations=skip_connect+nor_conv_1x1")
CONFIG = SearchConfig(
    epochs=4, weights=WeightConfig(learning_rate=0.1, decay=0.0, clip=0.0, schedule="constant"), batch_size=4
)


def constant(loss, weights, mix, clock):
    """Ones after the first epoch, and 2 in it."""
    value, _ = jax.value_and_grad(loss, has_aux=True)(weights, mix)
    return value, jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.where(clock.epoch < 1, 2, 1)), weights)


@pytest.mark.parametrize("inner_steps, order", [(1, "alphas_first"), (3, "weights_first")])
def test_it_steps_the_weights(inner_steps, order):
    def init(key):
        return {"w": jax.random.normal(key, (3, 3))}, {"mean": jnp.zeros(())}

    def apply(weights, stats, x, mix, *, train, **_):
        return x @ weights["w"] * mix["cell"][0, 1], stats

    config = replace(CONFIG, inner_steps=inner_steps, order=order, alphas=AlphaConfig(learning_rate=0.1))
    method = Method(weight_gradient=constant)
    search = make_search(Functional(init, apply), SPACE, method, config, 1, task=Classification())
    batch = Batch(jnp.ones((4, 3)), jnp.arange(4) % 3)
    several = jax.tree.map(lambda leaf: jnp.stack([leaf] * inner_steps), batch) if inner_steps > 1 else batch

    @jax.jit
    def steps(state: SearchState):
        first, seen = search.step(state, Levels(several, batch))
        second, _ = search.step(first, Levels(several, batch))
        return first, second, seen

    start = search.init(jax.random.key(0))
    first, second, seen = steps(start)
    moved = [start.weights["w"] - first.weights["w"], first.weights["w"] - second.weights["w"]]
    momenta = [0.1 * g for g in step_sizes(inner_steps)]
    np.testing.assert_allclose([m.mean() for m in moved], momenta, rtol=1e-4)
    assert np.abs(first.alphas["cell"] - start.alphas["cell"]).max() > 0.05 and seen.train["loss"][0] > 0


def step_sizes(inner_steps):
    """How far SGD with momentum 0.9 goes in a step of epoch 0 and in one of epoch 1, divided by the learning rate."""
    velocity, found = 0.0, []
    for gradient in (2.0, 1.0):
        total = 0.0
        for _ in range(inner_steps):
            velocity = 0.9 * velocity + gradient
            total += velocity
        found.append(total)
    return found


@pytest.mark.parametrize(
    "more, says",
    [
        ({"hypergrad": hypergrad.unrolled}, "a gradient of its own"),
        ({"hypergrad": hypergrad.neumann(1)}, "a gradient of its own"),
        ({"members": 2}, "a gradient of its own"),
        ({"perturb": perturb.random(perturb.growing(0.1, 0.2))}, "a gradient of its own"),
        ({"gradient_filter": freeze_disagreeing(0.4, 20, "code", clip(5.0))}, "gradients of both levels"),
    ],
)
def test_what_it_cannot_be_combined_with_is_refused(more, says):
    with pytest.raises(UserError, match=says):
        check(Method(weight_gradient=constant, **more), CONFIG)
    with pytest.raises(UserError, match="two levels"):
        check(Method(weight_gradient=constant), replace(CONFIG, levels="single"))
    check(Method(weight_gradient=constant), CONFIG)
    check(Method(weight_gradient=constant, hypergrad=None), CONFIG)
