"""Hypergradients: the derivative of the outer loss with respect to the alphas, through the inner optimisation.

With w the weights, a the alphas, L the inner (training) and F the outer (validation) loss, and one inner step
w' = w - U(dL/dw) of the weight optimiser (`update`), the total derivative of F(w'(a), a) is

    dF/da(w', a) - d2L/da dw (w, a) . J^T dF/dw(w', a),     J = dU/dg, for SGD the learning rate    (DARTS, equation 7)

Each `Estimator` takes (inner, outer, weights, alphas, update) and returns a `types.Estimate`. `update` maps a gradient
to the weights after one step, so its vector-Jacobian product is -J^T: momentum, weight decay and learning rate are
inside it, and an inner optimiser that is not linear in the gradient (Adam, clipping) is differentiated just as exactly.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import jax.scipy.sparse.linalg
import optax
from jax.flatten_util import ravel_pytree

from dnas.errors import UserError
from dnas.types import Alphas, Estimate, Hypergradient, Mix, Objective, Tree, Update, Weights

Policy = Callable[[Alphas, Mix], tuple[jax.Array, jax.Array]]  # -> log-probability of the mix, entropy of the choices


Implicit = Callable[[Objective, Weights, Alphas, Update, Weights, Weights], Alphas]
Turn = Literal["inner", "outer"]


@dataclass(frozen=True)
class Estimator:
    """A hypergradient and what it declares of itself. A step asks for nothing else, least of all which one it is.

    Errors: `UserError` for turns that no step can take.
    """

    estimate: Hypergradient
    """(inner, outer, weights, alphas, update) -> `types.Estimate`."""
    turns: tuple[Turn, ...] = ()
    """The gradients that the estimate is made of, where these are all: ("outer",), that of the outer loss at the
    weights; ("inner", "outer"), that of the inner loss at the weights, and that of the outer loss after a step along
    it. Such an estimate can be taken in a loop over one gradient program (`search.turns`). Empty: others."""
    implicit: Implicit | None = None
    """Of turns ("inner", "outer"): what is added to the outer gradient of the alphas, a function of (inner, weights,
    alphas, update, inner gradient of the weights, outer gradient of the weights)."""
    differentiates: bool = True
    """Whether it is a derivative of the outer loss, so that a penalty in that loss acts on it."""

    def __post_init__(self) -> None:
        if self.turns not in ((), ("outer",), ("inner", "outer")) or (self.implicit is None) == ("inner" in self.turns):
            raise UserError(
                f"An estimator's turns are (), ('outer',), or ('inner', 'outer') with an implicit term, not "
                f"{self.turns} {'without' if self.implicit is None else 'with'} one."
            )

    def __call__(
        self, inner: Objective, outer: Objective, weights: Weights, alphas: Alphas, update: Update
    ) -> Estimate:
        """The estimate."""
        return self.estimate(inner, outer, weights, alphas, update)

    @property
    def is_outer_gradient(self) -> bool:
        """Whether it is the outer gradient at the weights as they are. Then the gradient for the weights is at hand
        beside it, which a gradient filter compares; and one gradient of one loss can serve both levels."""
        return self.turns == ("outer",)


def declared(*turns: Turn, implicit: Implicit | None = None) -> Callable[[Hypergradient], Estimator]:
    """Decorate a hypergradient that is made of these gradients."""
    return lambda estimate: Estimator(estimate, turns, implicit)


@declared("outer")
def first_order(inner: Objective, outer: Objective, weights: Weights, alphas: Alphas, update: Update) -> Estimate:
    """dF/da(w, a): the inner step is ignored (DARTS, section 2.3, "first-order approximation")."""
    # of both, as at the other level: so the network is traced once, and XLA leaves out what nobody reads
    (loss, seen), (_, gradient) = jax.value_and_grad(outer, (0, 1), has_aux=True)(weights, alphas)
    return Estimate(gradient, loss, (seen.moments,), seen)


def through_one_step(
    inner: Objective, weights: Weights, alphas: Alphas, update: Update, gradient: Weights, to_weights: Weights
) -> Alphas:
    """The implicit term of equation 7, a forward-over-reverse product.

    gradient: of the inner loss at the weights; to_weights: dF/dw at the weights after the step.
    """
    _, transposed = jax.vjp(update, gradient)
    _, implicit = _second_derivatives(inner, weights, alphas, *transposed(to_weights))
    return implicit


@declared("inner", "outer", implicit=through_one_step)
def unrolled(inner: Objective, outer: Objective, weights: Weights, alphas: Alphas, update: Update) -> Estimate:
    """The exact derivative through one inner step (equation 7)."""
    gradient, seen_inner = jax.grad(inner, has_aux=True)(weights, alphas)
    (loss, seen), (to_weights, direct) = jax.value_and_grad(outer, (0, 1), has_aux=True)(update(gradient), alphas)
    implicit = through_one_step(inner, weights, alphas, update, gradient, to_weights)
    return Estimate(_add(direct, implicit), loss, (seen_inner.moments,), seen)


def finite_difference(radius: float = 0.01) -> Estimator:
    """The same with the mixed term as a central difference at w +- radius v / |v| (DARTS, equation 8), as published.

    At the published radius the steps cross kinks of ReLU and max pooling, and the result differs from the exact one by
    a third and more; it is here for parity with published code.
    """

    def estimate(inner, outer, weights, alphas, update):
        stepped, pull_back, moments = _inner_step(inner, weights, alphas, update)
        (loss, seen), (to_weights, direct) = jax.value_and_grad(outer, (0, 1), has_aux=True)(stepped, alphas)
        mixed, counted = _central_difference(inner, weights, alphas, to_weights, radius)
        gradient = _add(direct, mixed, _rate(pull_back(to_weights), to_weights))
        return Estimate(gradient, loss, (moments, *counted), seen)

    return Estimator(estimate)


def clipped_finite_difference(clip: float, radius: float = 0.01, kept: Collection[str] = ()) -> Estimator:
    """The second order of the search for DARTS' recurrent cell, as published (quark0/darts `rnn/architect.py`).

    The inner gradient g is clipped to the norm `clip` before the step, and v = dF/dw' before the difference. The mixed
    term is multiplied by clip / |g| even where that is above 1 and nothing was clipped. kept: names of weights that the
    unrolled step leaves as they are, as the code does by mistake with its tied embedding; they still count in the
    norms and in the difference.
    Errors: `UserError` without a norm to clip to.
    """
    if not clip > 0:
        raise UserError("This second order clips gradients: set search.weights.clip above 0, in the paper 0.25.")

    def estimate(inner, outer, weights, alphas, update):
        gradient, seen_inner = jax.grad(inner, has_aux=True)(weights, alphas)
        factor = clip / (optax.global_norm(gradient) + 1e-6)
        stepped, transposed = jax.vjp(update, _scaled(gradient, jnp.minimum(factor, 1)))
        stepped = jax.tree.map_with_path(lambda p, new, old: old if p[-1].key in kept else new, stepped, weights)
        (loss, seen), (to_weights, direct) = jax.value_and_grad(outer, (0, 1), has_aux=True)(stepped, alphas)
        vector = _scaled(to_weights, jnp.minimum(clip / (optax.global_norm(to_weights) + 1e-6), 1))
        mixed, counted = _central_difference(inner, weights, alphas, vector, radius)
        gradient = _add(direct, mixed, factor * _rate(transposed(vector)[0], vector))
        return Estimate(gradient, loss, (seen_inner.moments, *counted), seen)

    return Estimator(estimate)


def neumann(terms: int = 5) -> Estimator:
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

    return Estimator(estimate)


def conjugate_gradient(terms: int = 10, damping: float = 0.0, tolerance: float = 1e-5) -> Estimator:
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

    return Estimator(estimate)


def reinforce(policy: Policy, entropy_weight: float = 0.0) -> Estimator:
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

    return Estimator(estimate, differentiates=False)


def _inner_step(
    inner: Objective, weights: Weights, alphas: Alphas, update: Update
) -> tuple[Weights, Callable[[Weights], Weights], Tree]:
    """The weights after one inner step, the transposed Jacobian of that step's update, the moments of its forward."""
    gradient, seen = jax.grad(inner, has_aux=True)(weights, alphas)
    stepped, transposed = jax.vjp(update, gradient)
    return stepped, lambda vector: transposed(vector)[0], seen.moments


