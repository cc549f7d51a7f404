"""ProxylessNAS: binary gates. Weights see one sampled operation per edge, alphas two, of which one is active.

    dL/dalpha_i = sum_j dL/dg_j p_j ([i = j] - p_i)   over the two sampled, p their softmax

Cai, Zhu and Han, "ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware", ICLR 2019,
arXiv:1812.00332 (equation 4 and section 3.2.1). Reference code: mit-han-lab/proxylessnas, mode "two". After a step the
two alphas are shifted together so that the probabilities of the others stay; for the same reason Adam has no first
moment, whatever `search.alphas.beta1` says. All operations are computed here, so the memory is that of DARTS.

With a `cost` the loss grows with E, its expectation, as far as it is beyond a `target`: by the `rule` "log" it is
multiplied by weight (log E / log target)^power, as in the code, or by "linear" weight (E / target - 1) is added to it,
equation 8 with the code's normalisation. `cost` is one of dnas list as budgets name it, latency:device=raspi4, say.
"""

from dataclasses import replace
from typing import Annotated

import jax
import jax.numpy as jnp
import optax

from dnas.architectures.topology import NetworkSize, Space
from dnas.costs import budget
from dnas.errors import UserError, unknown
from dnas.methods.fbnet import check_logarithm
from dnas.ranges import Acts, Amount
from dnas.search import relax
from dnas.search.method import Method, adam_with_l2
from dnas.search.penalty import beyond_target, log_power_of_target


def pairwise_adam(config) -> optax.GradientTransformation:
    """Adam without first moment, and a shift of the alphas with a gradient that keeps their total probability."""
    adam = adam_with_l2(replace(config, beta1=0.0))

    def update(gradient, state, alphas):
        updates, state = adam.update(gradient, state, alphas)

        def shifted(g, u, a):
            total = lambda logits: jax.nn.logsumexp(jnp.where(g != 0, logits, -jnp.inf), -1, keepdims=True)  # noqa: E731
            moved = (g != 0).any(-1, keepdims=True)
            return u - jnp.where((g != 0) & moved, jnp.where(moved, total(a + u) - total(a), 0), 0)

        return jax.tree.map(shifted, gradient, updates, alphas), state

    return optax.GradientTransformation(adam.init, update)


RULES = {"log": 0.2, "linear": 0.1}  # with the weights of the code
PRICED = Acts("a cost", lambda given: bool(given["cost"]))
BY_LOG = Acts("rule=log", lambda given: given["rule"] == "log")


def method(
    *,
    cost: str = "",
    target: Annotated[Amount, PRICED] = 0.0,
    rule: Annotated[str, PRICED] = "log",
    weight: Annotated[Amount, PRICED] = 0.0,
    power: Annotated[Amount, PRICED, BY_LOG] = 0.3,
) -> Method:
    """`cost`, empty: none; `target`, what it should be; `rule`, log or linear; `weight`, 0: that of the code, 0.2 of
    log, 0.1 of linear; `power` of log."""
    if rule not in RULES:
        raise unknown("rule of method 'proxyless_nas':", rule, RULES)
    least = 1 if rule == "log" else 0
    if cost and target <= least:
        raise UserError(
            f"Method 'proxyless_nas' with a cost needs its target, a number above {least}, not {target:g}: give "
            "target=, in the unit of the cost."
        )
    strength, choice = weight or RULES[rule], budget.named(cost) if cost else ("", "")

    def price(method: Method, space: Space, size: NetworkSize, image_size: int) -> Method:
        known = budget.expected(cost, space, size, image_size)
        if rule == "linear":
            return replace(method, penalty=beyond_target(known, target, strength))
        check_logarithm(budget.cost_of(*choice, space, size, image_size), "proxyless_nas")
        return replace(method, factor=log_power_of_target(known, target, strength, power))

    return Method(
        price=price if cost else None,
        relax=relax.two_paths,
        weight_relax=relax.sampled,
        evaluation_mix=relax.keyless(relax.softmax),
        alpha_tx=pairwise_adam,
        single_path=True,
    )
