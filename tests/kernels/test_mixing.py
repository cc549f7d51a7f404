"""Weighted sums and fan-out against plain formulas in float64, native and by XLA, to the second derivative."""

import jax
import jax.numpy as jnp
import pytest
from arrays import assert_same, normal

from dnas.kernels.mixing import fan_out, weighted_sums

pytestmark = pytest.mark.usefixtures("float64", "kernels")


def formula(weights, values, shared):
    return [sum(w * (v if shared else v[e]) for w, v in zip(row, values, strict=True)) for e, row in enumerate(weights)]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    "size", [(2, 3, 3, 5), pytest.param((3, 40, 40, 3), marks=pytest.mark.slow)], ids=["small", "several pieces"]
)
def test_weighted_sums(shared, size):
    weights, values = normal(0, 3, 4), tuple(normal(o, *(() if shared else (3,)), *size) for o in range(4))
    tangents = normal(10, 3, 4), tuple(normal(11 + o, *v.shape) for o, v in enumerate(values))

    def everything(sums):
        def loss(weights, values):
            return sum(jnp.sum(jnp.sin(part)) for part in sums(weights, values, shared))

        gradients = jax.grad(loss, (0, 1))
        forward_over_reverse = jax.jvp(gradients, (weights, values), tangents)
        squares = jax.grad(lambda w, v: sum(jnp.sum(g**2) for g in jax.tree.leaves(gradients(w, v))), (0, 1))
        return sums(weights, values, shared), forward_over_reverse, squares(weights, values)

    assert_same(everything(weighted_sums), everything(formula))


def test_vmapped_is_a_loop():
    weights, values = normal(0, 2, 3, 4), tuple(normal(o, 2, 5, 5, 2) for o in range(4))

    def gradients(weights, values):
        return jax.grad(lambda w, v: sum(jnp.sum(jnp.sin(p)) for p in weighted_sums(w, v, True)), (0, 1))(
            weights, values
        )

    rows = [gradients(weights[i], tuple(v[i] for v in values)) for i in range(2)]
    assert_same(jax.vmap(gradients)(weights, values), jax.tree.map(lambda *leaves: jnp.stack(leaves), *rows))


def test_fan_out_adds_the_gradients_of_its_readers():
    x = normal(0, 2, 4, 4, 3)

    def loss(readers):
        return lambda x: sum(jnp.sum(jnp.sin((i + 1.0) * y)) for i, y in enumerate(readers(x)))

    assert_same(jax.grad(loss(lambda x: fan_out(x, 3)))(x), jax.grad(loss(lambda x: (x,) * 3))(x))
