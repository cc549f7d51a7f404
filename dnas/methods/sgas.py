"""SGAS: edges are decided one after the other while the search goes on, the clearest first.

    importance = sum of the weights of all operations but `none`,   p = these weights / importance
    certainty = 1 - entropy(p) / log(their number),   stability = mean over past epochs of sum_o min(p_o, past p_o)
    score = importance x certainty (criterion 1) or x stability too (criterion 2), each scaled to 0..1 over the edges

From an epoch on, every few epochs, the edge of each kind of cell with the best score keeps its strongest operation;
a node that has all the inputs that a genotype keeps loses its other edges. So the last supernet is the cell, and no
ranking by a softmax at its end is trusted. Li, Qian, Delgadillo, Mueller, Thabet and Ghanem, "SGAS: Sequential Greedy
Architecture Search", CVPR 2020, arXiv:1912.00195. Reference code: lightaime/sgas, followed in the epochs of the
decisions, in that `none` is never chosen, and in that a decided edge counts, as it was then, where scores are scaled.
Unlike there, batches do not grow by 8 with every decision (what is decided is masked, its memory is not freed), and a
factor that is equal on all edges decides nothing, where theirs makes all scores 0 (spaces without `none`).
"""

from collections.abc import Callable
from typing import Annotated

import numpy as np

from dnas.architectures.topology import Cell, Space
from dnas.config import SearchConfig
from dnas.errors import UserError
from dnas.ranges import Count, Range, Whole, beside
from dnas.search import select
from dnas.search.method import Method, Outcome, View


def method(
    *,
    begin: Whole = 9,
    every: Count = 5,
    criterion: Annotated[int, Range(1, 2)] = 1,
    history: Annotated[Count, beside(criterion=2)] = 4,
) -> Method:
    """`begin`: epochs before the one after which the first edges are decided. `every`: epochs from one decision to the
    next. `history`: epochs whose weights the stability compares."""

    def look(view: View) -> Outcome:
        nothing: dict[str, dict] = {"decided": {kind: [] for kind in view.space.cells}, "rows": {}}
        epoch, before = view.epoch - 1, view.notes[-1] if view.notes else nothing
        mask, all_rows = dict(view.mask), {}
        all_decided: dict[str, list[list[int]]] = {}
        for kind, cell in view.space.cells.items():
            rows, decided = np.array(view.mix[kind]), before["decided"][kind]
            for edge, _ in decided:  # as it was when it was decided
                rows[edge] = before["rows"][kind][edge]
            past = [np.array(note["rows"][kind]) for note in view.notes[-history:]] if criterion == 2 else []
            if epoch >= begin and (epoch - begin) % every == 0 and len(decided) < len(cell.edges):

                def fits(after: list[list[int]], kind=kind) -> bool:
                    left = {**mask, kind: masked(np.array(view.mask[kind]), after)}
                    known = {**before["decided"], **all_decided, kind: after}
                    kept = {k: [e for e, column in pairs if column >= 0] for k, pairs in known.items()}
                    return view.fits({k: left[k] * flowing(view.space.cells[k]) for k in left}, kept)

                decided = decide(cell, rows, past, decided, fits)
                mask[kind] = masked(np.array(view.mask[kind]), decided)
            all_rows[kind], all_decided[kind] = rows.tolist(), decided
        return Outcome({"decided": all_decided, "rows": all_rows}, mask=mask)

    def fitting(method: Method, space: Space, config: SearchConfig) -> Method:
        most = max(map(decisions, space.cells.values()))
        if begin + (most - 1) * every >= config.epochs:
            raise UserError(
                f"Method 'sgas' decides the last edge of '{space.name}' after epoch {begin + (most - 1) * every + 1}, "
                f"and search.epochs is {config.epochs}: choose more epochs, or a smaller begin or every."
            )
        return method

    return Method(between_epochs=look, masks=True, prunes_within=True, select=select.as_left, adapt=fitting)


def decisions(cell: Cell) -> int:
    """How many edges of a cell are chosen; the others are left out by that."""
    return sum(min(cell.kept or len(incoming), len(incoming)) for incoming in map(cell.incoming, cell.computed))


def flowing(cell: Cell) -> np.ndarray:
    """What an edge may keep [E, O]: all but `none`, unless it has nothing else."""
    shown = [[name != "none" or set(names) == {"none"} for name in names] for names in cell.operations]
    return np.array([row + [False] * (cell.mix_shape[1] - len(row)) for row in shown])


def distribution(cell: Cell, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The importance of every edge [E], and its weights but that of `none`, normalised [E, O]."""
    weights = rows * flowing(cell)
    total = weights.sum(-1)
    importance = [t if "none" in names else 1.0 for t, names in zip(total, cell.operations, strict=True)]
    return np.array(importance), weights / total[:, None]


def scores(cell: Cell, rows: np.ndarray, past: list[np.ndarray]) -> np.ndarray:
    """Of all edges [E]; rows, past: weights [E, O] now and of the epochs before, none for criterion 1."""
    importance, p = distribution(cell, rows)
    entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(-1) / np.log(np.maximum(flowing(cell).sum(-1), 2))
    factors = [importance, 1 - entropy]
    if past:
        factors.append(np.mean([np.minimum(p, distribution(cell, then)[1]).sum(-1) for then in past], 0))
    return np.prod([scaled(factor) for factor in factors], 0)


def scaled(values: np.ndarray) -> np.ndarray:
    """From 0, the smallest, to 1, the largest; all 1 where they are equal."""
    span = np.ptp(values)
    return (values - values.min()) / span if span > 0 else np.ones_like(values)


def decide(
    cell: Cell,
    rows: np.ndarray,
    past: list[np.ndarray],
    decided: list[list[int]],
    fits: Callable[[list[list[int]]], bool] = lambda decided: True,
) -> list[list[int]]:
    """The pairs (edge, column) that are decided after one more decision, in order; column -1: the edge is left out. The
    column is the strongest with which they fit, if there is such."""
    score = scores(cell, rows, past)
    score[[edge for edge, _ in decided]] = -np.inf
    edge = int(score.argmax())
    incoming, known = cell.incoming(cell.edges[edge][0]), {e for e, _ in decided} | {edge}
    full = len(known & set(incoming)) >= (cell.kept or len(incoming))
    others = [[e, -1] for e in incoming if full and e not in known]
    columns = np.argsort(-(rows * flowing(cell))[edge], kind="stable")[: max(1, flowing(cell)[edge].sum())]
    able = [[*decided, [edge, int(column)], *others] for column in columns]
    return next(filter(fits, able), able[0])


def masked(mask: np.ndarray, decided: list[list[int]]) -> np.ndarray:
    """The mask [E, O] with what is decided."""
    for edge, column in decided:
        mask[edge] = np.arange(mask.shape[1]) == column
    return mask
