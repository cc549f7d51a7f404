"""GraSP: how much the squared norm of the gradient would change without each weight, -w (H g), summed.

Wang et al., ICLR 2020, arXiv:2002.07376. The sign is that of Abdelfattah et al. 2021, arXiv:2101.08134, opposite to the
paper's, where what has the most goes. g: the gradient of the same batch, held fixed; of a batch in parts the last
part's alone, as in SamsungLabs/zero-cost-nas.
"""

import jax

from dnas.proxies.protocol import Proxy, Score, product, total


def proxy() -> Proxy:
    """It has no settings. Parts: -w (H g) of every weight."""

    def build(_):
        def measure(evidence) -> Score:
            kernels, vector = evidence.kernels, evidence.gradient.last
            curved = [
                jax.jvp(lambda at, batch=batch: jax.grad(evidence.loss)(at, batch), (kernels,), (vector,))[1]
                for batch in evidence.batches
            ]
            whole = jax.tree.map(lambda *parts: sum(parts), *curved)
            return total(product(lambda w, h: -w * h, kernels, whole))

        return measure

    return build
