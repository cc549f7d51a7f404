"""Hypergradients: the derivative of the outer loss with respect to the alphas, through the inner optimisation.

With w the weights, a the alphas, L the inner (training) and F the outer (validation) loss, and one inner step
w' = w - U(dL/dw) of the weight optimiser (`update`), the total derivative of F(w'(a), a) is

    dF/da(w', a) - d2L/da dw (w, a) . J^T dF/dw(w', a),     J = dU/dg, for SGD the learning rate    (DARTS, equation 7)

Each estimator takes (inner, outer, weights, alphas, update) and returns a `types.Estimate`. `update` maps a gradient to
the weights after one step, so its vector-Jacobian product is -J^T: momentum, weight decay and learning rate are inside
it, and an inner optimiser that is not linear in the gradient (Adam, clipping) is differentiated just as exactly.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.scipy.sparse.linalg
import optax
from jax.flatten_util import ravel_pytree

from dnas.types import Alphas, Estimate, Hypergradient, Mix, Objective, Tree, Update, Weights

Policy = Callable[[Alphas, Mix], tuple[jax.Array, jax.Array]]  # -> log-probability of the mix, entropy of the choices


def first_order(inner: Objective, outer: Objective, weights: Weights, alphas: Alphas, update: Update) -> Estimate:
    """dF/da(w, a): the inner step is ignored (DARTS, section 2.3, "first-order approximation")."""
    # of both, as at the other level: so the network is traced once, and XLA leaves out what nobody reads
    (loss, seen), (_, gradient) = jax.value_and_grad(outer, (0, 1), has_aux=True)(weights, alphas)
    return Estimate(gradient, loss, (seen.moments,), seen)


def unrolled(inner: Objective, outer: Objective, weights: Weights, alphas: Alphas, update: Update) -> Estimate:
    """The exact derivative through one inner step (equation 7)."""
    gradient, seen_inner = jax.grad(inner, has_aux=True)(weights, alphas)
    (loss, seen), (to_weights, direct) = jax.value_and_grad(outer, (0, 1), has_aux=True)(update(gradient), alphas)
    implicit = through_one_step(inner, weights, alphas, update, gradient, to_weights)
    return Estimate(_add(direct, implicit), loss, (seen_inner.moments,), seen)


def through_one_step(
    inner: Objective, weights: Weights, alphas: Alphas, update: Update, gradient: Weights, to_weights: Weights
) -> Alphas:
    """The implicit term of equation 7, a forward-over-reverse product.

    gradient: of the inner loss at the weights; to_weights: dF/dw at the weights after the step.
    """
    _, transposed = jax.vjp(update, gradient)
    _, implicit = _second_derivatives(inner, weights, alphas, *transposed(to_weights))
    return implicit


def finite_difference(radius: float = 0.01) -> Hypergradient:
    """The same with the mixed term as a central difference at w +- radius v / |v| (DARTS, equation 8), as published.

    At the published radius the steps cross kinks of ReLU and max pooling, and the result differs from the exact one by
    a third and more; it is here for parity with published code.
    """

    def estimate(inner, outer, weights, alphas, update):
        stepped, pull_back, moments = _inner_step(inner, weights, alphas, update)
        (loss, seen), (to_weights, direct) = jax.value_and_grad(outer, (0, 1), has_aux=True)(stepped, alphas)
        scale = radius / optax.global_norm(to_weights)
        gradient = jax.grad(inner, 1, has_aux=True)
        plus, seen_plus = gradient(_add(weights, to_weights, scale), alphas)
        minus, seen_minus = gradient(_add(weights, to_weights, -scale), alphas)
        # pull_back is linear for SGD: it turns the unit vector into -learning rate, which scales the difference
        shrink = _inner(pull_back(to_weights), to_weights) / _inner(to_weights, to_weights)
        difference = jax.tree.map(lambda p, m: shrink * (p - m) / (2 * scale), plus, minus)
        counted = (moments, seen_plus.moments, seen_minus.moments)
        return Estimate(_add(direct, difference), loss, counted, seen)

    return estimate


def neumann(terms: int = 5) -> Hypergradient:
    """The implicit gradient at w, its inverse Hessian as a Neumann series of `terms` Hessian-vector products.

        dF/da - d2L/da dw . sum_{k=0..terms} (I - J d2L/dw2)^k J dF/dw

    Lorraine, Vicol and Duvenaud 2020, arXiv:1911.02590, algorithm 3; Zhang et al. 2021 (iDARTS), arXiv:2106.10784,
    equation 8. With 0 terms it is the unrolled gradient with F differentiated at w instead of w'.
    """

    def estimate(inner, outer, weights, alphas, update):
        _, pull_back, moments = _inner_step(inner, weights, alphas, update)
        (loss, seen), (to_weights, direct) = jax.value_and_grad(outer, (0, 1), has_aux=True)(weights, alphas)
        start = pull_back(to_weights)

        def add_term(_, carry):
            term, total = carry
            hessian_term, _ = _second_derivatives(inner, weights, alphas, term)
            term = _add(term, pull_back(hessian_term))
            return term, _add(total, term)

        _, total = jax.lax.fori_loop(0, terms, add_term, (start, start))
        _, implicit = _second_derivatives(inner, weights, alphas, total)
        return Estimate(_add(direct, implicit), loss, (moments, seen.moments), seen)

    return estimate


def conjugate_gradient(terms: int = 10, damping: float = 0.0, tolerance: float = 1e-5) -> Hypergradient:
    """The implicit gradient at w by at most `terms` steps of conjugate gradients, which need products only.

        dF/da - d2L/da dw . v,   (d2L/dw2 + damping I) v = dF/dw     (iDARTS, equation 6, damped)

    tolerance: of the residual, relative to dF/dw. The damped Hessian must be positive definite.
    """

    def estimate(inner, outer, weights, alphas, update):
        (loss, seen), (to_weights, direct) = jax.value_and_grad(outer, (0, 1), has_aux=True)(weights, alphas)
        _, seen_inner = inner(weights, alphas)

        # One vector: under vmap cg takes no tree whose leaves are mapped over different axes.
        flat, tree = ravel_pytree(to_weights)

        def flat_product(vector):
            vector = tree(vector)
            return ravel_pytree(_add(_second_derivatives(inner, weights, alphas, vector)[0], vector, damping))[0]

        solution, _ = jax.scipy.sparse.linalg.cg(flat_product, flat, 0 * flat, tol=tolerance, maxiter=terms)
        _, mixed = _second_derivatives(inner, weights, alphas, tree(solution))
        return Estimate(_add(direct, mixed, -1.0), loss, (seen_inner.moments, seen.moments), seen)

    return estimate


def reinforce(policy: Policy, entropy_weight: float = 0.0) -> Hypergradient:
    """The score-function estimate (Williams 1992): no derivative of the network with respect to the mix is needed.

        -(R - b) d log p(mix) / d alphas,   R = accuracy + entropy_weight . entropy

    The mix is the sample that the outer loss was evaluated with. The baseline b is `alphas["baseline"]`; its gradient
    is b - R, so that one step of SGD with rate 1 - d makes it a moving average of R with decay d.
    """

    def estimate(inner, outer, weights, alphas, update):
        loss, seen = outer(weights, alphas)

        def surrogate(alphas):
            log_probability, entropy = policy(alphas, jax.lax.stop_gradient(seen.mix))
            reward = jax.lax.stop_gradient(seen.score + entropy_weight * entropy)
            baseline = alphas["baseline"]
            advantage = jax.lax.stop_gradient(reward - baseline)
            return (baseline - reward) ** 2 / 2 - advantage * log_probability

        return Estimate(jax.grad(surrogate)(alphas), loss, (seen.moments,), seen)

    return estimate


def _inner_step(
    inner: Objective, weights: Weights, alphas: Alphas, update: Update
) -> tuple[Weights, Callable[[Weights], Weights], Tree]:
    """The weights after one inner step, the transposed Jacobian of that step's update, the moments of its forward."""
    gradient, seen = jax.grad(inner, has_aux=True)(weights, alphas)
    stepped, transposed = jax.vjp(update, gradient)
    return stepped, lambda vector: transposed(vector)[0], seen.moments


def _second_derivatives(
    inner: Objective, weights: Weights, alphas: Alphas, direction: Weights
) -> tuple[Weights, Alphas]:
    """d2L/dw2 . direction and d2L/da dw . direction, forward over reverse: about the price of two gradients."""

    def gradients(weights):  # both at once: hand-written derivatives want to be met by reverse mode first
        return jax.grad(lambda w, a: inner(w, a)[0], (0, 1))(weights, alphas)

    return jax.jvp(gradients, (weights,), (direction,))[1]


def _add(a: Tree, b: Tree, scale: jax.Array | float = 1.0) -> Tree:
    return jax.tree.map(lambda x, y: x + scale * y, a, b)


def _inner(a: Tree, b: Tree) -> jax.Array:
    return jax.tree.reduce(jnp.add, jax.tree.map(jnp.vdot, a, b))
