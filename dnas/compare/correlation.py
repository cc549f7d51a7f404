"""Whether a search knows what is good: rank correlations with the test accuracies of NAS-Bench-201, on CIFAR-10.

A mix scores a cell by the product of its weights over the edges, the supernet by its validation score with only the
operations of the cell, normalised as in a selection of its method. Both look at nothing of the table. Axis letters: N
cells, E edges, O operations.
"""

from pathlib import Path

import numpy as np

from dnas import find, keys
from dnas.architectures.topology import Space
from dnas.compare.rows import Rank
from dnas.config import Config
from dnas.errors import UserError
from dnas.runs import records
from dnas.search.select import norms
from dnas.tables import nasbench201 as tabular
from dnas.tables.protocol import at

TRUTH = "cifar10", "test_200"
LEAST = 1e-30  # a weight of an operation that was given up
DIGITS = 6  # of a score: mixes are in float32, and cells of the same operations are equally good


def of_mixes(folder: Path, config: Config) -> tuple[Rank, ...]:
    """Of the last mix of every seed, over all cells of the space; empty where the table does not know the space, or a
    mix prefers nothing."""
    try:
        last = {row["seed"]: row["mix"] for row in records.read_mix(folder)}
    except UserError:  # a search that says what it found, but whose mixes are damaged
        return ()
    if not last or not known(space := find.resolve("space", config.space)):
        return ()
    cells = every(space)
    truth = tabular.table().column(*TRUTH)[places(space, cells)]
    found = []
    for _, mix in sorted(last.items()):
        ((kind, cell),) = space.cells.items()
        named = list(mix[kind].values())
        pairs = zip(named, cell.operations, strict=True)
        weights = np.array([[row.get(name, 0.0) for name in names] for row, names in pairs])
        score = np.log(np.maximum(weights, LEAST))[np.arange(len(named)), cells].sum(1).round(DIGITS)
        if np.ptp(score) > 0:
            found.append(ranked(score, truth))
    return tuple(found) if len(found) == len(last) else ()


def of_supernets(folder: Path, config: Config, *, cells: int, batches: int) -> list[float]:
    """Spearman and Kendall of every seed, one after the other, over `cells` cells drawn at random, the same for every
    search of the space."""
    from dnas.loading.supernet import load_search

    space = find.resolve("space", config.space)
    drawn = every(space)
    drawn = drawn[keys.generator(0, "compare").permutation(len(drawn))[:cells]]
    truth = tabular.table().column(*TRUTH)[places(space, drawn)]
    loaded = load_search(folder, config, 0, None)
    found: list[float] = []
    for i in range(config.seeds):
        score = loaded.stage.scorer(loaded.state, i)
        mixes = (one_hot(cell, space, loaded.stage.space) for cell in drawn)
        scores = [score(mix, batches=batches, **norms(loaded.stage.method.calibration)) for mix in mixes]
        found += ranked(np.array(scores), truth)
    return found


def known(space: Space) -> bool:
    """Whether the table has all cells of a space."""
    cells = [cell for cell in space.cells.values() if space.name == "nasbench201"]
    names = {name for cell in cells for row in cell.operations for name in row}
    return len(cells) == 1 and len(cells[0].edges) == tabular.EDGES and names <= {*tabular.OPERATIONS}


def every(space: Space) -> np.ndarray:
    """All cells of a space with one kind of cell, as integers [N, E]."""
    (cell,) = space.cells.values()
    options = [len(names) for names in cell.operations]
    return at(np.arange(np.prod(options)), options)


def places(space: Space, cells: np.ndarray) -> np.ndarray:
    """Where cells [N, E] of a space stand in the table [N]."""
    (cell,) = space.cells.values()
    columns = [np.array([tabular.OPERATIONS.index(name) for name in names]) for names in cell.operations]
    theirs = np.stack([column[row] for column, row in zip(columns, cells.T, strict=True)], 1)
    return tabular.place(theirs, tabular.OPTIONS)


def one_hot(cell: np.ndarray, space: Space, left: Space) -> dict[str, np.ndarray]:
    """The mix {kind: [E, O]} of a cell [E] of a space, in the columns of what is left of it; a row of an operation that
    is not left is zeros."""
    ((kind, whole),) = space.cells.items()
    mix = np.zeros(left.cells[kind].mix_shape, np.float32)
    for e, (names, kept) in enumerate(zip(whole.operations, left.cells[kind].operations, strict=True)):
        if names[cell[e]] in kept:
            mix[e, kept.index(names[cell[e]])] = 1
    return {kind: mix}


def ranked(score: np.ndarray, truth: np.ndarray) -> Rank:
    """The correlations of two rankings, 0 where one ranks nothing."""
    from scipy.stats import kendalltau, spearmanr  # 0.6 s

    if not np.ptp(score) or not np.ptp(truth):
        return Rank(0.0, 0.0)
    return Rank(float(spearmanr(score, truth)[0]), float(kendalltau(score, truth)[0]))
