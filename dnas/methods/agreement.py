"""Agreement (ours): one set of alphas for several supernets, which step only as far as the supernets agree.

An alpha's gradient depends on the weights that one run happens to have. Here R supernets with weights of their own, in
one program, give R gradients g_r, and each alpha steps by their mean m, shrunk by what their spread leaves of it:

    g = m . m^2 / (m^2 + s^2 / R),    m = mean of g_r,    s^2 = variance of g_r over the members

the gain of a Wiener filter whose noise is the standard error. Where all agree this is the mean; where they do not,
the alpha stands still. No paper: compared with DARTS (arXiv:1806.09055) over 16 seeds in
experiments/small_agreement.py: no bad search, where DARTS had two, and the same median. Related: the masks of
Parascandolo et al. 2021 (arXiv:2009.00329), which compare gradients between data sets. `rule=mean` shares the alphas
without shrinking. A step is R first-order DARTS steps in one program: on a CPU one member after the other, with its
forward pass computed again for the gradient; with 4 it takes 4.8 times as long as one
(benchmarks/results/step_cost.json).
"""

from typing import Annotated

import jax
import jax.numpy as jnp
import optax

from dnas.config import AlphaConfig
from dnas.errors import unknown
from dnas.ranges import Range
from dnas.search import relax
from dnas.search.method import Method, adam_with_l2

RULES = {
    "shrink": lambda mean, error: mean**3 / (mean**2 + error + 1e-30),
    "mean": lambda mean, error: mean,
}


def method(*, members: Annotated[int, Range(2, 64)] = 4, rule: str = "shrink") -> Method:
    """`members`: supernets that share the alphas."""
    if rule not in RULES:
        raise unknown("rule of method 'agreement':", rule, RULES)

    def alphas(space, key, config):
        one = relax.noise(space, key, config)
        return jax.tree.map(lambda a: jnp.broadcast_to(a, (members, *a.shape)), one)

    def evaluation_mix(alphas, clock):
        return jax.tree.map(lambda a: jax.nn.softmax(a[0]), alphas)

    def joined(gradients, _):
        def one(g):
            error = g.var(0, ddof=1) / members
            return jnp.broadcast_to(RULES[rule](g.mean(0), error), g.shape)

        return jax.tree.map(one, gradients)

    def alpha_tx(config: AlphaConfig) -> optax.GradientTransformation:
        return optax.chain(optax.stateless(joined), adam_with_l2(config))

    return Method(alphas=alphas, evaluation_mix=evaluation_mix, alpha_tx=alpha_tx, members=members)
