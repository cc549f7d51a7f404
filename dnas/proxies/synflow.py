"""SynFlow: how much flows through each weight, whatever the data: |w dR/dw| summed.

R is the sum of the outputs for an image of ones, of the network without norms and with the absolute values of its
weights. Tanaka et al., NeurIPS 2020, arXiv:2006.05467; a score of networks in Abdelfattah et al. 2021,
arXiv:2101.08134.
"""

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from dnas.nets.layers import BatchNorm
from dnas.proxies.protocol import Proxy, Score, product, read, total
from dnas.proxies.watched import Unnormalised


def proxy(*, norms: bool = False, logarithm: bool = True) -> Proxy:
    """`norms`: they stay ("synflow_bn"); `logarithm` of the sum, which goes beyond 1e31. Parts: of every weight."""

    def build(subject):
        network = subject.network if norms else subject.changed({BatchNorm: Unnormalised})

        def measure(evidence) -> Score:
            weights, stats = jax.tree.map(jnp.abs, (evidence.weights, evidence.stats))
            flat, ones = flatten_dict(weights), jnp.ones_like(evidence.batch.inputs[:1])

            def flow(kernels):
                moved = unflatten_dict(flat | kernels)
                return read(network.apply(moved, stats, ones, *evidence.mix, train=subject.train)).sum()

            kernels = {path: flat[path] for path in subject.kernels}
            found = total(product(lambda w, g: jnp.abs(w * g), kernels, jax.grad(flow)(kernels)))
            return Score(jnp.log(found.value), found.parts) if logarithm else found

        return measure

    return build
