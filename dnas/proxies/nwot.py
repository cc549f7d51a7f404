"""NASWOT: how differently the images of a batch switch the ReLUs of a network at initialisation.

    log |det K|,   K = sum over the ReLUs of x x' + (1 - x) (1 - x)',   x [B, units]: which are above zero

Mellor et al., "Neural Architecture Search without Training", ICML 2021, arXiv:2006.04647. Their code counts the ReLU of
every ReLU-convolution-norm block twice, since the block's name has ReLU in it; NASLib's counts each once.
In a whole supernet, operations without weight see zeros, as in zerocostptnas/zerocost_operation_score (`zero_cost_pt`).
"""

import jax
import jax.numpy as jnp

from dnas.nets.layers import ReluConvNorm
from dnas.nets.supernet import Candidate
from dnas.proxies.protocol import Proxy, Score
from dnas.proxies.relus import summed
from dnas.proxies.watched import ActivatedTwice, Blocked


def proxy(*, twice: bool = False) -> Proxy:
    """`twice`: as in the authors' code. Parts: K [B, B]."""

    def build(subject):
        network = subject.changed({Candidate: Blocked} | ({ReluConvNorm: ActivatedTwice} if twice else {}))

        def measure(evidence) -> Score:
            images = evidence.batch.inputs
            zero = jnp.zeros((len(images), len(images)), images.dtype)

            def run(images):
                return network.apply(evidence.weights, evidence.stats, images, *evidence.mix, train=subject.train)

            _, kernel = summed(run, agreement, zero)(images)
            return Score(jnp.linalg.slogdet(kernel.astype(float))[1], kernel)

        return measure

    return build


def agreement(x: jax.Array) -> jax.Array:
    """On how many units two images agree: [B, ...] -> [B, B]. Exact in float32 up to 16 million."""
    on = (x > 0).reshape(len(x), -1).astype(x.dtype)
    return on @ on.T + (1 - on) @ (1 - on).T
