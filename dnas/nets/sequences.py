"""What networks of sequences read: tokens, of which 0 is padding, or frames, rows of numbers such as spectra.

A sequence of frames has as many as its length says, and what lies behind them is padding (`types.Frames`). An embedding
is a table: of tokens the rows that they number, of frames the product with it. Axis letters: B batch, T time, F numbers
of a frame, V vocabulary, C channels.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.architectures.topology import NetworkSize
from dnas.errors import UserError
from dnas.nets.layers import shape_and_type, uniform
from dnas.types import Frames

PADDING = 0
Inputs = jax.Array | Frames  # tokens [B, T], or frames


def has_frames(size: NetworkSize) -> bool:
    """Whether networks of this size read frames."""
    return not size.vocabulary and len(size.inputs) == 2


def table(rngs: nnx.Rngs, size: NetworkSize, width: int, bound: float) -> nnx.Param:
    """A new embedding [V, C], or [F, C], of entries within the bound; what it makes of a frame of unit variance is as
    large."""
    if has_frames(size):
        return uniform(rngs, (size.inputs[-1], width), bound / float(np.sqrt(size.inputs[-1])))
    return uniform(rngs, (size.vocabulary, width), bound)


def embedded(table: jax.Array, x: Inputs) -> jax.Array:
    """[B, T, C]; what it is of padding means nothing."""
    return x.values.astype(table.dtype) @ table if isinstance(x, Frames) else table[x]


def present(x: Inputs) -> jax.Array:
    """Where there is a token or a frame, bool [B, T]."""
    if isinstance(x, Frames):
        return jnp.arange(x.values.shape[1])[None] < x.lengths[:, None]
    return x != PADDING


def example(size: NetworkSize) -> Any:
    """Shapes and types of one sequence of the size's inputs, for whoever traces a network."""
    one: Any = jax.ShapeDtypeStruct
    if has_frames(size):
        return Frames(one((1, *size.inputs), jnp.float32), one((1,), jnp.int32))
    return one((1, *(size.inputs or (1,))), jnp.int32)


def checked(x: Any, size: NetworkSize) -> Inputs:
    """Sequences as a network of this size takes them. Errors: `UserError` for other shapes and types."""
    if not has_frames(size):
        return checked_tokens(x)
    width = size.inputs[-1]
    if not isinstance(x, tuple | list) or len(x) != 2:
        raise UserError(f"This network reads frames: give it dnas.types.Frames(values [B, T, {width}], lengths [B]).")
    (shape, kind), (lengths, whole) = (shape_and_type("The batch of frames", part) for part in x)
    as_frames = len(shape) == 3 and 0 not in shape and shape[2] == width and kind.kind == "f"
    if not as_frames or lengths != shape[:1] or whole.kind not in "iu":
        raise UserError(
            f"This network reads frames, floats [B, T, {width}], and how many each sequence has, whole numbers [B], "
            f"not {kind.name} {list(shape)} and {whole.name} {list(lengths)}."
        )
    return Frames(jnp.asarray(x[0]), jnp.asarray(x[1]))


def checked_tokens(tokens: Any) -> jax.Array:
    """Tokens as a network takes them. Errors: `UserError` for anything but whole numbers [B, T]."""
    shape, given = shape_and_type("The batch of tokens", tokens)
    if len(shape) != 2 or 0 in shape or given.kind not in "iu":
        raise UserError(f"This network reads tokens, whole numbers [B, T], not {given.name} {list(shape)}.")
    return jnp.asarray(tokens)
