"""Shapley-NAS: alphas step by what operations contribute to the accuracy of the supernet, not by a gradient.

    value of an operation = mean over random orders of how much the accuracy falls when it leaves, after those before
    alpha <- alpha + rate m,   m <- momentum m + (1 - momentum) (values, standardised in every kind of cell)

Xiao, Wang, Zhu, Zhou and Lu, "Shapley-NAS: Discovering Operation Contribution for Neural Architecture Search", CVPR
2022, arXiv:2206.09811. Reference code: Euphoria16/Shapley-NAS, followed in that all operations of all kinds of cells
play one game, that an order ends once the accuracy has halved, that nothing is normalised again, and that `spread` (1)
standard deviations over the orders are subtracted from the mean. As there, only weights are trained while alphas warm
up (`search.alphas.warmup_epochs`, published: 25 of 50), then alphas step before every epoch. Unlike there, the batches
of an order are neighbours in the validation part, they are normalised by themselves in every epoch, not in every
second, and the momentum begins at 0. `partial=4` is the published supernet, with partial channels as in PC-DARTS.
"""

from dataclasses import replace

import numpy as np

from dnas import keys
from dnas.architectures.topology import Space
from dnas.config import SearchConfig
from dnas.errors import UserError
from dnas.ranges import Amount, Count, Parts, Portion, Rate
from dnas.search import shapley, supernets
from dnas.search.method import Method, Outcome, View


def method(
    *,
    orders: Count = 10,
    batches: Count = 4,
    threshold: Portion = 0.5,
    spread: Amount = 1.0,
    momentum: Portion = 0.8,
    rate: Rate = 0.1,
    partial: Parts = 1,
) -> Method:
    """`orders`: random ones, each on `batches` batches of 256 examples. `threshold`: part of the score at which an
    order ends. `partial`: 1/partial of the channels passes through the operations."""

    def adapted(method: Method, space: Space, config: SearchConfig) -> Method:
        begin = max(config.alphas.warmup_epochs, 1)
        if begin >= config.epochs:
            raise UserError(
                f"Method 'shapley_nas' moves alphas between epochs, from epoch {begin} on, and search.epochs is "
                f"{config.epochs}: choose more epochs, or fewer search.alphas.warmup_epochs."
            )
        return replace(method, between_epochs=lambda view: look(view, begin))

    def look(view: View, begin: int) -> Outcome:
        if not begin <= view.epoch < view.epochs:
            return Outcome()
        generator = keys.generator(view.seed, repr(("shapley", view.total)))
        everyone, found = shapley.players(view.space), []
        for _ in range(orders):
            first = int(generator.integers(2**31))

            def score(mix, first=first):
                return view.evaluate(mix, train=True, batches=batches, first=first)[0]

            leaving = [everyone[i] for i in generator.permutation(len(everyone))]
            found.append(shapley.contributions(view.mix, leaving, score, threshold))
        values = {player: estimated([order[player] for order in found], spread) for player in everyone}
        before = view.notes[-1].get("momentum") if view.notes else None
        alphas, moved = {}, {}
        for kind, table in view.alphas.items():
            own = [player for player in everyone if player[0] == kind]
            steps = np.array(before[kind]) if before else np.zeros(table.shape)
            for (_, edge, column), value in zip(own, standardised([values[p] for p in own]), strict=True):
                steps[edge, column] = momentum * steps[edge, column] + (1 - momentum) * value
            alphas[kind], moved[kind] = table + rate * steps, steps.tolist()
        return Outcome({"momentum": moved}, alphas=alphas)

    return Method(hypergrad=None, supernet=supernets.partial_channels(partial), adapt=adapted)


def estimated(contributions: list[float], spread: float) -> float:
    """The value of a player by those that it had in each order."""
    return float(np.mean(contributions) - spread * np.std(contributions))


def standardised(values: list[float]) -> np.ndarray:
    """With mean 0 and standard deviation 1; zeros where all are equal."""
    deviation = np.std(values, ddof=1) if len(values) > 1 else 0.0
    return (np.array(values) - np.mean(values)) / deviation if deviation > 0 else np.zeros(len(values))
