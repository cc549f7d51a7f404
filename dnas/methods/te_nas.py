"""TE-NAS: the supernet loses operations until one is left, those without which it is trained and divides space better.

    importance of o = rank of (k - k_o) / k, the largest first + rank of (R - R_o) / R, the smallest first
    k: condition number of the neural tangent kernel, R: number of linear regions; k_o, R_o: without o

Chen, Gong and Wang, "Neural Architecture Search on ImageNet in Four GPU Hours: A Theoretically Inspired Perspective",
ICLR 2021, arXiv:2102.11535. Reference code: VITA-Group/TENAS, `prune_tenas.py`. As there: nothing is trained, `none` is
removed at once, ranks are among all operations of all edges, equal changes have equal ranks, changes are rounded to
three decimals and averaged over repeats with weights drawn for each, every edge loses its `prune` least important
operations in a round, what is left of an edge has equal weights that sum to 1, and in the end the nodes, one after the
other, lose the edges beyond those that a genotype keeps. A round is an epoch; the search ends after the last.

Unlike there, all operations of a round are compared with the same draws of weights and images, and kernels are drawn as
in PyTorch instead of from normal distributions of Kaiming's scale, of the fan-out for k; see `dnas/proxies/ntk.py` and
`dnas/proxies/linear_regions.py` for theirs. Where no k is a number nothing has changed; a k_o that is none is worst.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dnas import find
from dnas.architectures.topology import Space
from dnas.config import SearchConfig
from dnas.errors import UserError
from dnas.ranges import Count
from dnas.search import projection, relax
from dnas.search.method import Method, Outcome, Phase, View
from dnas.types import Mix

KERNEL, REGIONS = "ntk", "linear_regions"
DECIMALS = 3
NONE = "none"


class Removal(NamedTuple):
    """What can go: an operation of an edge, or of an edge all that is left (operation -1)."""

    kind: str
    edge: int
    operation: int = -1

    def of(self, mask: Mix) -> Mix:
        """The mask after it."""
        return projection.without(mask, self.kind, self.edge, slice(None) if self.operation < 0 else self.operation)


def method(*, prune: Count = 1, repeats: Count = 3) -> Method:
    """`prune`: operations that an edge loses in a round; `repeats`: draws of weights and images that are averaged."""

    def phases(space: Space, config: SearchConfig) -> tuple[Phase, ...]:
        if config.epochs < (needed := rounds(space, prune)):
            raise UserError(
                f"Method 'te_nas' takes {needed} rounds in the space '{space.name}', and search.epochs is "
                f"{config.epochs}: choose at least {needed}, or a larger setting prune."
            )
        return (Phase(config, trains=False),)

    def look(view: View) -> Outcome:
        if view.epoch > rounds(view.space, prune):
            return Outcome(stop=view.total)
        mask = first_mask(view.space) if view.epoch == 1 else view.mask
        numbers = range((view.epoch - 1) * repeats, view.epoch * repeats)
        mask = after_round(view, mask, prune, numbers)
        return Outcome(mask=after_nodes(view, mask, numbers) if view.epoch == rounds(view.space, prune) else mask)

    return Method(
        alphas=relax.uniform,
        relax=relax.simplex,
        select=projection.remaining,
        hypergrad=None,
        phases=phases,
        between_epochs=look,
        masks=True,
        prunes_within=True,
        proxies={name: find.resolve("proxy", name) for name in (KERNEL, REGIONS)},
        new_weights=True,
    )


def first_mask(space: Space) -> Mix:
    """All operations {kind: [E, O]} but `none`, unless an edge has nothing else."""

    def row(names: Sequence[str], width: int) -> list[float]:
        left = [name != NONE for name in names] if {*names} != {NONE} else [True] * len(names)
        return [*map(float, left), *[0.0] * (width - len(names))]

    return {
        kind: np.array([row(names, cell.mix_shape[1]) for names in cell.operations])
        for kind, cell in space.cells.items()
    }


def rounds(space: Space, prune: int) -> int:
    """After how many every edge has one operation; at least 1, in which nodes lose edges."""
    most = max(int(mask.sum(-1).max()) for mask in first_mask(space).values())
    return max(1, -(-(most - 1) // prune))


def after_round(view: View, mask: Mix, prune: int, numbers: range) -> Mix:
    """The mask after every edge has lost its least important operations, of which one stays."""
    removals = [
        Removal(kind, edge, int(o))
        for kind, rows in mask.items()
        for edge, row in enumerate(np.asarray(rows))
        if (row > 0).sum() > 1
        for o in np.flatnonzero(row)
    ]
    gone: dict[tuple[str, int], int] = {}
    left = mask
    for removal in by_importance(view, mask, removals, numbers):
        kind, edge, _ = removal
        lost = gone.get((kind, edge), 0)
        if lost < min(prune, int((np.asarray(mask[kind])[edge] > 0).sum()) - 1) and can_go(view, removal, left):
            left, gone[kind, edge] = removal.of(left), lost + 1
    return left


def after_nodes(view: View, mask: Mix, numbers: range) -> Mix:
    """The mask after every node has lost the edges beyond those that it keeps, one node after the other."""
    for kind, cell in view.space.cells.items():
        for node in cell.computed:
            edges = cell.incoming(node)
            if cell.kept is not None and len(edges) > cell.kept:
                removals, left = by_importance(view, mask, [Removal(kind, edge) for edge in edges], numbers), len(edges)
                for removal in removals:
                    if left > cell.kept and can_go(view, removal, mask):
                        mask, left = removal.of(mask), left - 1
    return mask


def can_go(view: View, removal: Removal, mask: Mix) -> bool:
    """Whether a network within the budget is left, if there was one."""
    return view.fits(removal.of(mask)) or not view.fits(mask)


def by_importance(view: View, mask: Mix, removals: list[Removal], numbers: range) -> list[Removal]:
    """The least important first; of equal ones that by whose removal the condition number gains most."""
    if not removals:
        return []
    changes = np.zeros((2, len(removals)))
    for number in numbers:
        whole = measured(view, mask, number)
        for i, removal in enumerate(removals):
            changes[:, i] += [*map(change, whole, measured(view, removal.of(mask), number))]
    condition, regions = changes / len(numbers)
    ranks = ranked(-condition), ranked(regions)
    order = np.lexsort((ranks[0], ranks[0] + ranks[1]))
    return [removals[i] for i in order]


def measured(view: View, mask: Mix, number: int) -> tuple[float, float]:
    """The condition number and the number of linear regions of the supernet with equal weights of what is left."""
    rows = {kind: np.asarray(m, float) for kind, m in mask.items()}
    mix = {kind: m / np.maximum(m.sum(-1, keepdims=True), 1) for kind, m in rows.items()}
    found = view.score(mix, number)
    return -found[KERNEL], found[REGIONS]


def change(before: float, after: float) -> float:
    """What of a number goes, rounded; 0 if neither is finite, minus infinity where that afterwards is not."""
    if not np.isfinite(before):
        return float(np.isfinite(after))
    return round((before - after) / before, DECIMALS) if np.isfinite(after) else -np.inf


def ranked(values: np.ndarray) -> np.ndarray:
    """The places of values in ascending order, from 0; equal ones share theirs."""
    return np.unique(values, return_inverse=True)[1]
