"""Language models around a recurrent cell, searched or derived (Liu et al. 2019, arXiv:1806.09055, appendix A.2).

With highway(s, [c, z], f) = s + sigmoid(c) (f(z) - s), x the embedded word and h the state before it:

    s_0 = highway(h, [x, h] W_0, tanh)
    s_j = highway(s_i, s_i W_j, f),  the edge (i, j) with activation f of a genotype; their sum where there are several
    s_j = sum over edges (i, j), activations o of mix[(i, j), o] * highway(s_i, s_i W_j, o)       in the supernet
    h'  = mean of the s_j that the cell outputs

In the supernet s_0 and all s_j are batch-normalised, by one norm without scale and bias that they share with all time
steps. The decoder is the embedding, and a bias. Dropout is variational (Gal and Ghahramani 2016, arXiv:1512.05287):
its masks are the same at all time steps. After quark0/darts `rnn/model.py` and `rnn/model_search.py`.
Axis letters: B batch, T time, H width, V vocabulary, E edges, O operations, A activations, N nodes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.architectures.genotype import Genotype, check
from dnas.architectures.topology import NetworkSize, Space
from dnas.errors import UserError
from dnas.keys import stream
from dnas.nets.functional import looped_scan, rematerialised, run
from dnas.nets.layers import checked_numbers, shape_and_type, uniform
from dnas.nets.recurrent_cells import BOUND, KIND, DerivedRecurrentCell, MixedRecurrentCell, highway, times
from dnas.nets.supernet import check_mix
from dnas.types import Noise


class RecurrentOutputs(NamedTuple):
    """logits [B, T, V]; states [B, T, H] of the cell; dropped [B, T, H]: the same as the decoder reads them."""

    logits: jax.Array
    states: jax.Array
    dropped: jax.Array


class Dropout(NamedTuple):
    """How much is dropped in training: whole words of the vocabulary; values of the embedded words; of what the cell
    reads of them; of the states in every product with weights, though not where they are carried; of the output."""

    words: float = 0.0
    embedded: float = 0.2
    inputs: float = 0.75
    hidden: float = 0.25
    outputs: float = 0.75


USUAL = Dropout()  # of the search and the evaluation in the paper's code


class Masks(NamedTuple):
    """What multiplies, 0 or 1 / (1 - rate): words [V, 1], embedded [B, 1, H], inputs [B, H], hidden [B, H],
    outputs [B, 1, H]."""

    words: jax.Array
    embedded: jax.Array
    inputs: jax.Array
    hidden: jax.Array
    outputs: jax.Array


def draw_masks(key: jax.Array, rates: Dropout, vocabulary: int, batch: int, width: int, dtype: Any) -> Masks:
    """Masks of one batch, by a stream of the key each."""

    def one(name: str, rate: float, *shape: int) -> jax.Array:
        kept = jax.random.bernoulli(stream(key, f"dropped {name}"), 1 - rate, shape) if rate else jnp.ones(shape)
        return kept.astype(dtype) / (1 - rate)

    return Masks(
        one("words", rates.words, vocabulary, 1),
        one("embedded", rates.embedded, batch, 1, width),
        one("inputs", rates.inputs, batch, width),
        one("hidden", rates.hidden, batch, width),
        one("outputs", rates.outputs, batch, 1, width),
    )


class Backbone(nnx.Module):
    """Embedding, the way into the cell, the cell over time, decoder. `build(rngs)` makes the cell."""

    def __init__(self, build: Callable[[nnx.Rngs], Any], size: NetworkSize, rates: Dropout, *, rngs: nnx.Rngs):
        width, self.vocabulary, self.rates = size.channels, size.vocabulary, rates
        self.scan = looped_scan if size.loop else jax.lax.scan
        self.remat = size.remat
        self.embedding = uniform(rngs, (size.vocabulary, width), BOUND)
        self.bias = nnx.Param(np.zeros(size.vocabulary, np.float32))
        self.first = uniform(rngs, (2 * width, 2 * width), BOUND)
        self.cell = build(rngs)

    def __call__(
        self, tokens: jax.Array, masks: Masks | None, carry: jax.Array, extra: Any
    ) -> tuple[RecurrentOutputs, jax.Array]:
        """tokens [B, T], carry [B, H]; extra: what the cell takes beside states -> (outputs, carry)."""
        embedding, first = self.embedding[...], self.first[...]
        width, hidden = embedding.shape[1], None if masks is None else masks.hidden
        x = embedding[tokens]
        if masks is not None:
            x = x * masks.words[tokens] * masks.embedded * masks.inputs[:, None]

        @rematerialised(self.remat)
        def step(state, of_input):
            gated = of_input + times(state, hidden) @ first[width:]
            state, moments = self.cell(highway(state, gated, jnp.tanh), hidden, extra)
            return state, (state, moments)

        # what does not depend on the state is computed for all time steps at once
        carry, (states, moments) = self.scan(step, carry.astype(x.dtype), x.swapaxes(0, 1) @ first[:width])
        self.cell.keep(moments)
        states = states.swapaxes(0, 1)
        dropped = times(states, None if masks is None else masks.outputs)
        return RecurrentOutputs(dropped @ embedding.T + self.bias[...], states, dropped), carry

    def drawn(self, noise: Noise | Masks | None, batch: int) -> Masks | None:
        """The masks of a batch; none without noise, or where nothing is dropped."""
        if not isinstance(noise, Noise):
            return noise
        if not any(self.rates):
            return None
        vocabulary, width = self.embedding.shape
        return draw_masks(noise.key, self.rates, vocabulary, batch, width, self.embedding[...].dtype)


class RecurrentSupernet(nnx.Module):
    """`supernet(tokens, mix, noise, carry)`: int32 [B, T], {"recurrent": [E, O]} -> (RecurrentOutputs, carry [B, H]).

    noise: of dropout in training, `types.Noise` or the `Masks` themselves; without it, and in evaluation, nothing is
    dropped. carry: the state that the batch before left; None: zeros. rates: of dropout. norm: whether states are
    normalised. Training and evaluation are as in `network.Network`; in training the moments have one row for each use
    of the norm.
    Errors: `UserError` for a space or a size that no such network has, tokens, mixes and states of other shapes.
    """

    def __init__(self, space: Space, size: NetworkSize, *, rates: Dropout = USUAL, norm: bool = True, rngs: nnx.Rngs):
        check_network_size(space, size)
        check_space(space)
        self.mix_shape, self.use_running_average = space.cells[KIND].mix_shape, False
        self.backbone = Backbone(
            lambda rngs: MixedRecurrentCell(space, size.channels, norm, rngs=rngs), size, rates, rngs=rngs
        )

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`: True in evaluation."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def initial_carry(self, batch: int) -> jax.Array:
        """The state before the first batch: zeros [B, H]."""
        return initial_carry(self.backbone, batch)

    def __call__(
        self, tokens: jax.Array, mix: Any, noise: Noise | Masks | None = None, carry: jax.Array | None = None
    ) -> tuple[RecurrentOutputs, jax.Array]:
        check_mix(mix, {KIND: self.mix_shape})
        rows = self.backbone.cell.rows(jnp.asarray(mix[KIND]))
        return evaluated(self.backbone, self.use_running_average, tokens, noise, carry, rows)


class RecurrentNetwork(nnx.Module):
    """`network(tokens, noise=noise, carry=carry)`: int32 [B, T] -> (RecurrentOutputs, carry [B, H]).

    noise, carry, rates: as of `RecurrentSupernet`. There is no norm.
    Errors: `UserError`, also for factors of drop-path, which this network has not.
    """

    def __init__(self, genotype: Genotype, space: Space, size: NetworkSize, *, rates: Dropout = USUAL, rngs: nnx.Rngs):
        check_network_size(space, size)
        check(genotype, space)
        self.use_running_average = False
        cell = genotype.cell(KIND)
        self.backbone = Backbone(
            lambda rngs: DerivedRecurrentCell(cell, space, size.channels, rngs=rngs), size, rates, rngs=rngs
        )

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`: True in evaluation."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def initial_carry(self, batch: int) -> jax.Array:
        """The state before the first batch: zeros [B, H]."""
        return initial_carry(self.backbone, batch)

    def __call__(
        self,
        tokens: jax.Array,
        drop_path: jax.Array | None = None,
        noise: Noise | Masks | None = None,
        carry: jax.Array | None = None,
    ) -> tuple[RecurrentOutputs, jax.Array]:
        if drop_path is not None:
            raise UserError("A recurrent network has no drop-path, it drops values: call it without such factors.")
        return evaluated(self.backbone, self.use_running_average, tokens, noise, carry, None)


def evaluated(
    backbone: Backbone, in_evaluation: bool, tokens: Any, noise: Any, carry: Any, extra: Any
) -> tuple[RecurrentOutputs, jax.Array]:
    """Call a backbone. Errors: `UserError` for tokens and states of other shapes or types than it takes."""
    shape, given = shape_and_type("The batch of tokens", tokens)
    if len(shape) != 2 or 0 in shape or given.kind not in "iu":
        raise UserError(f"This network reads tokens, whole numbers [B, T], not {given.name} {list(shape)}.")
    carry = initial_carry(backbone, shape[0]) if carry is None else carry
    expected = shape[0], backbone.embedding.shape[1]
    checked_numbers("The state of this network", carry, expected, f"[B, H]: {list(expected)}")
    carry = jnp.asarray(carry)
    masks = None if in_evaluation else backbone.drawn(noise, shape[0])
    return run(backbone, jnp.asarray(tokens), masks, carry, extra, evaluates=in_evaluation)


def initial_carry(backbone: Backbone, batch: int) -> jax.Array:
    """Zeros [B, H], of the type that new weights have."""
    return jnp.zeros((batch, backbone.embedding.shape[1]), float)


def check_network_size(space: Space, size: NetworkSize) -> None:
    """Errors: `UserError` for a size that a network of one cell, and of outputs tied to its inputs, cannot have."""
    if size.vocabulary < 1 or size.vocabulary != size.classes:
        raise UserError(
            f"The space '{space.name}' predicts the next of the tokens that it reads, and here are {size.vocabulary:,} "
            f"tokens and {size.classes:,} outputs: give it data of the task 'language'."
        )
    if size.cells != 1:
        raise UserError(f"A network of the space '{space.name}' has one cell, not {size.cells}: set cells to 1.")


def check_space(space: Space) -> None:
    """Errors: `UserError` for what recurrent cells cannot do."""
    if space.partial_channels > 1:
        raise UserError(f"Partial channels are not built for the space '{space.name}': use another method.")
    if space.entangled:
        raise UserError(f"Entangled weights are those of convolutions, and the space '{space.name}' has none.")
    if space.random:
        names = ", ".join(sorted(space.random))
        raise UserError(f"The operations {names} draw noise, which is not built for the space '{space.name}'.")
