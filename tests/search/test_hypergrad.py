"""Hypergradients in float64 against closed forms, brute force and reverse-over-reverse."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from dnas.architectures.topology import NetworkSize
from dnas.config import WeightConfig
from dnas.errors import UserError
from dnas.kernels import pooling
from dnas.nets import layers
from dnas.nets.functional import functionalize
from dnas.nets.supernet import Supernet
from dnas.search import hypergrad
from dnas.spaces import nasbench201
from dnas.tasks.classification import cross_entropy
from dnas.training.weights import transformation
from dnas.types import Evaluated

RATE, MOMENTUM, DECAY = 0.1, 0.9, 0.01


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


class Quadratic:
    """L = (w - A a)' H (w - A a) / 2 and F = |w - t|^2 / 2 + c |a|^2 / 2: everything is known."""

    A, t, w, a, c = normal(0, 4, 3), normal(1, 4), normal(2, 4), normal(3, 3), 0.7
    H = normal(4, 4, 4)
    H = H @ H.T / 4 + np.eye(4)

    def inner(self, w, a):
        r = w - self.A @ a
        return r @ self.H @ r / 2, Evaluated({}, r)

    def outer(self, w, a):
        return jnp.sum((w - self.t) ** 2) / 2 + self.c * jnp.sum(a**2) / 2, Evaluated({}, w)


def sgd(buffer=None):
    """The paper's inner step, with a momentum buffer."""

    def update(w, gradient):
        momentum = 0.0 if buffer is None else MOMENTUM * buffer
        return w - RATE * (momentum + gradient + DECAY * w)

    return update


@pytest.mark.parametrize("buffer", [None, normal(9, 4)])
def test_unrolled_is_the_closed_form_on_a_quadratic(buffer):
    q = Quadratic()
    update = partial(sgd(buffer), q.w)
    found = hypergrad.unrolled(q.inner, q.outer, q.w, q.a, update)
    stepped = update(q.H @ (q.w - q.A @ q.a))
    np.testing.assert_allclose(found.gradient, q.c * q.a + RATE * q.A.T @ q.H @ (stepped - q.t), rtol=1e-12)
    np.testing.assert_allclose(found.loss, q.outer(stepped, q.a)[0], rtol=1e-12)


def test_finite_difference_is_exact_on_a_quadratic():
    q = Quadratic()
    update = partial(sgd(normal(9, 4)), q.w)
    exact = hypergrad.unrolled(q.inner, q.outer, q.w, q.a, update)
    found = hypergrad.finite_difference(0.01)(q.inner, q.outer, q.w, q.a, update)
    np.testing.assert_allclose(found.gradient, exact.gradient, rtol=1e-9)


def test_first_order_is_the_partial_derivative():
    q = Quadratic()
    found = hypergrad.first_order(q.inner, q.outer, q.w, q.a, partial(sgd(), q.w))
    np.testing.assert_allclose(found.gradient, q.c * q.a, rtol=1e-12)


DECLARED = [value for value in vars(hypergrad).values() if isinstance(value, hypergrad.Estimator) and value.turns]


@pytest.mark.parametrize("estimator", DECLARED)
def test_an_estimate_is_made_of_the_turns_that_it_declares(estimator):
    q = Quadratic()
    update = partial(sgd(normal(9, 4)), q.w)
    inner = jax.grad(q.inner, has_aux=True)(q.w, q.a)[0]
    point = update(inner) if "inner" in estimator.turns else q.w
    to_weights, gradient = jax.grad(q.outer, (0, 1), has_aux=True)(point, q.a)[0]
    if estimator.implicit is not None:
        gradient += estimator.implicit(q.inner, q.w, q.a, update, inner, to_weights)
    np.testing.assert_array_equal(estimator(q.inner, q.outer, q.w, q.a, update).gradient, gradient)