def _central_difference(
    inner: Objective, weights: Weights, alphas: Alphas, direction: Weights, radius: float
) -> tuple[Alphas, tuple[Tree, Tree]]:
    """d2L/da dw . direction from the gradients at w +- radius direction / |direction|, and the moments of both."""
    scale = radius / optax.global_norm(direction)
    gradient = jax.grad(inner, 1, has_aux=True)
    plus, seen_plus = gradient(_add(weights, direction, scale), alphas)
    minus, seen_minus = gradient(_add(weights, direction, -scale), alphas)
    return jax.tree.map(lambda p, m: (p - m) / (2 * scale), plus, minus), (seen_plus.moments, seen_minus.moments)


def _rate(pulled: Weights, vector: Weights) -> jax.Array:
    """What the transposed Jacobian of the update of SGD multiplies every vector by: minus the learning rate."""
    return _inner(pulled, vector) / _inner(vector, vector)


def _second_derivatives(
    inner: Objective, weights: Weights, alphas: Alphas, direction: Weights
) -> tuple[Weights, Alphas]:
    """d2L/dw2 . direction and d2L/da dw . direction, forward over reverse: about the price of two gradients."""

    def gradients(weights):  # both at once: hand-written derivatives want to be met by reverse mode first
        return jax.grad(lambda w, a: inner(w, a)[0], (0, 1))(weights, alphas)

    return jax.jvp(gradients, (weights,), (direction,))[1]


def _add(a: Tree, b: Tree, scale: jax.Array | float = 1.0) -> Tree:
    return jax.tree.map(lambda x, y: x + scale * y, a, b)


def _scaled(tree: Tree, factor: jax.Array) -> Tree:
    return jax.tree.map(lambda x: x * factor.astype(x.dtype), tree)


def _inner(a: Tree, b: Tree) -> jax.Array:
    return jax.tree.reduce(jnp.add, jax.tree.map(jnp.vdot, a, b))
