"""Between two phases of a search: which operations are left, and how the state carries over.

Pruning keeps, on every edge, the operations with the largest scores. Searches of several seeds are one program on one
space: on it an edge keeps what any seed keeps, and a mask says what is left for each. With one seed nothing is masked.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict

from dnas.nets.functional import Deferred
from dnas.nets.supernet import MixedCell
from dnas.spaces.topology import Space, with_operations
from dnas.types import Mix, SearchState, Tree

Build = Callable[[nnx.Rngs], nnx.Module]


class Pruned(NamedTuple):
    """space: what any seed keeps. mask {kind: [S, E, O']}: what each seed keeps of it. columns {kind: [E, O']}: where
    these operations stood before; -1 where an edge keeps fewer than others."""

    space: Space
    mask: Mix
    columns: Mapping[str, np.ndarray]


def prune(space: Space, mixes: Mapping[str, np.ndarray], keep: int) -> Pruned:
    """Keep the `keep` best operations of every edge; mixes {kind: [S, E, O]}, ties to the lower operation."""
    kept, masks, columns = {}, {}, {}
    for kind, cell in space.cells.items():
        values = np.asarray(mixes[kind])[:, :, : cell.mix_shape[1]]
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
    places = [_places(build) for build in builds]
    rng = np.random.default_rng(seed)
    indices: dict[tuple, np.ndarray] = {}  # of the channels of a candidate, by what it was and has

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
        return widened(leaf, target.shape, (*prefix,))

    def widened(leaf, shape, key):
        for axis, (have, want) in enumerate(zip(leaf.shape, shape, strict=True)):
            if want > have:
                index = indices.setdefault((key, have, want), rng.integers(0, have, want - have))
                leaf = np.concatenate([leaf, np.take(leaf, index, axis)], axis)
        return leaf

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