def test_turns_that_no_step_takes_are_refused():
    assert {estimator.turns for estimator in DECLARED} == {("outer",), ("inner", "outer")}
    for turns, implicit in ((("outer", "outer"), None), (("inner", "outer"), None), (("outer",), hypergrad._add)):
        with pytest.raises(UserError, match="turns are"):
            hypergrad.Estimator(hypergrad.first_order.estimate, turns, implicit)


def test_neumann_tends_to_the_implicit_gradient():
    q = Quadratic()
    at_optimum = q.A @ q.a  # w*(a) = A a, so dF/da = c a + A' (w* - t)
    exact = q.c * q.a + q.A.T @ (at_optimum - q.t)

    def plain_sgd(g):
        return at_optimum - RATE * g

    def error(terms):
        found = hypergrad.neumann(terms)(q.inner, q.outer, at_optimum, q.a, plain_sgd)
        return float(jnp.linalg.norm(found.gradient - exact) / jnp.linalg.norm(exact))

    errors = [error(terms) for terms in (0, 10, 100, 1000)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-10
    rates = 1 - RATE * np.linalg.eigvalsh(q.H)  # the slowest direction decides how fast
    assert errors[2] <= np.abs(rates).max() ** 101 * 100


def test_neumann_without_terms_is_one_step_at_the_current_weights():
    q = Quadratic()
    found = hypergrad.neumann(0)(q.inner, q.outer, q.w, q.a, partial(sgd(), q.w))
    np.testing.assert_allclose(found.gradient, q.c * q.a + RATE * q.A.T @ q.H @ (q.w - q.t), rtol=1e-12)


@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_conjugate_gradients_are_the_direct_solve_on_a_quadratic(damping):
    q = Quadratic()
    found = hypergrad.conjugate_gradient(10, damping, 1e-14)(q.inner, q.outer, q.w, q.a, None)
    solved = np.linalg.solve(q.H + damping * np.eye(4), q.w - q.t)
    np.testing.assert_allclose(found.gradient, q.c * q.a + q.A.T @ q.H @ solved, rtol=1e-9)
    if not damping:  # the implicit gradient of a quadratic is that of F(w*(a), a) where w is at its optimum
        found = hypergrad.conjugate_gradient(10, 0.0, 1e-14)(q.inner, q.outer, q.A @ q.a, q.a, None)
        brute = jax.grad(lambda a: q.outer(q.A @ a, a)[0])(q.a)
        np.testing.assert_allclose(found.gradient, brute, rtol=1e-9)


def test_few_conjugate_gradients_come_closer_than_as_many_terms_of_the_series():
    q = Quadratic()
    at_optimum = q.A @ q.a
    exact = q.c * q.a + q.A.T @ (at_optimum - q.t)

    def error(estimator):
        found = estimator(q.inner, q.outer, at_optimum, q.a, lambda g: at_optimum - RATE * g)
        return float(jnp.linalg.norm(found.gradient - exact))

    errors = [error(hypergrad.conjugate_gradient(terms)) for terms in (1, 2, 3, 4)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-8
    assert errors[1] < error(hypergrad.neumann(2))


def smooth_problem():
    """Two mixed tanh layers on four numbers each: 44 weights, so that the Hessian can be written down."""
    weights = {"layers": normal(0, 2, 2, 3, 3) / 2, "head": normal(1, 3, 2) / 2, "bias": np.zeros(2)}
    alphas = {"cell": normal(2, 2, 3) / 2}

    def loss(seed, weights, alphas):
        x = jnp.asarray(normal(seed, 12, 3))
        for layer, mix in zip(weights["layers"], jax.nn.softmax(alphas["cell"]), strict=True):
            x = mix[0] * x + mix[1] * jnp.tanh(x @ layer[0]) + mix[2] * jax.nn.sigmoid(x @ layer[1])
        logits = x @ weights["head"] + weights["bias"]
        return cross_entropy(logits, jnp.arange(12) % 2), Evaluated({}, logits)

    return partial(loss, 20), partial(loss, 21), jax.tree.map(jnp.asarray, weights), alphas


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["neumann", "cg"])
def test_implicit_gradients_of_a_tiny_net_are_the_exact_solve_with_its_hessian(solver):
    inner, outer, weights, alphas = smooth_problem()
    ravelled, unflat = ravel_pytree(weights)

    def gradient_at(w, a):
        return ravel_pytree(jax.grad(lambda w: inner(w, a)[0])(unflat(w)))[0]

    hessian = jax.jacobian(gradient_at)(ravelled, alphas)
    to_weights, direct = jax.grad(lambda w, a: outer(unflat(w), a)[0], (0, 1))(ravelled, alphas)
    mixed = jax.jacobian(gradient_at, 1)(ravelled, alphas)["cell"]  # [weights, E, O]
    identity = np.eye(len(ravelled))
    if solver == "cg":
        damping = 0.5
        assert np.linalg.eigvalsh(hessian).min() > -damping
        solved = np.linalg.solve(hessian + damping * identity, to_weights)
        estimator = hypergrad.conjugate_gradient(len(ravelled), damping, 1e-12)
    else:
        inverse = sum(np.linalg.matrix_power(identity - RATE * hessian, k) for k in range(4))
        solved = RATE * inverse @ to_weights
        estimator = hypergrad.neumann(3)

    def update(gradient):
        return jax.tree.map(lambda w, g: w - RATE * g, weights, gradient)

    found = jax.jit(lambda w, a: estimator(inner, outer, w, a, update).gradient)(weights, alphas)
    expected = direct["cell"] - np.tensordot(solved, mixed, 1)
    np.testing.assert_allclose(found["cell"], expected, rtol=1e-7, atol=1e-12)
    assert np.abs(expected - direct["cell"]).max() > 0.01 * np.abs(direct["cell"]).max()


def tiny_problem():
    """Losses of two mixed layers: convolution with batch norm, separable convolution, both poolings."""
    weights = {
        "stem": normal(0, 3, 3, 3, 4) / 3,
        "conv": normal(1, 2, 3, 3, 4, 4) / 6,
        "depthwise": normal(2, 2, 5, 5, 4) / 5,
        "pointwise": normal(3, 2, 4, 4) / 2,
        "head": normal(4, 4, 3),
    }
    alphas = {"cell": normal(5, 2, 4)}

    def loss(seed, weights, alphas):
        x = layers.dense_conv(jnp.asarray(normal(seed, 4, 6, 6, 3)), weights["stem"], (1, 1), (1, 1))
        for i, mix in enumerate(jax.nn.softmax(alphas["cell"])):
            r = jax.nn.relu(layers.normalise(x)[0])
            candidates = [
                layers.normalise(layers.dense_conv(r, weights["conv"][i], (2, 2), (1, 1)))[0],
                layers.separable_conv(r, weights["depthwise"][i], weights["pointwise"][i], 2, 2),
                pooling.max_pool_3x3(x, 2),
                pooling.avg_pool_3x3(x, 2),
            ]
            x = sum(m * c for m, c in zip(mix, candidates, strict=True))
        logits = pooling.global_avg_pool(x) @ weights["head"]
        return cross_entropy(logits, jnp.arange(4) % 3), Evaluated({}, logits)

    return partial(loss, 20), partial(loss, 21), jax.tree.map(jnp.asarray, weights), alphas


@pytest.fixture(scope="module")
def tiny():
    with jax.enable_x64(True):
        return tiny_problem()


def optimisers():
    sgd = transformation(WeightConfig(), lambda step: 0.025)
    return {"sgd": sgd, "adam": optax.adam(1e-2), "clipped": optax.chain(optax.clip_by_global_norm(0.1), sgd)}


def value_after_step(tx, state, inner, outer, weights, alphas):
    gradient = jax.grad(inner, has_aux=True)(weights, alphas)[0]
    updates, _ = tx.update(gradient, state, weights)
    return outer(optax.apply_updates(weights, updates), alphas)[0]


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adam", *(pytest.param(name, marks=pytest.mark.slow) for name in ("sgd", "clipped"))])
def test_unrolled_on_a_supernet_is_reverse_over_reverse_for_any_optimiser(tiny, name):
    inner, outer, weights, alphas = tiny
    tx = optimisers()[name]
    state = tx.init(weights)
    noise = jax.tree.map(lambda w: normal(w.size, *w.shape), weights)
    _, state = tx.update(noise, state, weights)  # buffers that are not zero

    def update(gradient):
        return optax.apply_updates(weights, tx.update(gradient, state, weights)[0])

    found = jax.jit(lambda w, a: hypergrad.unrolled(inner, outer, w, a, update).gradient)(weights, alphas)
    brute = jax.jit(jax.grad(lambda a: value_after_step(tx, state, inner, outer, weights, a)))(alphas)
    np.testing.assert_allclose(flat(found), flat(brute), rtol=1e-9, atol=1e-13)


def test_unrolled_on_a_supernet_is_the_central_difference(tiny):
    inner, outer, weights, alphas = tiny
    tx = optimisers()["sgd"]
    state = tx.init(weights)
    value = jax.jit(lambda a: value_after_step(tx, state, inner, outer, weights, a))
    direction = {kind: normal(7, *a.shape) for kind, a in alphas.items()}

    def at(h):
        return float(value(jax.tree.map(lambda a, d: a + h * d, alphas, direction)))

    def update(gradient):
        return optax.apply_updates(weights, tx.update(gradient, state, weights)[0])

    found = jax.jit(lambda w, a: hypergrad.unrolled(inner, outer, w, a, update).gradient)(weights, alphas)
    slope = flat(found) @ flat(direction)
    differences = [(at(h) - at(-h)) / (2 * h) for h in (1e-5, 1e-6, 1e-7)]
    assert min(abs(d - slope) for d in differences) < 1e-6 * abs(slope)


@pytest.mark.slow
def test_finite_difference_tends_to_the_exact_second_order(tiny):
    inner, outer, weights, alphas = tiny
    tx = optimisers()["sgd"]

    def update(gradient):
        return optax.apply_updates(weights, tx.update(gradient, tx.init(weights), weights)[0])

    def gradient(estimator):
        return flat(jax.jit(lambda w, a: estimator(inner, outer, w, a, update).gradient)(weights, alphas))

    exact, direct = gradient(hypergrad.unrolled), gradient(hypergrad.finite_difference(1e-6))
    first = gradient(hypergrad.first_order)
    np.testing.assert_allclose(direct, exact, rtol=1e-5, atol=1e-9)
    assert np.linalg.norm(exact - first) > 100 * np.linalg.norm(exact - direct)


@pytest.mark.slow
def test_hessian_products_of_a_supernet_are_reverse_over_reverse():
    space = nasbench201.space(nodes=2)
    network = functionalize(lambda rngs: Supernet(space, NetworkSize(1, 2, 3), rngs=rngs))
    weights, stats = jax.jit(network.init)(jax.random.key(0))
    mix = {"cell": jnp.full((1, 5), 0.2)}

    def inner(weights, alphas):
        logits, moments = network.apply(weights, stats, jnp.asarray(normal(1, 3, 4, 4, 3)), alphas, train=True)
        return cross_entropy(logits, jnp.arange(3)), Evaluated(moments, logits)

    direction = jax.tree.map(lambda w: normal(w.size, *w.shape), weights)

    def reverse_over_reverse(w):
        def slope(w, a):
            gradient = jax.grad(inner, has_aux=True)(w, a)[0]
            return sum(jnp.vdot(g, d) for g, d in zip(*map(jax.tree.leaves, (gradient, direction)), strict=True))

        return jax.grad(slope, (0, 1))(w, mix)

    found = jax.jit(lambda w: hypergrad._second_derivatives(inner, w, mix, direction))(weights)
    np.testing.assert_allclose(flat(found), flat(jax.jit(reverse_over_reverse)(weights)), rtol=1e-8, atol=1e-10)
