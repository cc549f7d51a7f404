"""Between two phases of a search: which operations are left, and how the state carries over.

Pruning keeps, on every edge, the operations with the largest weights in the evaluation mix. Searches of several seeds
are one program on one space: on it an edge keeps what any seed keeps, and a mask says what is left for each. With one
seed nothing is masked.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict

from dnas import keys
from dnas.architectures.genotype_data import Genotype
from dnas.architectures.topology import Space, with_operations
from dnas.config import SearchConfig
from dnas.errors import UserError
from dnas.nets.functional import Deferred
from dnas.nets.layers import FactorizedReduce
from dnas.nets.supernet import MixedCell
from dnas.ranges import LARGE
from dnas.types import Mix, SearchState, Tree

Build = Callable[[nnx.Rngs], nnx.Module]


def numbers(kind: type, setting: str, text: str, phases: int | None = None) -> list[Any]:
    """A setting that has a number for each phase: `6+4` -> [6, 4]. Errors: `UserError` for anything else."""
    try:
        found = [kind(part) for part in text.split("+")]
    except ValueError:
        found = []
    if not found or not all(0 <= number <= LARGE for number in found):  # not: a number that is none
        what = "whole numbers" if kind is int else "numbers"
        raise UserError(f"The setting '{setting}' is {what} with + between them, as in 6+4, not '{text}'.")
    if phases is not None and len(found) != phases:
        raise UserError(f"The setting '{setting}' has {len(found)} numbers, '{text}', but {phases} are needed.")
    return found


def kept(text: str, phases: int) -> list[int | None]:
    """The setting `keep`, operations that an edge keeps in each phase but the first, for all phases: None, 5, 3."""
    if phases == 1:
        return [None]
    found = numbers(int, "keep", text, phases - 1)
    if 0 in found:
        raise UserError(f"The setting 'keep' is '{text}', but an edge keeps at least 1 operation.")
    return [None, *found]


def check_kept(kept: list[int | None], space: Space) -> None:
    """Refuse phases that would keep more operations on an edge than are left. Errors: `UserError`."""
    left = max(len(names) for cell in space.cells.values() for names in cell.operations)
    for index, number in enumerate(kept):
        if number is not None and number > left:
            raise UserError(
                f"The setting 'keep' leaves {number} operations on an edge in phase {index + 1} of a search of "
                f"'{space.name}', where an edge has {left}: choose at most {left}."
            )
        left = number or left


def split(config: SearchConfig, count: int) -> list[SearchConfig]:
    """A search's config for each of `count` phases, which share its epochs as evenly as possible."""
    if config.epochs < count:
        raise UserError(
            f"search.epochs is {config.epochs}, but the search has {count} phases: choose at least {count}."
        )
    return [replace(config, epochs=(config.epochs + i) // count) for i in range(count)]


class Pruned(NamedTuple):
    """What pruning leaves."""

    space: Space
    """What any seed keeps."""
    mask: Mix
    """{kind: [S, E, O']}: what each seed keeps of it."""
    columns: Mapping[str, np.ndarray]
    """{kind: [E, O']}: where these operations stood before; -1 where an edge keeps fewer than others."""


def prune(space: Space, mixes: Mapping[str, np.ndarray], keep: int, own: Sequence[Genotype] = ()) -> Pruned:
    """Keep the `keep` best operations of every edge; mixes {kind: [S, E, O]}, ties to the lower operation.

    own: of every seed a genotype whose operations count as the best, so that it is left.
    """
    kept, masks, columns = {}, {}, {}
    for kind, cell in space.cells.items():
        values = np.array(mixes[kind])[:, :, : cell.mix_shape[1]]
        for seed, genotype in enumerate(own):
            for node, source, operation in genotype.cell(kind).edges:
                e = cell.edges.index((node, source))
                values[seed, e, cell.operations[e].index(operation)] = np.inf
        chosen = []  # [E] of [S] sets of columns
        for e, names in enumerate(cell.operations):
            order = np.argsort(-values[:, e, : len(names)], axis=-1, kind="stable")
            chosen.append([set(row[:keep].tolist()) for row in order])
        union = [sorted(set().union(*sets)) for sets in chosen]
        width = max(map(len, union))
        columns[kind] = np.array([[*row, *[-1] * (width - len(row))] for row in union])
        masks[kind] = np.array(
            [
                [[float(o in chosen[e][s]) for o in columns[kind][e]] for e in range(len(union))]
                for s in range(len(values))
            ]
        )
        kept[kind] = [[cell.operations[e][o] for o in row] for e, row in enumerate(union)]
    return Pruned(with_operations(space, kept), masks, columns)


def prune_alphas(alphas: Tree, before: Space, columns: Mapping[str, np.ndarray]) -> Tree:
    """The columns that are left of every table of alphas [S, E, O]; where there is none, zeros."""

    def cut(path, leaf):
        kinds = [key.key for key in path if isinstance(key, jax.tree_util.DictKey) and key.key in columns]
        if not kinds or leaf.shape[1:] != before.cells[kinds[-1]].mix_shape:
            return leaf
        index = columns[kinds[-1]]
        taken = np.take_along_axis(leaf, np.maximum(index, 0)[None], axis=-1)
        return np.where(index >= 0, taken, 0).astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(cut, alphas)


def carry_over(state: SearchState, fresh: SearchState, builds: tuple[Build, Build], pruned: Pruned, seed: int):
    """The state of a phase's end as the beginning of the next: what is left of weights, statistics and momentum.

    state, fresh: on the host, leaves [S, ...]; fresh gives the shapes. builds: of the supernets before and after.
    Channels that are new (fewer partial channels) are copies of random old ones, as in DrNAS (Net2Wider,
    arXiv:1511.05641, without the division that keeps the function: their input is new as well).
    """
    places, halved = [_places(build) for build in builds], _halved(builds[1])

    def moved(old: Tree, new: Tree) -> Tree:
        source = flatten_dict(old)
        return unflatten_dict({path: one(path, source, leaf) for path, leaf in flatten_dict(new).items()})

    def one(path, source, target):
        prefix = next((p for p in places[1] if path[: len(p)] == p), None)
        if prefix is None:
            return source[path]
        name, edges, shared = places[1][prefix]
        before = next(p for p, (n, e, _) in places[0].items() if n == name and set(edges) <= set(e))
        leaf = source[before + path[len(prefix) :]]
        if not shared:
            leaf = leaf[:, :, [places[0][before][1].index(e) for e in edges]]
        return widened(leaf, target.shape, name, path[:-1] in halved)

    def widened(leaf, shape, name, in_halves):
        for axis, (have, want) in enumerate(zip(leaf.shape, shape, strict=True)):
            if want > have and in_halves:
                half = sources(name, have // 2, want // 2)
                leaf = np.take(leaf, np.concatenate([half, have // 2 + half]), axis)
            elif want > have:
                leaf = np.take(leaf, sources(name, have, want), axis)
        return leaf

    def sources(name, have: int, want: int) -> np.ndarray:
        """Which old channel each new one is; the same for all axes of a candidate, whatever else is left beside it."""
        rng = keys.generator(seed, repr(("widening", name, have, want)))
        return np.concatenate([np.arange(have), rng.integers(0, have, want - have)])

    like: Any = jax.tree.structure(state.weights)

    def is_like_weights(tree: Tree) -> bool:
        return jax.tree.structure(tree) == like

    optimiser = jax.tree.map(
        lambda old, new: moved(old, new) if is_like_weights(old) else old,
        state.weight_opt,
        fresh.weight_opt,
        is_leaf=is_like_weights,
    )
    return state._replace(
        weights=moved(state.weights, fresh.weights), stats=moved(state.stats, fresh.stats), weight_opt=optimiser
    )


def _halved(build: Build) -> set[tuple]:
    """Where the norms of factorised reductions stand: their channels are those of two convolutions, one after the
    other, and grow half by half."""
    nodes = nnx.iter_graph(build(Deferred(params=jax.random.key(0))))
    return {(*path, "norm") for path, node in nodes if isinstance(node, FactorizedReduce)}


def _places(build: Build) -> dict[tuple, tuple[Any, tuple[int, ...], bool]]:
    """Where every candidate stands in the weights: path -> (what it is, its edges, whether they share it)."""
    found = {}
    for path, node in nnx.iter_graph(build(Deferred(params=jax.random.key(0)))):
        if isinstance(node, MixedCell):
            for i, candidate in enumerate(node.candidates):
                source = node.cell.edges[candidate.edges[0]][1]
                name = (*path, source, node.cell.operations[candidate.edges[0]][candidate.columns[0]])
                found[(*path, "candidates", i)] = name, candidate.edges, candidate.shared
    return found
