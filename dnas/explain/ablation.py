"""What the supernet of a search scores on the validation part when options are taken away or exchanged.

    in the mix     removed   mix[e, o] = 0, nothing is scaled up in its place: what is lost is what option o is worth
                   alone     mix[e] = sum_o mix[e, o] on option o: decision e is made, all others stay open
                   without   mix[e] = 0: the edge is gone
    in the found   replaced  the architecture that was found alone, one-hot, with option o in decision e
                   without   without the edge

"removed" is the perturbation of DARTS-PT (Wang et al. 2021, arXiv:2108.04392), which does not normalise the rest: to
scale it up would be a second change. Where training computes all paths, the mix is what the weights are used to, and
one path alone is often no better than chance; where it computes one, the found architecture is, and "in the mix" is
left out. Norms are normalised by the batch, or calibrated for every variant where the method's selection does so.
Every variant is a mix, an argument of one compiled program. Axis letters: N variants, E decisions of a kind, O options.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas.architectures.genotype import Genotype, as_mix
from dnas.explain.decisions import Decision
from dnas.runs import devices, loop
from dnas.search.stage import Stage
from dnas.types import Mix, SearchState, Tree

CHUNK = 8  # variants of one call of the program
BASES = ("mix", "found")


class Variant(NamedTuple):
    """What is changed in which base: nothing (""), or a decision, by number, and where one is meant its option."""

    base: str
    change: str = ""
    decision: int = -1
    option: int = -1


class Measured(NamedTuple):
    """Of a variant: the score of the task, not signed, the loss, and how many examples the loss is a mean over."""

    score: float
    loss: float
    examples: int


def variants(decisions: Sequence[Decision], bases: dict[str, Mix], table: bool) -> dict[Variant, Mix]:
    """All variants of the bases {"mix": ..., "found": ...}, as mixes {kind: [E, O]}. Of "found" only decisions that it
    has an option for are changed. table: whether decisions are no edges: then none can be left out, and what has one
    option is no decision."""
    made: dict[Variant, Mix] = {Variant(base): mix for base, mix in bases.items()}
    for number, decision in enumerate(decisions):
        open_to = np.flatnonzero(decision.open_to).tolist()
        if table and len(open_to) < 2:
            continue
        for base, mix in bases.items():
            row = np.asarray(mix[decision.kind])[decision.row]
            width = len(decision.options)
            total = row[:width].sum()
            if base == "found" and decision.found is None:
                continue
            if base == "mix":
                removed = {o: np.where(np.arange(len(row)) == o, 0, row) for o in open_to}
                made |= {Variant(base, "removed", number, o): _with(mix, decision, r) for o, r in removed.items()}
            for o in open_to:
                alone = np.concatenate([total * np.eye(width)[o], row[width:]])
                name = "alone" if base == "mix" else "replaced"
                made[Variant(base, name, number, o)] = _with(mix, decision, alone)
            if not table:
                nothing = np.concatenate([np.zeros(width), row[width:]])
                made[Variant(base, "without", number)] = _with(mix, decision, nothing)
    return made


def found_mix(genotype: Genotype, stage: Stage, mix: Mix) -> Mix:
    """The one-hot mix of a genotype in the columns of the supernet, which may have operations beside the space's.

    Errors: `UserError` where the supernet cannot express it.
    """
    one_hot = as_mix(genotype, stage.space)
    return {
        kind: np.pad(rows, ((0, 0), (0, np.asarray(mix[kind]).shape[1] - rows.shape[1])))
        for kind, rows in one_hot.items()
    }


def measured(
    stage: Stage, state: SearchState, i: int, mixes: Sequence[Mix], *, batches: int = 0, quiet: bool = True
) -> list[Measured]:
    """The supernet of seed i with every mix, through one program, on so many batches of the validation part, 0: all.

    state: of all seeds.
    """
    one = jax.tree.map(lambda leaf: leaf[i], (state.weights, state.stats))
    rows, constants = stage.valid_batches
    data = jax.tree.map(lambda leaf: leaf[:batches], rows) if batches else rows, constants
    shared = (*one, state.key[i], stage.arrays[0] if calibration_of(stage) else (), data)
    dtype = jax.tree.leaves(state.alphas)[0].dtype
    found, evaluate = list[Measured](), _program(stage)
    with loop.counting("ablation", "variants", quiet, total=len(mixes), each=CHUNK) as count:
        evaluate = count(evaluate)
        for first in range(0, len(mixes), CHUNK):
            chunk = [mixes[min(first + place, len(mixes) - 1)] for place in range(CHUNK)]
            stacked = jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(x, dtype) for x in leaves]), *chunk)
            sums = devices.fetch(evaluate(stacked, *shared))
            each = [jax.tree.map(lambda leaf, n=n: leaf[n], sums) for n in range(min(CHUNK, len(mixes) - first))]
            found += [_measures(stage, own) for own in each]
    return found


def calibration_of(stage: Stage) -> int:
    """On how many training batches norms are calibrated for every variant; 0: they normalise by the batch."""
    return stage.calibration_batches(stage.method.calibration)


def _program(stage: Stage) -> Callable[..., Tree]:
    """(mixes [N, E, O], weights, statistics, key, training part, batches) -> sums [N]."""
    count = calibration_of(stage)

    def one(mix: Mix, weights: Tree, stats: Tree, key: jax.Array, train: Tree, data: Tree) -> Any:
        if count:
            stats = stage.calibrate_one((weights, stats, mix), key, train, count=count)
        return stage.evaluate_one((weights, stats, mix), data, train=not count)

    return jax.jit(devices.Layout(CHUNK).over_seeds(one))


def _measures(stage: Stage, sums: Any) -> Measured:
    measures = stage.task.measures(sums)
    return Measured(measures[stage.task.score.name], measures["loss"], int(sums["loss"][1]))


def _with(mix: Mix, decision: Decision, row: np.ndarray) -> Mix:
    rows = np.array(mix[decision.kind])
    rows[decision.row] = row
    return {**mix, decision.kind: rows}
