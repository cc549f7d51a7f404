"""ENAS: an LSTM controller samples an architecture per step and learns by REINFORCE; weights are shared.

    d J / d theta = E[(R - b) d log p(mix; theta) / d theta],   R = validation accuracy + entropy bonus

Pham, Guan, Zoph, Le and Dean, "Efficient Neural Architecture Search via Parameter Sharing", ICML 2018,
arXiv:1802.03268. Reference code: melodyguan/enas, its micro search. As there: the reward is the accuracy on one
validation batch normalised by itself, the entropy is a part of the reward, and the baseline b is a moving average. Not
as there: one sample for every step of the weights, rather than 30 updates of 10 samples after each epoch, which is as
many in all; exact entropies; no two edges of a node from one source; the genotype is that of the likeliest decisions
rather than the best of several samples.
"""

from dataclasses import replace
from typing import Annotated

import optax

from dnas.ranges import Amount, Factor, Portion, Range
from dnas.search import controller, hypergrad
from dnas.search.method import Method, adam_with_l2


def method(
    *,
    hidden: Annotated[int, Range(1, 4096)] = 64,
    tanh: Factor = 1.1,
    operations_tanh_reduce: Factor = 2.5,
    entropy: Amount = 1e-4,
    baseline: Portion = 0.99,
) -> Method:
    """Of the LSTM: its width and the bounds of its logits. The weight of the entropy; the decay of the baseline."""
    settings = controller.Settings(hidden, tanh, operations_tanh_reduce)

    def on(method, space, config):
        return replace(
            method,
            relax=controller.sample(space, settings),
            evaluation_mix=controller.likeliest(space, settings),
            hypergrad=hypergrad.reinforce(controller.policy(space, settings), entropy),
        )

    def optimiser(config):
        parts = {"controller": adam_with_l2(config), "baseline": optax.sgd(1 - baseline)}
        return optax.partition(parts, {"controller": "controller", "baseline": "baseline"})

    return Method(
        alphas=controller.initial(settings),
        alpha_tx=optimiser,
        supernet=lambda space: replace(space, paths="one"),
        adapt=on,
    )
