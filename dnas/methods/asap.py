"""ASAP: a softmax that is annealed while what falls below a threshold is pruned, until one network is left.

    mix = softmax(alpha / T),   T from 1.6 to 0.13 by the same factor every epoch (0.95 in 50 epochs)
    an operation goes where its weight < threshold / number of operations that are left on its edge

While T is at least `grace`, alphas stand still and nothing is pruned. Noy, Nayman, Ridnik, Zamir, Doveh, Friedman,
Giryes and Zelnik-Manor, "ASAP: Architecture Search, Anneal and Prune", AISTATS 2020, arXiv:1904.04123. Its code is not
public. The numbers, and that weights are normalised over what is left, are those of another implementation,
cogsys-tuebingen/uninas, whose T falls by 0.95 every epoch however many there are, where ours follows the search. Ours
is also which edges are kept, where a cell keeps some only: the edges that DARTS would keep now are never pruned to
`none`, and once every edge of a node has one operation, or at the end, the node keeps those whose operation weighs most
in softmax(alpha): in the mix all of them weigh 1.
"""

from dataclasses import replace
from typing import Annotated

import numpy as np

from dnas.architectures.topology import Cell, Space
from dnas.config import SearchConfig
from dnas.errors import UserError
from dnas.ranges import MANY, Range, Temperature
from dnas.search import projection, relax, select
from dnas.search.method import Method, Outcome, Phase, View
from dnas.types import Clock


def method(
    *,
    hottest: Temperature = 1.6,
    coldest: Temperature = 0.13,
    grace: Annotated[float, Range(1e-3, MANY)] = 1.0,
    threshold: Annotated[float, Range(0, 1, below=True)] = 0.4,
) -> Method:
    """The temperature of the first and of the last epoch, below which it is trained and pruned, and the `threshold`,
    relative to the mean weight of an edge."""
    if coldest > hottest or coldest >= grace:
        raise UserError(
            f"Method 'asap' cools down from hottest, {hottest:g}, to coldest, {coldest:g}, and trains alphas below "
            f"grace, {grace:g}: choose a coldest that is at most hottest and below grace."
        )
    temperature = relax.exponential(hottest, coldest)

    def waits(epoch: int, epochs: int) -> bool:
        return bool(temperature(Clock(0, epoch, epochs)) >= grace)  # type: ignore[arg-type]

    def phases(space: Space, config: SearchConfig) -> tuple[Phase, ...]:
        waiting = sum(waits(epoch, config.epochs) for epoch in range(config.epochs))
        if waiting == config.epochs:
            raise UserError(
                f"Method 'asap' trains alphas below the temperature {grace:g}, and search.epochs, {config.epochs}, end "
                "before it is that cold: choose more epochs, a smaller hottest or a larger grace."
            )
        warmup = max(waiting, config.alphas.warmup_epochs)
        return (Phase(replace(config, alphas=replace(config.alphas, warmup_epochs=warmup))),)

    def look(view: View) -> Outcome:
        mask, last = dict[str, np.ndarray](), view.epoch == view.epochs
        for kind, cell in view.space.cells.items():
            left = np.array(view.mask[kind]) > 0
            if last or not waits(view.epoch, view.epochs):
                left = pruned(cell, np.asarray(view.mix[kind]), left, threshold)
                left = limited(cell, np.asarray(view.alphas[kind]), left, last)
            mask[kind] = left.astype(float)
        mask = projection.as_far_as_fits(view.mask, mask, view.mix, view.fits)
        return Outcome({f"left_{kind}": int(mask[kind].sum()) for kind in mask}, mask=mask)

    return Method(
        relax=relax.annealed(temperature),
        phases=phases,
        between_epochs=look,
        masks=True,
        prunes_within=True,
        select=select.as_left,
    )


def candidates(cell: Cell, also_none: bool = True) -> np.ndarray:
    """The columns that are operations [E, O]."""
    shown = [[also_none or name != "none" for name in names] for names in cell.operations]
    return np.array([row + [False] * (cell.mix_shape[1] - len(row)) for row in shown])


def pruned(cell: Cell, mix: np.ndarray, left: np.ndarray, threshold: float) -> np.ndarray:
    """What is left [E, O] of operations with these weights [E, O]."""
    left = left & candidates(cell)
    weights = np.where(left, mix, 0)
    share = weights / np.maximum(weights.sum(-1, keepdims=True), 1e-30)
    stays = left & (share >= threshold / np.maximum(left.sum(-1, keepdims=True), 1))
    if cell.kept is not None:
        flowing = np.where(left & candidates(cell, False), share, -1)
        for node in cell.computed:
            for edge in sorted(cell.incoming(node), key=lambda e: -flowing[e].max())[: cell.kept]:
                if flowing[edge].max() >= 0:
                    stays[edge, flowing[edge].argmax()] = True
    return stays


def limited(cell: Cell, alphas: np.ndarray, left: np.ndarray, last: bool) -> np.ndarray:
    """What is left [E, O] where nodes whose edges are all decided keep as many as a genotype; last: where all do."""
    if cell.kept is None:
        return left
    left = left.copy()
    odds = np.exp(alphas - alphas.max(-1, keepdims=True))
    strength = np.where(left & candidates(cell, False), odds / odds.sum(-1, keepdims=True), -1).max(-1)
    for node in cell.computed:
        edges = cell.incoming(node)
        if last or (left[edges].sum(-1) <= 1).all():
            kept = sorted(edges, key=lambda e: -strength[e])[: cell.kept]
            left[[edge for edge in edges if edge not in kept]] = False
    return left
