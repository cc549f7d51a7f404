"""Fisher: how much the loss would change without each channel, from activations and their gradients.

    half the mean over the batch of (sum over pixels of activation x gradient)^2

at the output of every convolution and linear layer. Theis et al. 2018, arXiv:1801.05787; a score of networks in
Abdelfattah et al. 2021, arXiv:2101.08134, whose code counts a channel once for every weight that leads to it, and
always normalises by the batch.
"""

import math
from dataclasses import replace

import jax.numpy as jnp

from dnas.proxies.protocol import Proxy, Score


def proxy() -> Proxy:
    """It has no settings. Parts: of every channel, not yet counted."""

    def build(subject):
        trains = subject if subject.train else replace(subject, train=True)
        assert trains.watched and trains.kernels  # built now, not while something is traced

        def measure(evidence) -> Score:
            seen, parts = evidence if subject.train else replace(evidence, subject=trains), {}
            for path in subject.kernels:
                each = [jnp.square(channels[path]).mean(-2) / 2 for channels in seen.gradient.channels]
                parts[path] = sum(each[1:], each[0])
            fans = {path: math.prod(kernel.shape[:-1]) for path, kernel in subject.kernels.items()}
            return Score(jnp.stack([fans[path] * part.sum() for path, part in parts.items()]).sum(), parts)

        return measure

    return build
