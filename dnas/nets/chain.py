"""Chains of blocks: the derived network, and the supernet in which some of the blocks are mixed.

    x_l = sum_o mix[l, o] block_{l, o}(x_{l-1})

A layer of the supernet is a row of candidates; what stands before the first and after the last layer is the same in all
architectures. Every candidate has weights of its own. Nothing is scanned: layers differ in width, stride or image size.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from dnas.architectures.blocks import KIND, Placed, blocks_of, parse, placed, words
from dnas.architectures.genotype import Genotype
from dnas.architectures.topology import NetworkSize, Norm, Paths, Space
from dnas.errors import UserError
from dnas.kernels.mixing import fan_out, weighted_sums
from dnas.nets import blocks
from dnas.nets.functional import rematerialised, run
from dnas.nets.layers import Outputs, checked_images, checked_numbers
from dnas.nets.supernet import check_mix, parameters, statistics
from dnas.types import Mix, Noise


class Network(nnx.Module):
    """`network(x)`: normalised images x [B, H, W, C] of any size -> `Outputs`.

    before, after: words of the blocks around those of the genotype. drop_path: [1, blocks, B] multiplies what a block
    adds to its input, see `network.drop_path_factors`; blocks without a shortcut are spared. Training and evaluation
    are as in `network.Network`. Errors: `UserError` for a genotype that is no chain, and for other images.
    """

    def __init__(
        self,
        genotype: Genotype,
        space: Space,
        size: NetworkSize,
        *,
        before: Sequence[str] = (),
        after: Sequence[str] = (),
        norm: Norm | None = None,
        rngs: nnx.Rngs,
    ):
        check_size(space, size)
        own = blocks_of(genotype)
        chain = placed([*map(parse, before), *own, *map(parse, after)], size.image_channels)
        norm = space.network_norm if norm is None else norm
        self.image_channels, self.use_running_average, self.remat = size.image_channels, False, size.remat
        self.first, self.searched = len(before), len(own)
        self.chain = tuple(chain)
        self.blocks = nnx.List([_build(place, size, norm, rngs) for place in chain])

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`: True in evaluation."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def __call__(self, x: jax.Array, drop_path: jax.Array | None = None, noise: Noise | None = None) -> Outputs:
        x = checked_images(x, self.image_channels, self.blocks[-1].kernel[...].dtype)
        if drop_path is not None:
            expected = (1, self.searched, x.shape[0])
            checked_numbers("The array of drop-path", drop_path, expected, f"[1, blocks, B]: {list(expected)}")
            drop_path = jnp.asarray(drop_path)[0]
        return Outputs(run(self._through, x, drop_path, evaluates=False))

    def _through(self, x: jax.Array, drop_path: jax.Array | None) -> jax.Array:
        for number, block in enumerate(self.blocks):
            place = number - self.first
            added = isinstance(block, blocks.Residual) and block.shortcut and 0 <= place < self.searched
            factor = drop_path[place] if drop_path is not None and added else None
            x = self._applied(block, x, () if factor is None else (factor,))
        return x

    def _applied(self, block: Any, x: jax.Array, more: tuple[jax.Array, ...]) -> jax.Array:
        return applied(block, x, more, self.remat, self.use_running_average)


class Mixed(nnx.Module):
    """One layer: its candidates, which read the same x and give values of the same shape."""

    def __init__(self, row: Sequence[Placed], size: NetworkSize, norm: Norm, paths: Paths, *, rngs: nnx.Rngs):
        self.paths = paths
        self.candidates = nnx.List([_build(place, size, norm, rngs) for place in row])

    def __call__(self, x: jax.Array, weights: jax.Array) -> jax.Array:
        """x [B, H, W, C], weights [O] -> [B, H', W', D]."""
        if self.paths == "all":
            values = [block(here) for block, here in zip(self.candidates, fan_out(x, len(weights)), strict=True)]
            return weighted_sums(weights[None], tuple(values), True)[0]
        return self._one(x, weights)

    def _one(self, x: jax.Array, weights: jax.Array) -> jax.Array:
        """The candidate with the largest weight, times its weight; no other is computed, and the statistics of the
        others stay as they are."""
        graphs = [nnx.graphdef(block) for block in self.candidates]
        stats, params = [statistics(b) for b in self.candidates], [parameters(b) for b in self.candidates]

        def branch(i, params, stats, x):
            block = nnx.merge(graphs[i], stats[i], params[i])
            y = block(x)
            return y, [*stats[:i], statistics(block), *stats[i + 1 :]]

        chosen = weights.argmax()
        branches = [partial(branch, i) for i in range(len(graphs))]
        y, stats = jax.lax.switch(chosen, branches, params, stats, x)
        is_chosen = jnp.arange(len(weights)) == chosen
        y = y * jnp.where(is_chosen, weights, 0).sum().astype(y.dtype)
        if self.paths == "one_with_scalars":
            y += jnp.where(is_chosen, 0, weights).sum().astype(y.dtype)
        for block, seen in zip(self.candidates, stats, strict=True):
            nnx.update(block, seen)
        return y


class Supernet(nnx.Module):
    """`supernet(x, mix)`: normalised images x [B, H, W, C] of any size, mix {"block": [E, O]} -> logits [B, classes].

    before, after: words of the blocks around the layers. Training and evaluation are as in `network.Network`.
    Errors: `UserError` for images and mixes of other shapes than it was built for.
    """

    def __init__(self, space: Space, size: NetworkSize, *, before: Sequence[str], after: Sequence[str], rngs: nnx.Rngs):
        check_size(space, size)
        if space.partial_channels != 1:
            raise UserError(
                f"Partial channels are for cells, and the space '{space.name}' has layers of different blocks: use a "
                "method, or a setting partial=1, that takes all channels."
            )
        if space.entangled:
            raise UserError(f"Entangled weights are those of cells, and the space '{space.name}' has none.")
        norm = space.search_norm
        rows = [[*map(parse, names)] for names in space.cells[KIND].operations]
        first, last = [*map(parse, before)], [*map(parse, after)]
        chain = placed([*first, *(row[0] for row in rows), *last], size.image_channels)
        self.image_channels, self.use_running_average, self.remat = size.image_channels, False, size.remat
        self.mix_shapes, parts = tuple(space.mix_shapes.items()), list[Any]()
        for number, place in enumerate(chain):
            layer = number - len(first)
            if 0 <= layer < len(rows):
                row = [place._replace(block=block) for block in rows[layer]]
                parts.append(Mixed(row, size, norm, space.paths, rngs=rngs))
            else:
                parts.append(_build(place, size, norm, rngs))
        self.parts = nnx.List(parts)

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`: True in evaluation."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def __call__(self, x: jax.Array, mix: Mix, noise: Noise | None = None) -> jax.Array:
        x = checked_images(x, self.image_channels, self.parts[-1].kernel[...].dtype)
        check_mix(mix, dict(self.mix_shapes))
        return run(self._through, x, jnp.asarray(mix[KIND]), evaluates=False)

    def _through(self, x: jax.Array, rows: jax.Array) -> jax.Array:
        layer = 0
        for part in self.parts:
            if isinstance(part, Mixed):
                more: tuple[jax.Array, ...] = (rows[layer, : len(part.candidates)],)
                layer += 1
            else:
                more = ()
            x = applied(part, x, more, self.remat, self.use_running_average)
        return x


def words_of(genotype: Genotype, space: Space) -> tuple[list[str], int]:
    """The words of all blocks of the network of a genotype, as `blocks.placed` takes them, and which of them is the
    first layer of the space. Errors: `UserError` for a genotype that is no chain."""
    if space.chain_of is not None:
        return words(space.chain_of(genotype)), 0
    around = getattr(space.network, "keywords", {})
    before, after = around.get("before", ()), around.get("after", ())
    return [*before, *words(genotype), *after], len(before)


def applied(part: Any, x: jax.Array, more: tuple[jax.Array, ...], remat: bool, evaluates: bool) -> jax.Array:
    """part(x, *more), whose moments are written into it in training. remat: its inside is computed again backwards."""
    graph, state = nnx.split(part)

    @rematerialised(remat)
    def inside(state, x, *more):
        copy = nnx.merge(graph, state)
        return copy(x, *more), nnx.as_pure(nnx.state(copy, nnx.BatchStat))

    y, moments = inside(nnx.as_pure(state), x, *more)
    if not evaluates:
        nnx.update(part, moments)
    return y


def _build(place: Placed, size: NetworkSize, norm: Norm, rngs: nnx.Rngs) -> Any:
    return blocks.build(place.block, place.inputs, size.classes, norm, rngs=rngs)


def check_size(space: Space, size: NetworkSize) -> None:
    """Errors: `UserError` for sizes of which there is no chain of blocks."""
    if size.stem != "cifar":
        raise UserError(
            f"The stem of a network of '{space.name}' is its first blocks: leave out the stem '{size.stem}'."
        )
    if size.auxiliary:
        raise UserError(f"Networks of '{space.name}' have no auxiliary head: leave it out.")
